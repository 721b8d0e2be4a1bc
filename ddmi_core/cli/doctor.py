"""`ddmi doctor`: the state of this installation, or the sizes of a configuration."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import attrs
import typer
from attrs import frozen

from ddmi_core.cli import options
from ddmi_core.cli.output import print_json, print_lines
from ddmi_core.cli.train import configured
from ddmi_core.errors import RequestError
from ddmi_core.registry.records import PluginRecord, Status

_FOR_DEVELOPERS = {"dev", "docs", "mutation"}
_ADDS = {  # by extra; the plugins name what the others add
    **{name: f"ddmi run --tracker {name}" for name in ("tensorboard", "wandb", "mlflow", "trackio")},
    "simplify": "meshes of at most --faces triangles",
    "tables": "data sets in Parquet and Arrow tables",
    "hub": "ddmi push and ddmi fetch",
    "onnx": "ddmi export --format onnx",
    "text": "conditions from sentences with words that are not in the training captions",
}


@frozen
class Finding:
    """One diagnostic result.

    Args:
        name: of the item.
        value: its state as text.
        state: `good`, `absent` (optional and missing) or `wrong`.
        note: explanation, or fix.
    """

    name: str
    value: str
    state: Literal["good", "absent", "wrong"] = "good"
    note: str = ""


def _versions() -> Iterator[Finding]:
    from ddmi_core import __version__

    yield Finding("ddmi", __version__)
    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _hardware() -> Iterator[Finding]:
    import psutil

    from ddmi_core.allowance import cores, free_memory

    yield Finding("processors", f"{cores()} usable of {os.cpu_count()}")
    whole = psutil.virtual_memory().total
    yield Finding("memory", f"{free_memory() / 2**30:.1f} GiB free of {whole / 2**30:.1f} GiB")


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        yield Finding("torch", f"cannot be imported: {error}", "wrong", "reinstall it: pip install torch")
        return
    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        yield Finding("device", f"{torch.cuda.get_device_name()}, {torch.cuda.device_count()} in all")
    else:
        yield Finding("device", "CPU", note="no GPU that torch can use")


def _optional(records: Iterable[PluginRecord]) -> Iterator[Finding]:
    """The distributions of the extras for users, and other modules that plugins can use, each once."""
    uses: dict[str, list[str]] = {}  # of optional modules
    for record in records:
        for module, adds in record.optional.items():
            uses.setdefault(module, []).append(f"{adds}, for {record.name}")
    for requirement in requires("ddmi") or ():
        match = re.match(r"""([\w.-]+).*extra\s*==\s*['"]([\w-]+)['"]""", requirement)
        if not match or match[2] in _FOR_DEVELOPERS:
            continue
        name, extra = match.groups()
        own = uses.pop(name.lower().replace("-", "_"), [])
        adds = _ADDS.get(extra) or "; ".join(own)
        try:
            yield Finding(name, version(name), note=adds)
        except PackageNotFoundError:
            yield Finding(name, "not installed", "absent", f"adds: {adds}; pip install 'ddmi[{extra}]'")
    for module, notes in uses.items():
        found = find_spec(module) is not None
        yield Finding(module, "found" if found else "not installed", "good" if found else "absent", "; ".join(notes))


def _fonts() -> Iterator[Finding]:
    try:
        from PIL import features
    except ImportError as error:
        yield Finding("pillow", f"cannot be imported: {error}", "wrong", "reinstall it: pip install pillow")
        return
    if not features.check("freetype2"):
        yield Finding("fonts", "no FreeType in Pillow", "wrong", "install a Pillow wheel: pip install pillow")
    elif features.check("raqm"):
        yield Finding("fonts", "FreeType and Raqm")
    else:
        note = "combined characters are drawn one by one"
        yield Finding("fonts", "FreeType, no Raqm", "absent", note)


def _cache() -> Iterator[Finding]:
    from platformdirs import user_cache_path

    folder = user_cache_path("ddmi")
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            yield Finding("cache", _home(folder))
    except OSError as error:
        note = f"{error.strerror}; set XDG_CACHE_HOME to a writable folder"
        yield Finding("cache", f"{_home(folder)} cannot be written", "wrong", note)


def _home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _plugins(records: Iterable[PluginRecord]) -> Iterator[Finding]:
    for record in records:
        if record.usable:
            yield Finding(f"{record.kind} {record.name}", record.origin, note=record.reason)
        else:
            state: Literal["absent", "wrong"] = "absent" if record.status is Status.DISABLED else "wrong"
            yield Finding(f"{record.kind} {record.name}", record.status, state, f"{record.reason}; {record.fix}")


def doctor(
    run: options.OptionalRun = None,
    plugin: options.Plugin = "",
    preset: options.Preset = "",
    sets: options.Set = [],  # noqa: B006 - typer copies it
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept edits of run.toml that were made on purpose: renew its checksum.")
    ] = False,
    as_json: options.Json = False,
    device: options.Device = "",
) -> None:
    """Check versions, hardware, optional packages, folders and plugins; exit status 1 if a requirement is missing.

    With a RUN, verify the files of this run folder against their checksums instead, and say what to do about damaged
    ones; exit status 1 if there are any.

    With --plugin, print the parameters and the forward FLOPs of each part of a configuration instead, and the memory
    and the time that its training takes on this machine. Neither data nor memory for the weights is needed.
    """
    if run is not None:
        _verify(run, accept, as_json)
        return
    if plugin:
        _count(plugin, preset, sets, as_json)
        return
    if preset or sets:
        raise RequestError("--preset and --set count the parts of a plugin's configuration. Fix: add --plugin NAME")
    from ddmi_core.testing.probe import checked

    records = checked()
    findings = [*_versions(), *_hardware(), *_torch(), *_optional(records), *_fonts(), *_cache(), *_plugins(records)]
    if as_json:
        print_json([attrs.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"good": "+", "absent": "-", "wrong": "!"}[finding.state]
            note = f"  ({finding.note})" if finding.note else ""
            typer.echo(f"{mark} {finding.name}: {finding.value}{note}")
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _verify(run: Path, accept: bool, as_json: bool) -> None:
    from ddmi_core.model import run_folder
    from ddmi_core.runs.verify import verify

    if accept:
        run_folder.accept(run_folder.RunFolder(run))
    found = verify(run)
    if as_json:
        print_json([attrs.asdict(one) for one in found])
    else:
        print_lines(f"! {one.name}: {one.damage}" if one.damage else f"+ {one.name}: {one.note}" for one in found)
    if any(one.damage for one in found):
        raise typer.Exit(1)


def _count(plugin: str, preset: str, sets: Sequence[str], as_json: bool) -> None:
    domain, settings = configured(plugin, preset, sets=sets)

    from ddmi_core.model.counts import count
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.runs.training_needs import training_needs

    parts = build_parts(domain, settings.domain)
    counts, training = count(parts, settings), training_needs(parts, settings)
    if as_json:
        print_json({**counts.to_json(), "training": training.to_json()})
    else:
        print_lines([*counts.lines(), "", *training.lines()])
