"""Lists and counts the functions that four journeys through the code call.

    python tools/trace.py              # files and functions of each journey
    python tools/trace.py --list       # each function too, in the order of first calls
    python tools/trace.py --markdown   # the same for the map of the code (tools/code_map.py)

Only named functions of this project count, each once. Comprehensions, generator expressions and lambdas are part of
the function around them; bodies of modules and classes are no functions. All modules are imported and plugins are
discovered before a journey begins; a function that a journey calls again counts.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import itertools
import os
import pkgutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "ddmi_core", ROOT / "plugins")
PICTURES, SIDE = 6, 64  # of the folder of the first journey
WIDTHS = "autoencoder.decoder.widths=[32,32,32]"


class Function(NamedTuple):
    """A function that a journey calls: its file, relative to the root, and its qualified name."""

    file: str
    name: str

    @property
    def module(self) -> str:
        """Dotted name of the module."""
        return self.file.removeprefix("plugins/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def traced(journey: Callable[[], object], folders: Sequence[Path] = FOLDERS, root: Path = ROOT) -> list[Function]:
    """The named functions of some folders that a journey calls, in the order of first calls, on all its threads."""
    within = tuple(f"{folder}{os.sep}" for folder in folders)
    seen: dict[CodeType, None] = {}

    def record(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.setdefault(frame.f_code)

    threading.setprofile(record)
    sys.setprofile(record)
    try:
        journey()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    functions = (
        Function(Path(code.co_filename).relative_to(root).as_posix(), code.co_qualname)
        for code in seen
        if code.co_filename.startswith(within) and _is_named_function(code)
    )
    return list(dict.fromkeys(functions))


def _is_named_function(code: CodeType) -> bool:
    """Whether code is a function with a name: no body of a module or class, no comprehension, no lambda."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and not code.co_qualname.endswith(">")


def journeys() -> Iterator[tuple[str, list[Function]]]:
    """Yield the name of each journey and the functions that it calls."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]
        _import_all("ddmi_core", "ddmi_image")
        _draw(folder / "pictures")
        yield "A picture to its loss", traced(_loss_of_a_picture(folder / "pictures"))
        yield "A run folder to a model", traced(_model_of_a_folder())
        yield "Noise to a PNG file", traced(_files_from_noise(folder / "samples"))
        yield "`--set` to a module", traced(_module_of_a_setting())


def _loss_of_a_picture(folder: Path) -> Callable[[], object]:
    """A folder of pictures to the loss of one step of stage 1, with the preset `quick`."""
    import torch

    from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
    from ddmi_core.model.data import load_data
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.settings.resolve import resolve
    from ddmi_core.training.objective import StepContext, generator_for

    domain = domain_named("image")
    config = resolve(domain, data=str(folder))

    def journey() -> object:
        parts = build_parts(domain, config.domain)
        split = load_data(parts, config.data)
        model = build_autoencoder(parts, config)
        objective = autoencoder_objectives(parts, config, model, split)["autoencoder"]
        return objective(StepContext(0, (0, 1), generator_for(0, "step"), torch.device("cpu")))

    return journey


def _model_of_a_folder() -> Callable[[], object]:
    """The folder of the shipped weights to a model, with the discovery of its plugin."""
    import ddmi_core

    return lambda: ddmi_core.load(plugin="image")


def _files_from_noise(folder: Path) -> Callable[[], object]:
    """The noise of two samples to two files, as `ddmi sample` writes them with a loaded model."""
    import ddmi_core
    from ddmi_core.runs.generate import sample_files
    from ddmi_core.settings.config import Export, Sampling

    model = ddmi_core.load(plugin="image")
    return lambda: sample_files(model, 2, Sampling(), Export(out=folder))


def _module_of_a_setting() -> Callable[[], object]:
    """A setting as `--set` takes it to the network that it changes."""
    from ddmi_core.model.build import build_autoencoder
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.settings.resolve import resolve

    domain = domain_named("image")

    def journey() -> object:
        config = resolve(domain, overrides=[WIDTHS])
        return build_autoencoder(build_parts(domain, config.domain), config)

    return journey


def _import_all(*packages: str) -> None:
    """Import every module of some packages, so that no journey imports one."""
    for name in packages:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:  # such as pytest, which tests alone need
                if not error.name or error.name.partition(".")[0] in packages:
                    raise


def _draw(folder: Path) -> None:
    """Write a few small pictures."""
    from PIL import Image

    folder.mkdir()
    for number in range(PICTURES):
        ramp = Image.linear_gradient("L").resize((SIDE, SIDE)).rotate(60 * number)
        Image.merge("RGB", [ramp, ramp.transpose(Image.Transpose.ROTATE_90), ramp]).save(folder / f"{number}.png")


def markdown() -> str:
    """The journeys as ordered lists: one item a visit to a module, with the functions that are new on that visit."""
    parts = []
    for title, functions in journeys():
        parts += [f"### {title}", "", f"{_counted(functions)}.", ""]
        for module, visit in itertools.groupby(functions, key=lambda function: function.module):
            parts.append(f"1. `{module}`: {', '.join(f'`{function.name}`' for function in visit)}")
        parts.append("")
    return "\n".join(parts).rstrip("\n")


def _counted(functions: Sequence[Function]) -> str:
    return f"{len(functions)} functions in {len({function.file for function in functions})} files"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Counts the functions that four journeys through the code call.")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--list", action="store_true", help="list each function, in the order of first calls")
    form.add_argument("--markdown", action="store_true", help="write the lists of the map of the code")
    options = parser.parse_args()
    if options.markdown:
        print(markdown())
        return
    for title, functions in journeys():
        print(f"{title}: {_counted(functions)}")
        for function in functions if options.list else ():
            print(f"    {function.file}: {function.name}")


if __name__ == "__main__":
    main()
