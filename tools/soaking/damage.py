"""Damaged files of runs, read by the program's own readers in this process, and by commands."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import torch
from attrs import field, frozen

from soaking import tiny_runs
from soaking.kills import of_domains
from soaking.mutate import DAMAGE, JSON, TEXT, mutated
from soaking.tiny_runs import LIMIT, copy, difference, facts, half, undisturbed
from soaking.trials import ERROR, OK, SILENT, Kind, Trial, Verdict, judged, ran

TEXTS = (".toml", ".json", ".jsonl")
LOG = "log.jsonl"  # which readers rewrite without its damaged lines
NAMED = "named"  # what a reader returns that skips a damaged checkpoint; the resumed run names it in a note


def damaged(path: Path, other: Path | None, draw: random.Random) -> str:
    """Damage a file, and say how: by bytes, by what its format is made of, or as the file of another run."""
    data = path.read_bytes()
    if other is not None and other.is_file() and draw.random() < 0.08 and (theirs := other.read_bytes()) != data:
        path.write_bytes(theirs)
        return "that of another run"
    if draw.random() < 0.03:
        path.unlink()
        if draw.random() < 0.5:
            path.mkdir()
            return "a folder"
        return "missing"
    how = DAMAGE
    if path.suffix in TEXTS and draw.random() < 0.7:
        how = JSON if path.suffix == ".json" else TEXT
    changed = data
    while changed == data:
        changed = mutated(data, draw, how)
    path.write_bytes(changed)
    return f"{len(changed)} of {len(data)} bytes"


@frozen
class Readers:
    """The program's readers of a run folder, and what they find in an undamaged one.

    Args:
        run: a copy of a run, whose files are damaged one at a time.
        domain: of the run.
    """

    run: Path
    domain: str
    sound: dict[str, str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Read the undamaged run."""
        object.__setattr__(self, "sound", {name: read() for name, read in self.all().items()})

    def all(self) -> dict[str, Callable[[], str]]:
        """Readers by the first part of the paths that they read; each returns a digest of what it found."""
        return {
            "run.toml": self.settings,
            LOG: self.log,
            "metrics.json": self.metrics,
            "latents": self.latents,
            "data.json": self.data,
            "autoencoder": self.stages,
            "denoiser": self.stages,
        }

    def found(self, name: str) -> str | None:
        """What differs from the undamaged run, if anything does; the log is read leniently."""
        key = name.split("/")[0]
        read = self.all().get(key)
        if read is None:
            return None
        seen = read()
        if seen in (self.sound[key], NAMED) or key == LOG:
            return None
        return f"{name} is read as another"

    def settings(self) -> str:
        """Settings and head of `run.toml`."""
        from ddmi_core.model.run_folder import RunFolder, check_extensions, check_finished, read_config, read_head
        from ddmi_core.registry.registry import domain_named
        from ddmi_core.settings.resolve import dumps

        place, domain = RunFolder(self.run), domain_named(self.domain)
        head = read_head(place)
        check_extensions(place, domain)
        config = read_config(place, domain)
        if (self.run / "report.html").exists():
            check_finished(place)
        return repr((head, dumps(config)))

    def log(self) -> str:
        """Records of the log."""
        from ddmi_core.training.log import Log

        log = Log(self.run / LOG)
        found = repr(list(log.records()))
        log.rewind("denoiser", 1 << 40)
        return found

    def metrics(self) -> str:
        """Figures."""
        from ddmi_core.evaluation.results import Evaluation

        had = (self.run.with_name("undamaged") / "metrics.json").exists()
        return Evaluation.load(self.run / "metrics.json").to_json() if had else ""

    def data(self) -> str:
        """The account of the data is read by commands alone."""
        return ""

    def latents(self) -> str:
        """Latents and their statistics, as stage 2 reads them."""
        from ddmi_core.model import latent_cache
        from ddmi_core.training import checkpoint

        whole = self.run.with_name("undamaged")
        fingerprint = checkpoint.load(whole / "latents" / "final").record["fingerprint"]
        weights = checkpoint.load(whole / "autoencoder" / "final").digest("weights")
        loaded = latent_cache.load(self.run / "latents", fingerprint, weights)
        rows = loaded.flat[torch.arange(len(loaded.flat))]
        statistics = _numbers(loaded.normalisation)
        return repr((float(rows.double().sum()), loaded.labels, statistics, loaded.shape, loaded.classes))

    def stages(self) -> str:
        """Checkpoints of both stages, and samples of the model if it is finished."""
        import ddmi_core
        from ddmi_core.training import checkpoint

        seen = []
        for stage in ("autoencoder", "denoiser"):
            stored, reasons = checkpoint.newest(self.run / stage)
            if reasons:
                return NAMED
            for each in filter(None, (stored,)):
                record = json.dumps(each.record, sort_keys=True)  # the order of members does not matter
                seen.append(repr((record, [_sums(each, group) for group in _groups(each)])))
        if (self.run.with_name("undamaged") / "denoiser" / "final").exists():
            with torch.no_grad():
                model = ddmi_core.load(self.run, device="cpu")
                field = model.sample(1, steps=2)
                seen.append(repr([float(p.double().sum()) for planes in field.basis for p in planes]))
                seen.append(repr((model.classes, model.counts, model.vectors)))
        return repr(seen)


