"""Checks of rendering: sizes, reproducibility, gradients, views, originals and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from ddmi_core.errors import RequestError
from ddmi_core.grids.raster import GridArtefact
from ddmi_core.grids.renderer import GridRenderer
from ddmi_core.testing.check import NotApplicable, expect
from ddmi_core.testing.grids import grid_of, levels_of
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import difference, finite, leaves

CLOSE = 1e-5
LARGEST = 4096  # pixels of each side of a thumbnail
SIZES = (7, 5, 3, 2)


def check_render_sizes(subject: Subject) -> None:
    """A grid is rendered at the native size, at odd sizes and at one cell, float32 and finite, as requested."""
    plain = getattr(type(subject.parts.renderer), "render", None) is GridRenderer.render
    if not plain or not isinstance(subject.native, GridArtefact):
        _render_sizes_by_text(subject)
        return
    native = grid_of(subject.native).shape[:-1]
    odd = tuple(SIZES[axis % len(SIZES)] for axis in range(len(native)))
    for size in (native, odd, (1,) * len(native)):
        artefact = subject.parts.renderer.render(subject.fields[0], size)
        values = grid_of(artefact)
        wanted = (*size, len(subject.parts.channels()))
        expect(
            values.shape == wanted and tuple(artefact.size) == tuple(size) and str(values.dtype) == "float32",
            "a render has another size or type than requested",
            "return float32 (*size, V), slowest axis first, and the requested `size`",
            requested=size,
            shape=values.shape,
            dtype=str(values.dtype),
        )
        expect(finite(values), "a render has values that are not finite", "check the basis fields", size=size)


def _render_sizes_by_text(subject: Subject) -> None:
    """The same check for artefacts of other renderers that have a size, through values of `--size`."""
    native = getattr(subject.native, "size", None)
    if not isinstance(native, tuple):
        raise NotApplicable(f"{type(subject.native).__name__} has no size that --size selects")
    for size in (native, tuple(SIZES[axis % len(SIZES)] for axis in range(len(native))), (1,) * len(native)):
        words = "x".join(map(str, size))
        try:
            view = subject.parts.parse_view(words)
        except RequestError as error:
            raise NotApplicable(f"--size does not accept {words}: {error}") from error
        artefact = subject.parts.renderer.render(subject.fields[0], view)
        expect(
            tuple(artefact.size) == size and finite(_contents(subject, artefact)),
            "a render has another size than requested, or values that are not finite",
            "return the requested `size`, slowest axis first",
            requested=size,
            size=artefact.size,
        )


def check_render_repeats(subject: Subject) -> None:
    """Two renders of one field are equal bit for bit."""
    render, field = subject.parts.renderer.render, subject.fields[0]
    where = difference(*(_contents(subject, render(field)) for _ in range(2)))
    expect(
        not where,
        f"two renders of one field differ: {where}",
        "draw no random numbers in render, or use a generator with a fixed seed",
        renders=2,
    )


def check_render_leaves_no_gradient(subject: Subject) -> None:
    """A render keeps no gradients in the artefact, and does not change the field or the global gradient mode."""
    field = subject.autoencoder.decode(subject.posterior.mean)[0]
    before = torch.is_grad_enabled()
    artefact = subject.parts.renderer.render(field)
    contents = _contents(subject, artefact)
    after = torch.is_grad_enabled()
    held = [name for name, tensor in leaves(contents) if tensor.requires_grad]
    fix = "decorate the evaluation with @torch.inference_mode(), and do not set the gradient mode"
    expect(not held, f"values of an artefact require gradients: {', '.join(held)}", fix, tensors=len(held))
    expect(before == after, "a render changed the gradient mode", fix, before=before, after=after)
    expect(
        field(torch.zeros(1, 1, len(subject.domain.layout.axes))).requires_grad,
        "after a render, a field is no longer differentiable",
        "render without changing the given field",
        renders=1,
    )


def check_views(subject: Subject) -> None:
    """The views of a report have unique labels, are ordered from small to large, and can be rendered."""
    views = subject.parts.report_views()
    labels = [label for label, _ in views]
    expect(
        bool(labels) and all(isinstance(label, str) and label for label in labels) and len(set(labels)) == len(labels),
        "labels of views are missing, or repeat",
        "return one or more pairs (label, view) with unique labels",
        views=len(labels),
        labels=labels,
    )
    cells = []
    for label, view in views:
        artefact = subject.parts.renderer.render(subject.fields[0], view)
        contents = _contents(subject, artefact)
        expect(finite(contents), f"the view {label!r} has values that are not finite", "check the renderer", view=view)
        if isinstance(artefact, GridArtefact):
            cells.append(grid_of(artefact)[..., 0].size)
    expect(
        cells == sorted(cells),
        "views are not ordered from small to large",
        "order them by size, so that a report can show them side by side",
        cells=cells,
    )


def check_original(subject: Subject) -> None:
    """The original of a signal is an artefact like a render: its native values at the native size."""
    originals = [subject.parts.ground_truth(subject.batch, index) for index in range(subject.count)]
    if not all(isinstance(artefact, GridArtefact) for artefact in (subject.native, *originals)):
        _originals(originals)
        return
    for index, artefact in enumerate(originals):
        expect(
            artefact.size == subject.native.size and artefact.channels == subject.native.channels,
            "the original has another size or number of channels than a render in the native view",
            "set settings.native to the size of the signals' first level",
            original=(*artefact.size, artefact.channels),
            render=(*subject.native.size, subject.native.channels),
        )
        expect(
            artefact.extent == subject.native.extent,
            "the original has another extent than a render",
            "take the extent from the renderer",
            original=artefact.extent,
            render=subject.native.extent,
        )
        wanted = levels_of(subject.batch)[0][index].movedim(0, -1)
        values = torch.from_numpy(grid_of(artefact))
        if values.shape != wanted.shape:
            raise NotApplicable(f"originals {tuple(values.shape)} show other axes than signals {tuple(wanted.shape)}")
        apart = float((values - wanted).abs().max())
        expect(
            apart <= CLOSE,
            "the values of the original differ from those of the signal",
            "use signal `index` of the batch, with the channels last",
            index=index,
            difference=apart,
            tolerance=CLOSE,
        )


def _originals(artefacts: Sequence[Any]) -> None:
    """Checks of originals that are not on grids: finite values, different for different signals."""
    for index, artefact in enumerate(artefacts):
        expect(finite(artefact), "an original has values that are not finite", "use the signal's values", index=index)
    parts = [list(leaves(artefact)) for artefact in artefacts]
    if len(artefacts) > 1 and parts[0]:
        same = sum(not difference(artefacts[0], artefact) for artefact in artefacts[1:])
        expect(
            same == 0,
            "originals of different signals are equal",
            "use signal `index` of the batch",
            equal_to_the_first=same,
        )


def check_native_size(subject: Subject) -> None:
    """The native size of the renderer is that of the signals."""
    if not isinstance(subject.parts.renderer, GridRenderer):
        raise NotApplicable(f"{type(subject.parts.renderer).__name__} is not the core's renderer of grids")
    size = tuple(levels_of(subject.batch)[0].shape[2:])
    expect(
        size == subject.parts.renderer.native,
        "the size of the signals differs from the renderer's native size",
        "set settings.native to the size of the signals' first level, slowest axis first",
        signals=size,
        renderer=subject.parts.renderer.native,
    )


def check_pictures(subject: Subject) -> None:
    """A picture of a render or an original is a Pillow image, or a sequence of them, of a reasonable size."""
    renderer = subject.parts.renderer
    artefacts = {"a render": subject.native}
    artefacts["an original"] = subject.parts.ground_truth(subject.batch, 0)
    label, view = subject.parts.report_views()[-1]
    artefacts[f"the view {label}"] = renderer.render(subject.fields[0], view)
    for name, artefact in artefacts.items():
        drawn = subject.parts.picture(artefact)
        frames = list(drawn) if isinstance(drawn, Sequence) else [drawn]
        expect(
            bool(frames) and all(isinstance(frame, Image.Image) for frame in frames),
            f"the picture of {name} is a {type(drawn).__name__}",
            "return a PIL.Image.Image, or a sequence of them",
            frames=len(frames),
        )
        sizes = {frame.size for frame in frames}
        expect(
            len(sizes) == 1 and min(frames[0].size) >= 1 and max(frames[0].size) <= LARGEST,
            f"the picture of {name} is too large, empty, or changes in size",
            "reduce large artefacts, for example with artefact.at(size)",
            sizes=sorted(sizes),
            most=LARGEST,
        )
        for frame in frames:
            frame.convert("RGB").load()
    if subject.count > 1:
        originals = [subject.parts.ground_truth(subject.batch, index) for index in range(subject.count)]
        different = {_pixels(subject.parts.picture(artefact)) for artefact in originals}
        expect(
            len(different) > 1,
            "the pictures of different originals are equal",
            "draw the values of the artefact",
            originals=len(originals),
        )


def _pixels(drawn: Any) -> tuple[bytes, ...]:
    frames = list(drawn) if isinstance(drawn, Sequence) else [drawn]
    return tuple(frame.convert("RGB").tobytes() for frame in frames)


def _contents(subject: Subject, artefact: Any) -> Any:
    """The content of an artefact as tensors; the bytes of its first file if it has none."""
    if isinstance(artefact, GridArtefact):
        return artefact.array()
    if list(leaves(artefact)):
        return artefact
    suffix, export = next(iter(subject.parts.exporters().items()))
    path = subject.scratch("contents") / f"artefact{suffix}"
    export(artefact, path)
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
