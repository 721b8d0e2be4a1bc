"""Measures time and memory of a clip of ten seconds at 1080 x 1920: `python benchmarks/long_clip.py [RUN|plugin]`.

RUN is a run of the video plugin, or `plugin` for its shipped weights; the program draws one sample. Without RUN, it
draws an untrained field of the preset `quick`. Another process writes the file, so the peak memory is that of drawing
and writing alone. The program then times a few frames in comparison with the plain path, `field(coords)`.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

import ddmi_core as ddmi
from ddmi_core.api import Field
from ddmi_core.model.build import build_autoencoder
from ddmi_core.parts import GridArtefact, GridSignal, cell_centres, lattice_points
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_video.export import write_mp4
from ddmi_video.views import parse_view


def clip(source: str, view: str) -> GridArtefact:
    """One field of a source, as a clip whose frames are not computed yet."""
    if source:
        model = ddmi.load(plugin="video", device="cpu") if source == "plugin" else ddmi.load(source, device="cpu")
        return model.renderer.render(model.sample(1, seed=0)[0], parse_view(view, model.settings))
    domain = domain_named("video")
    config = resolve(domain, "quick")
    parts = build_parts(domain, config.domain)
    noise = torch.rand(1, 3, *config.domain.native, generator=torch.Generator().manual_seed(0)) * 2 - 1
    autoencoder = build_autoencoder(parts, config).eval().requires_grad_(False)
    field = autoencoder.decode(autoencoder.encode(GridSignal(noise)).mean)
    return parts.renderer.render(field, parse_view(view, config.domain))


@torch.inference_mode()
def plain(field: Field, size: tuple[int, ...], frame: int, chunk: int) -> Tensor:
    """One frame `(rows, columns, V)`, point by point."""
    frames, rows, columns = size
    axes = (cell_centres(columns), cell_centres(rows), cell_centres(frames)[frame : frame + 1])
    values = torch.cat([field(part[None])[0] for part in lattice_points(axes).split(chunk)])
    return values.clamp(-1, 1).view(rows, columns, -1)


def compare(drawn: GridArtefact, count: int, chunk: int) -> None:
    """Print the seconds a frame of both paths, which alternate frame by frame, and their largest difference."""
    quick, slow, apart = [], [], 0.0
    slabs = drawn.slabs()
    next(slabs)  # prepares tables and memory
    plain(drawn.field, drawn.size, 0, chunk)
    for number in range(1, count + 1):
        start = time.process_time()
        values = torch.from_numpy(next(slabs))[0]
        middle = time.process_time()
        expected = plain(drawn.field, drawn.size, number, chunk)
        quick, slow = [*quick, middle - start], [*slow, time.process_time() - middle]
        apart = max(apart, float((values - expected).abs().max()))
    best, other = min(quick), min(slow)
    print(
        f"evaluation of a frame: {best:.2f} s, plain path {other:.2f} s: {other / best:.1f} times faster; "
        f"largest difference {apart:.1e}"
    )


def main() -> None:
    """Write the file in another process, print time and memory, then compare the paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", default="", metavar="RUN|plugin")
    parser.add_argument("--view", default="1080x1920@30,10s", help="size, as for `ddmi sample --size`")
    parser.add_argument("--frames", type=int, default=3, help="number of frames to time")
    parser.add_argument("--chunk", type=int, default=8192, help="points a chunk in the plain path")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.write:
        write_mp4(clip(options.source, options.view), options.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        path, start = Path(folder) / "long.mp4", time.perf_counter()
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--write", str(path)], check=True)
        seconds, size = time.perf_counter() - start, path.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # kilobytes on Linux
    drawn = clip(options.source, options.view)
    print(f"{drawn.size[0]} frames in {seconds:.0f} s, {size / 1e6:.1f} MB; peak memory {peak / 1e9:.2f} GB")
    compare(drawn, options.frames, options.chunk)


if __name__ == "__main__":
    main()