def _numbers(statistics: Any) -> list[float]:
    """Sums of the tensors of an attrs instance."""
    return [float(value.double().sum()) for value in attrs.asdict(statistics, recurse=False).values()]


def _groups(stored: Any) -> list[str]:
    return [name.removesuffix(".safetensors") for name in stored.record["files"]]


def _sums(stored: Any, group: str) -> list[float]:
    return [float(tensor.double().sum()) for tensor in stored.tensors(group).values()]


def by_readers(readers: Readers, undamaged: Path, other: Path) -> Trial:
    """A trial that damages one file of a run, reads it, and repairs it.

    Args:
        readers: of the run.
        undamaged: a copy of the run.
        other: another run, whose files come in the place of this one's.
    """
    run = readers.run
    names = [str(path.relative_to(run)) for path in tiny_runs.files(run) if path.suffix in (*TEXTS, ".safetensors")]

    def trial(draw: random.Random, own: Path) -> Verdict:
        name = draw.choice(names)
        path = run / name
        # A whole `run.toml` of another run is valid for its reader; what was made by other settings tells.
        how = f"{readers.domain}, {name}: {damaged(path, other / name if '/' in name else None, draw)}"
        if path.is_file():
            (own / "damaged").write_bytes(path.read_bytes())
        try:
            return judged(lambda: readers.found(name), how)
        finally:
            for each in (name, LOG):
                if (run / each).is_dir():
                    shutil.rmtree(run / each)
                shutil.copy2(undamaged / each, run / each)

    return trial


def _by_readers(make: Callable[[Path, str], Path]) -> Callable[[str, Path], Trial]:
    def prepared(domain: str, folder: Path) -> Trial:
        source, other = make(folder, domain), undisturbed(folder, domain, 1)
        place = folder / f"{domain}-{os.getpid()}"
        undamaged = copy(source, place / "undamaged")
        return by_readers(Readers(copy(source, place / "run"), domain), undamaged, other)

    return prepared


def _by_commands(domain: str, folder: Path) -> Trial:
    whole, undone, other = undisturbed(folder, domain), half(folder, domain), undisturbed(folder, domain, 1)
    expected = facts(whole)
    drawn: list[dict[str, str]] = []

    def sampled(run: Path, own: Path) -> tuple[Verdict, dict[str, str]]:
        verdict = ran(["sample", str(run), "-n", "2", "--out", str(own / "drawn")], own / "work", LIMIT).verdict("")
        drawn_here = own / "drawn"
        return verdict, {path.name: tiny_runs.digest(path) for path in tiny_runs.files(drawn_here)}

    def trial(draw: random.Random, own: Path) -> Verdict:
        if not drawn:
            drawn.append(sampled(whole, own / "undamaged")[1])
        source = draw.choice((whole, undone))
        run = copy(source, own / "run")
        if draw.random() < 0.1:
            name = draw.choice(("autoencoder/final", "denoiser/final", "latents/final", "samples", "evaluation"))
            if not (run / name).exists() or not (other / name).exists():
                name = "autoencoder/final"
            shutil.rmtree(run / name)
            shutil.copytree(other / name, run / name)
            what = f"{name}: that of another run"
        else:
            path = draw.choice(tiny_runs.files(run))
            name = str(path.relative_to(run))
            what = f"{name}: {damaged(path, other / name, draw)}"
            if path.is_file():
                (own / "damaged").write_bytes(path.read_bytes())
        how = f"{domain}, {'finished' if source == whole else 'half-finished'}, {what}"
        command = draw.choice(("resume", "resume", "sample", "report", "publish", "evaluate"))
        if command == "resume":
            words = ["run", "--plugin", domain, "--out", str(run), "--resume"]
            ended = ran(words, own / "work", LIMIT)
            verdict = ended.verdict(f"{how}, resume")
            changed = difference(facts(run), expected) if verdict.outcome == OK else ""
        elif command == "sample":
            verdict, found = sampled(run, own)
            changed = difference(found, drawn[0]) if verdict.outcome == OK and source == whole else ""
            verdict = Verdict(verdict.outcome, verdict.said, f"{how}, sample")
        else:
            out = ["--out", str(own / "out")] if command == "publish" else []
            verdict, changed = ran([command, str(run), *out], own / "work", LIMIT).verdict(f"{how}, {command}"), ""
        if verdict.outcome in (OK, ERROR):
            shutil.rmtree(run)
        told = any(word in verdict.said for word in ("note ", "warning: "))
        return Verdict(SILENT, f"differs: {changed}", verdict.how) if changed and not told else verdict

    return trial


KINDS = (
    Kind("damage: finished run, readers", of_domains(_by_readers(undisturbed)), tiny_runs.all_made, share=5),
    Kind("damage: half-finished run, readers", of_domains(_by_readers(half)), tiny_runs.all_made, share=4),
    Kind("damage: commands", of_domains(_by_commands), tiny_runs.all_made, limit=1000.0, share=6, forked=False),
)
