"""Descriptions of feature networks: the standard ones by kind, and a user's own by a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor, nn

from ddmi_core.errors import DataError, first_line
from ddmi_core.evaluation.networks.clip import Clip, clip_file, clip_input
from ddmi_core.evaluation.networks.dinov2 import DinoV2
from ddmi_core.evaluation.networks.inception import Inception
from ddmi_core.evaluation.networks.input import CLIPS, PICTURES, TOP, Input
from ddmi_core.network_files import (
    EXPORTED,
    ONNX,
    STATE,
    TORCHSCRIPT,
    file_format,
    load_exported,
    load_into,
    load_onnx,
    load_state,
    load_torchscript,
)
from ddmi_core.settings.config import LPIPS, NETWORKS
from ddmi_core.settings.convert import Fault, structure

REQUIRED = ("file", "takes", "range", "size")
PAPERS = "the file that papers use"
UNKNOWN = "unknown file"
# Beginnings of SHA-256 digests. Releases of torch-fidelity and pytorch-fid have theirs in the file's name, those of
# OpenAI in the address. NVIDIA's Inception and StyleGAN-V's I3D are published without one.
DIGESTS = {
    "inception": ("6726825d",),
    "clip": (
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",  # ViT-B-32
        "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",  # ViT-B-16
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",  # ViT-L-14
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",  # ViT-L-14-336px
    ),
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_EXAMPLE = 'file = "network.pt", takes = "pictures", range = [0, 1], size = 224'
_SLUG = re.compile("[a-z0-9][a-z0-9_]*")

Values = bool | int | float


@frozen(kw_only=True)
class Description:
    """A feature network: its file, what it takes, and how it is called.

    Args:
        name: short, part of the names of figures.
        kind: one of `NETWORKS`; empty for a user's own.
        file: the file, or the folder, of its weights.
        format: of the file; see `ddmi_core.network_files`.
        input: what it takes.
        call: keyword arguments of its call.
        build: makes the network of a state dictionary.
    """

    name: str
    kind: str = ""
    file: Path
    format: str
    input: Input
    call: Mapping[str, Values] = field(factory=dict)
    build: Callable[[Path], nn.Module] | None = None

    def open(self, device: torch.device) -> Callable[[Tensor], Any]:
        """The network as a function of its prepared input.

        Raises:
            DataError: if the file is of another format, or has other parameters.
            RequestError: if a package is missing.
        """
        if self.build is not None:
            return self.build(self.file).to(device).eval()
        if self.format == ONNX:
            return load_onnx(self.file)
        load = load_exported if self.format == EXPORTED else load_torchscript
        network = load(self.file, device)
        return lambda values: network(values, **self.call)

    def known(self, digest: str) -> str:
        """Whether a file with this digest is the one that papers use."""
        return PAPERS if any(digest.startswith(start) for start in DIGESTS.get(self.kind, ())) else UNKNOWN


def described(kind: str, path: Path) -> Description:
    """The description of an entry of `evaluation.networks`.

    Args:
        kind: one of `NETWORKS`; empty for a description in a TOML file.
        path: of the weights, or of the TOML file.

    Raises:
        DataError: if a file is missing, or of a format that the kind has not.
    """
    if not kind:
        return own(path)
    return {"inception": _inception, "i3d": _i3d, "clip": _clip, "dinov2": _dinov2}[kind](path)


def own(path: Path) -> Description:
    """The description of a user's own network: a TOML file, or a file of a network with a TOML file beside it.

    Raises:
        DataError: names what is missing or wrong in it.
    """
    described = path if path.suffix == ".toml" else path.with_suffix(".toml")
    if not described.is_file():
        if described == path:
            raise DataError(f"{path}: no such file; evaluation.networks names it as the description of a network")
        kinds = ", ".join(f"{name}:{path.name}" for name in NETWORKS)
        raise DataError(
            f"{path}: nothing says what this network takes. Fix: write {described.name} beside it, such as {_EXAMPLE}; "
            f"or if it is a standard network, name its kind: {kinds}"
        )
    try:
        table = tomllib.loads(described.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{described}: not a TOML file: {first_line(error)}") from error
    if missing := [name for name in REQUIRED if name not in table]:
        raise DataError(f"{described}: lacks {', '.join(missing)}. Fix: add them, such as {_EXAMPLE}")
    file, name, call = table.pop("file"), table.pop("name", described.stem), table.pop("call", {})
    if not isinstance(file, str):
        raise DataError(f"{described}: file is the path of the network, relative to this file")
    place = described.parent / file
    form, call = _not_state(place, described), _call(call, described)
    if call and form == ONNX:
        raise DataError(f"{described}: call has keyword arguments, which ONNX files have not. Fix: leave it out")
    return Description(
        name=_slug(name, described),
        file=place,
        format=form,
        input=_input(table, described),
        call=call,
    )


def _slug(name: Any, path: Path) -> str:
    found = re.sub("[^0-9a-z]+", "_", str(name).lower()).strip("_")
    if not _SLUG.fullmatch(found) or found in ("plain", LPIPS, *NETWORKS):
        raise DataError(
            f"{path}: the name {name!r} cannot be that of a network of yours; it needs letters, and plain, "
            f'{", ".join((*NETWORKS, LPIPS))} are taken. Fix: name = "..."'
        )
    return found


def _input(table: Mapping[str, Any], path: Path) -> Input:
    try:
        return structure(table, Input)
    except Fault as fault:
        known = "; further keys: file, name, call" if fault.problem.startswith("unknown key") else ""
        raise DataError(f"{path}: {'.'.join(fault.path) or 'the description'}: {fault.problem}{known}") from fault


def _call(call: Any, path: Path) -> Mapping[str, Values]:
    if not isinstance(call, Mapping) or not all(isinstance(value, bool | int | float) for value in call.values()):
        raise DataError(
            f"{path}: call is a table of keyword arguments, true, false or numbers: {{ return_features = true }}"
        )
    return call


def _not_state(path: Path, described: Path) -> str:
    found = file_format(path)
    if found == STATE:
        raise DataError(
            f"{described}: {path.name} has weights without a network, or is of an unknown format. Fix: save the "
            "network by torch.export.save (.pt2), as TorchScript, or as ONNX"
        )
    return found


def _wrong(path: Path, kind: str, takes: str, found: str) -> DataError:
    return DataError(
        f"{path}: {kind} takes {takes}, and this is a file of the format {found}. Fix: give that file, or describe "
        f"this one in a TOML file: {_EXAMPLE}"
    )


def _inception(path: Path) -> Description:
    """Features of FID (arXiv 1706.08500): the last average pool of Inception in the graph of 2015-12-05.

    NVIDIA's TorchScript file resizes and scales by itself, and returns class scores unless it is asked for features.
    """
    found = file_format(path)
    if found == TORCHSCRIPT:
        given = Input(takes=PICTURES, range=(0, TOP), whole=True, size=0)
        call = {"return_features": True}
        return Description(name="inception", kind="inception", file=path, format=found, input=given, call=call)
    if found != STATE:
        takes = "inception-2015-12-05.pt, or a state dictionary of torch-fidelity or pytorch-fid"
        raise _wrong(path, "inception", takes, found)
    # (x - 128) / 128 for 8-bit x, as in the graph
    given = Input(takes=PICTURES, range=(-1, 127 / 128), size=299, filter="tensorflow-bilinear")
    return Description(
        name="inception", kind="inception", file=path, format=found, input=given, build=_builder(Inception)
    )


def _i3d(path: Path) -> Description:
    """Features of FVD (arXiv 1812.01717) as StyleGAN-V computes them (arXiv 2112.14683): 400 logits of I3D.

    The TorchScript file resizes frames to 224 x 224 and scales them by itself if asked to.
    """
    if (found := file_format(path)) != TORCHSCRIPT:
        raise _wrong(path, "i3d", "i3d_torchscript.pt", found)
    given = Input(takes=CLIPS, range=(0, TOP), whole=True, size=0)
    call = {"rescale": True, "resize": True, "return_features": True}
    return Description(name="i3d", kind="i3d", file=path, format=found, input=given, call=call)


def _clip(path: Path) -> Description:
    """Features of the image tower of CLIP (arXiv 2103.00020), before normalisation."""
    weights = clip_file(path)
    if (found := file_format(weights)) in (EXPORTED, ONNX):
        raise _wrong(path, "clip", "weights of OpenAI or open_clip, or a folder in the layout of transformers", found)
    return Description(name="clip", kind="clip", file=weights, format=found, input=clip_input(weights), build=Clip)


def _dinov2(path: Path) -> Description:
    """Features of FD-DINOv2 (arXiv 2306.04675): the class token of the last layer."""
    if (found := file_format(path)) != STATE:
        raise _wrong(path, "dinov2", "a state dictionary of the hub, such as dinov2_vitb14_pretrain.pth", found)
    mean, deviation = IMAGENET
    given = Input(takes=PICTURES, range=(0, 1), size=224, filter="bicubic", mean=mean, deviation=deviation)
    return Description(name="dinov2", kind="dinov2", file=path, format=found, input=given, build=DinoV2.of_file)


def _builder(network: Callable[[], nn.Module]) -> Callable[[Path], nn.Module]:
    return lambda path: load_into(network(), load_state(path), path)
