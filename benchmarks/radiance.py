"""Measures quality and speed of radiance fields: `python benchmarks/radiance.py`.

The program fits a field of three planes to views of a procedural scene, from colours along rays alone. It then renders
training views and novel views, and compares two renderings with the same steps: dense sampling, and occupied cells
with an early stop. It prints peak signal-to-noise ratios and the speed-up in processor time. With `--run RUN`, the
fields are samples of a trained model, and the program only compares the two renderings.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from attrs import evolve
from torch import Tensor

import ddmi_core
from ddmi_core.api import Field, Layout, Planes
from ddmi_core.parts import CoarseToFineReadout, ReadoutConfig
from ddmi_nerf.cameras.camera import Camera
from ddmi_nerf.cameras.orbit import usual_camera
from ddmi_nerf.rendering.export import write_depth, write_glb, write_mp4, write_normals, write_png
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.rays import RayQueries, entering
from ddmi_nerf.rendering.renderer import NerfRenderer
from ddmi_nerf.rendering.scene import Picture, Scene

WHITE = torch.ones(3)
LAYOUT = Layout(axes=("x", "y", "z"), planes=(("x", "y"), ("y", "z"), ("x", "z")))


def solids(points: Tensor) -> tuple[Tensor, Tensor]:
    """Density and colour of some coloured solids on a plate, with borders soft over a pixel or two."""
    x, y, z = points.unbind(dim=1)
    ball = 0.38 - (points - points.new_tensor([0.25, -0.15, -0.02])).norm(dim=1)
    box = 0.24 - (points - points.new_tensor([-0.35, 0.25, -0.16])).abs().amax(dim=1)
    ring = 0.09 - torch.stack([torch.stack([x + 0.35, y - 0.25]).norm(dim=0) - 0.3, z - 0.32]).norm(dim=0)
    plate = torch.minimum(0.75 - torch.stack([x, y]).norm(dim=0), 0.05 - (z + 0.45).abs())
    depths = torch.stack([ball, box, ring, plate], dim=1)
    deepest, which = depths.max(dim=1)
    paints = points.new_tensor([[0.8, -0.5, -0.6], [-0.7, 0.1, 0.8], [0.9, 0.6, -0.8], [0.2, 0.3, 0.25]])
    shade = 0.25 * torch.sin(3 * points.sum(dim=1))[:, None]
    return 90 * torch.sigmoid(deepest / 0.008), (paints[which] + shade).clamp(-1, 1)


def cameras(count: int, size: int, turn: float = 0.0) -> list[Camera]:
    """Cameras around the scene, spread evenly by the golden angle."""
    return [
        Camera.orbit(137.508 * i + turn, -15 + 75 * (i + 0.5) / count, 2.8, width=size, height=size)
        for i in range(count)
    ]


def pixels(views: list[Camera]) -> RayQueries:
    """All rays of some cameras that cross the cube, with the colours of the scene, as a batch of one."""
    scene = Scene.of(solids, WHITE, step=0.005)
    coords, directions, colours = [], [], []
    for camera in views:
        origins, looks = camera.rays()
        places, crosses = entering(origins, looks)
        shown = march(solids, origins, looks, WHITE, step=scene.step, grid=scene.grid).colour
        for kept, part in ((coords, places), (directions, looks), (colours, shown)):
            kept.append(part[crosses])
    return RayQueries(
        coords=torch.cat(coords)[None], extra=torch.cat(directions)[None], targets=torch.cat(colours)[None]
    )


def fit(rays: RayQueries, renderer: NerfRenderer, steps: int, batch: int, cells: int, channels: int) -> Field:
    """A field of free planes, fitted to the colours of the rays."""
    generator = torch.Generator().manual_seed(0)
    grids = [torch.randn(1, channels, cells, cells, generator=generator).mul_(0.1).requires_grad_() for _ in range(3)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        readout = CoarseToFineReadout((3 * channels,), 0, 4, ReadoutConfig(width=32, depth=2, planes="concatenate"))
    field = Field((Planes(grids),), readout, LAYOUT)
    groups = [{"params": grids, "lr": 0.03}, {"params": readout.parameters(), "lr": 0.005}]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-12)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimiser, [0.03, 0.005], total_steps=steps, pct_start=0.05)
    for step in range(steps):
        chosen = torch.randint(rays.coords.shape[1], (batch,), generator=generator)
        queries = some(rays, chosen, torch.rand(1, batch, generator=generator))
        loss = (renderer.observe(field, queries) - queries.targets).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
        if step % 200 == 0:
            print(f"step {step}: {decibels(loss.item() / 4):.1f} dB PSNR of the rays", flush=True)
    return field.map(torch.Tensor.detach)


def some(rays: RayQueries, chosen: Tensor, jitter: Tensor) -> RayQueries:
    """Some of the rays."""
    parts = {name: getattr(rays, name)[:, chosen] for name in ("coords", "extra", "targets")}
    return evolve(rays, **parts, jitter=jitter)


def decibels(error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error of colours in [0, 1]."""
    return float(-10 * torch.log10(torch.tensor(error)))


