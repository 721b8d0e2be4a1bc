"""Tiny runs of all domains: undisturbed ones, half-finished copies, and the facts by which runs are compared."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ddmi_core.model.build import build_autoencoder
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from soaking.trials import Command, Ended, ran

LIMIT = 400.0  # seconds of a tiny run on a busy machine
COMMON = {
    "autoencoder.points": 64,
    "autoencoder.readout.width": 16,
    "autoencoder.readout.depth": 1,
    "diffusion.copies": 1,
    "diffusion.denoiser.width": 8,
    "diffusion.denoiser.multipliers": [1],
    "diffusion.denoiser.blocks": 1,
    "sampling.count": 2,
    "sampling.steps": 2,
    "evaluation.held_out": 2,
    "evaluation.samples": 4,
    "evaluation.grid": "['euler:2']",
    **{
        f"{stage}.training.{key}": value
        for stage in ("autoencoder", "diffusion")
        for key, value in {
            **{"steps": 12, "batch": 4, "checkpoint": 3, "log": 2, "warmup": 2},
            "precision": "fp32",
        }.items()
    },
}
WIDTHS = {
    "autoencoder.encoder.widths": [8, 8],
    "autoencoder.decoder.widths": [8, 8],
    "autoencoder.decoder.basis": [4, 4],
}
OWN: dict[str, dict[str, object]] = {
    "image": {**WIDTHS, "domain.limit": 30, "domain.size": 16, "domain.multiples": [1]},
    "occupancy": {
        **WIDTHS,
        **{"domain.count": 24, "domain.resolution": 16, "domain.plane": 8, "domain.surface": 64, "domain.points": 128},
        **{"domain.set_shapes": 2, "domain.set_points": 32, "domain.emd_shapes": 2, "domain.emd_points": 16},
    },
    "video": {
        **{"domain.count": 20, "domain.frames": 4, "domain.size": 16},
        "autoencoder.encoder.widths": [8],
        "autoencoder.decoder.widths": [8, 8],
        "autoencoder.decoder.basis": [4, 4],
    },
    "nerf": {
        **WIDTHS,
        **{"domain.count": 20, "domain.size": 16, "domain.plane": 16, "domain.shown": 1, "domain.points": 64},
        **{"domain.samples": 4, "domain.views": 4, "domain.held_views": 1},
    },
}
SHARES = {"image": 6, "occupancy": 3, "video": 3, "nerf": 1}  # of trials; those of nerf take ten times as long
STAGES = ("autoencoder", "latents", "denoiser")


def words(domain: str, out: Path, seed: int = 0) -> list[str]:
    """Arguments that start a tiny run."""
    settings = {**COMMON, **OWN[domain], "seed": seed}
    sets = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    return ["run", "--plugin", domain, "--out", str(out), *sets]


def resumption(domain: str, out: Path, seed: int = 0) -> list[str]:
    """Arguments that resume a run, or start it again if it has no `run.toml` yet."""
    if (out / "run.toml").exists():
        return ["run", "--plugin", domain, "--out", str(out), "--resume"]
    return words(domain, out, seed)


def facts(out: Path) -> dict[str, str]:
    """What two equal runs share: digests of weights and samples, and figures without their times."""
    found = {}
    for stage in ("autoencoder", "denoiser"):
        for path in sorted((out / stage / "final").glob("*.safetensors")):
            found[f"{stage}/{path.name}"] = digest(path)
    for path in sorted((out / "samples").glob("*")):
        found[f"samples/{path.name}"] = digest(path)
    metrics = out / "metrics.json"
    if metrics.exists():
        figures = json.loads(metrics.read_text(encoding="utf-8"))
        for figure in figures["figures"]:
            found[f"figure {figure['name']}"] = repr(figure["value"])
        for row in figures["samplers"]:
            found[f"sampler {row}"[:20]] = repr([value for key, value in sorted(row.items()) if "second" not in key])
    found["report"] = str((out / "report.html").exists())
    return found


def digest(path: Path) -> str:
    """Digest of a file or of all files of a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return " ".join(f"{each.name}:{digest(each)}" for each in sorted(path.iterdir()))


def difference(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """The names of what differs; empty if nothing does."""
    return ", ".join(sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)))


def leftovers(out: Path) -> str:
    """Names of partial files and of step checkpoints of a finished run."""
    found = [path for path in out.rglob("*") if ".partial" in path.name or ".old" in path.suffix]
    found += [path for stage in STAGES for path in (out / stage).glob("*") if path.name != "final"]
    return ", ".join(str(path.relative_to(out)) for path in found)


def undisturbed(folder: Path, domain: str, seed: int = 0) -> Path:
    """A finished run, made once for a folder.

    Raises:
        RuntimeError: if it fails.
    """
    out = folder.parent.parent / "runs" / f"{domain}-{seed}"
    if not (out / "report.html").exists():
        shutil.rmtree(out, ignore_errors=True)
        ended = ran(words(domain, out, seed), out.parent / f"work-{domain}-{seed}", LIMIT)
        if ended.status != 0:
            raise RuntimeError(f"the undisturbed run of {domain} failed: {ended.said}")
    return out


def half(folder: Path, domain: str) -> Path:
    """A run that was killed in the training of its denoiser, made once for a folder."""
    out = folder.parent.parent / "runs" / f"{domain}-half"
    for _ in range(5):
        if any(out.glob("denoiser/step-*")):
            return out
        shutil.rmtree(out, ignore_errors=True)
        command = Command(words(domain, out), out.parent / f"work-{domain}-half")
        wait_for(command, out, "denoiser/step-*", LIMIT)
        end(command)
    raise RuntimeError(f"no half-finished run of {domain}")


def end(command: Command) -> Ended:
    """Kill a command."""
    command.signal(signal.SIGKILL)
    return command.wait(10)


def wait_for(command: Command, out: Path, pattern: str, limit: float) -> None:
    """Wait until a path appears in a run, or the command ends."""
    until = time.monotonic() + limit
    while command.running() and not any(out.glob(pattern)) and time.monotonic() < until:
        time.sleep(0.002)


def copy(source: Path, to: Path) -> Path:
    """A copy of a run."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)
    return to


def preloaded() -> None:
    """Import what runs import, so that forked commands need not; trains nothing, since threads do not survive forks."""
    for name in ("runs.pipeline", "runs.generate", "runs.complete", "runs.publish", "cli.train", "cli.generate"):
        importlib.import_module(f"ddmi_core.{name}")
    for domain in SHARES:
        sets = [f"{key}={value}" for key, value in {**COMMON, **OWN[domain]}.items()]
        config = resolve(domain_named(domain), overrides=sets)
        with torch.no_grad():
            build_autoencoder(build_parts(domain_named(domain), config.domain), config)


def all_made(folder: Path) -> None:
    """Make the runs of all domains that trials copy: two finished ones of different seeds, and a half-finished one."""
    for domain in SHARES:
        undisturbed(folder, domain)
        undisturbed(folder, domain, 1)
        half(folder, domain)


def files(out: Path) -> Sequence[Path]:
    """All files of a run."""
    return sorted(path for path in out.rglob("*") if path.is_file())