def apart(one: Tensor, other: Tensor) -> float:
    """Peak signal-to-noise ratio of colours in [-1, 1]."""
    return decibels(float(((one - other) / 2).square().mean()))


def compare_with_truth(scene: Scene, views: list[Camera], name: str) -> None:
    """Print the PSNR of views of the field, compared with the procedural scene."""
    truth = Scene.of(solids, WHITE, step=0.005)
    ratios = [apart(scene.view(camera).colour, truth.view(camera).colour) for camera in views]
    print(f"{name}: {sum(ratios) / len(ratios):.1f} dB (minimum {min(ratios):.1f})")


def compare_with_dense(scene: Scene, size: int, repeats: int) -> None:
    """Print the speed-up of skipping and early stop over dense sampling with the same steps, and their PSNR."""
    camera = Camera.orbit(30, 25, 2.8, width=size, height=size)
    rays = camera.rays()

    def dense() -> Tensor:
        return march(scene.radiance, *rays, WHITE, step=scene.step, stop=0).colour

    def fast() -> Tensor:
        return march(scene.radiance, *rays, WHITE, step=scene.step, grid=scene.grid).colour

    times: dict[str, list[float]] = {"dense": [], "fast": []}
    for _ in range(repeats):
        for name, draw in (("dense", dense), ("fast", fast)):
            start = time.process_time()
            draw()
            times[name].append(time.process_time() - start)
    start = time.process_time()
    Scene.of(scene.radiance, WHITE, scene.step)
    grid = time.process_time() - start
    slow, quick = min(times["dense"]), min(times["fast"])
    assert scene.grid is not None
    print(
        f"{size} x {size}, step {scene.step}, {scene.grid.share:.0%} of the cells occupied: dense {slow:.2f} s, fast "
        f"{quick:.2f} s: {slow / quick:.1f} times; with the grid, {grid:.2f} s, {slow / (quick + grid):.1f} times; "
        f"{apart(dense(), fast()):.1f} dB PSNR"
    )


def compare_samples(run: Path, count: int, size: int) -> None:
    """Compare both renderings for samples of a trained model, with the renderer's own steps."""
    model = ddmi_core.load(run, device="cpu")
    renderer = model.renderer
    if not isinstance(renderer, NerfRenderer):
        raise SystemExit(f"{run} is a run of the domain {model.domain.name!r}; give one of radiance fields")
    for number, field in enumerate(model.sample(count, seed=0)):
        print(f"sample {number}: ", end="")
        compare_with_dense(renderer.scene(field), size, repeats=3)


def main() -> None:
    """Fit, compare, and write files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--rays", type=int, default=1024, help="rays a training step")
    parser.add_argument("--samples", type=int, default=64, help="intervals of a ray in training")
    parser.add_argument("--fine", type=int, default=0, help="additional samples, by importance")
    parser.add_argument("--cells", type=int, default=96, help="cells of a plane along each side")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--views", type=int, default=40)
    parser.add_argument("--size", type=int, default=96, help="pixels of a view along each side")
    parser.add_argument("--step", type=float, default=0.01, help="distance between samples of a ray in rendering")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the field, pictures, an orbit and a surface")
    parser.add_argument("--run", type=Path, help="compare samples of this run instead of fitting a field")
    parser.add_argument("--samples-of-run", type=int, default=4, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.run:
        compare_samples(options.run, options.samples_of_run, 2 * options.size)
        return
    views = cameras(options.views, options.size)
    start = time.process_time()
    renderer = NerfRenderer((options.size, options.size), options.samples, options.fine, options.step)
    field = fit(pixels(views), renderer, options.steps, options.rays, options.cells, options.channels)
    print(f"fitted in {time.process_time() - start:.0f} s")
    scene = Scene.of(field, WHITE, options.step)
    compare_with_truth(scene, views[:8], "training views")
    compare_with_truth(scene, cameras(8, options.size, turn=61), "novel views")
    compare_with_dense(scene, 2 * options.size, repeats=3)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        field.save(options.out / "field.safetensors")
        shown = Picture.of(scene, usual_camera((256, 256)))
        write_png(shown, options.out / "colour.png")
        write_normals(shown, options.out / "normals.png")
        write_depth(shown, options.out / "depth.png")
        write_mp4(shown, options.out / "orbit.mp4")
        write_glb(shown, options.out / "surface.glb")


if __name__ == "__main__":
    main()
