"""Measures single views of radiance fields and single meshes: `python benchmarks/views_and_meshes.py`.

One sample of the shipped weights of each plugin is rendered by the usual path and by the dense path, which evaluates
every step of every ray, or every point of the lattice; the program prints ratios of processor time with one thread, and
how far the results are apart. With `--baseline TREE`, processes of this tree and of another checkout alternate, and the
ratio of the other tree to this one is printed as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ddmi_core
from ddmi_core.api import Field
from ddmi_core.parts import extract_surface
from ddmi_nerf.cameras.orbit import usual_camera
from ddmi_nerf.rendering.ray_marching import march
from ddmi_nerf.rendering.renderer import NerfRenderer

TREE = Path(__file__).resolve().parents[1]
PIXELS, CELLS = 128, (128, 256)
WITHIN = 3  # repetitions in a process, of which the fastest counts


def seconds(call: Callable[[], Any], count: int = WITHIN) -> tuple[float, Any]:
    """Processor time of the fastest call, and its result."""
    times = []
    for _ in range(count):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return min(times), result


def measured(folder: Path) -> dict[str, float]:
    """Processor times of this process, and differences from the dense paths."""
    torch.set_num_threads(1)
    light, solid = (Field.load(folder / f"{name}.safetensors") for name in ("nerf", "occupancy"))
    renderer, camera = NerfRenderer((PIXELS, PIXELS)), usual_camera((PIXELS, PIXELS))
    scene = renderer.scene(light)
    scene.view(camera)
    found: dict[str, float] = {}
    # A new field is not prepared for rendering.
    found["cold view"], picture = seconds(lambda: renderer.render(light.map(lambda plane: plane), camera))
    found["warm view"], _ = seconds(lambda: scene.view(camera))
    origins, directions = camera.rays()
    found["dense view"], seen = seconds(
        lambda: march(scene.radiance, origins, directions, scene.background, step=scene.step, stop=0), 1
    )
    shown = torch.from_numpy(picture.colour).view(-1, 3)
    found["decibels of the view"] = float(-10 * ((shown - seen.colour) / 2).square().mean().log10())
    extract_surface(solid, (32, 32, 32))  # computes the table of cells, which happens once
    for cells in CELLS:
        found[f"mesh {cells}"], _ = seconds(partial(extract_surface, solid, (cells,) * 3))
    size = (CELLS[0],) * 3
    found["dense mesh"], dense = seconds(partial(extract_surface, solid, size, step=2, margin=inf), 1)
    mesh = extract_surface(solid, size)
    found["meshes are equal"] = float(np.array_equal(mesh.faces, dense.faces))
    return found


def in_process(tree: Path, folder: Path) -> dict[str, float]:
    """What a process with the packages of a tree measures."""
    paths = os.pathsep.join(map(str, (tree, tree / "plugins")))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", str(folder)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=folder).stdout
    values: dict[str, float] = json.loads(output)
    return values


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", type=Path, help="another checkout to compare with")
    parser.add_argument("--repeats", type=int, default=5, help="processes of each tree")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure)))
        return
    trees = [TREE, *([options.baseline.resolve()] if options.baseline else [])]
    results: list[list[dict[str, float]]] = [[] for _ in trees]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for plugin in ("nerf", "occupancy"):
            ddmi_core.load(plugin=plugin, device="cpu").sample(1, seed=0)[0].save(folder / f"{plugin}.safetensors")
        for _ in range(options.repeats):
            for tree, found in zip(trees, results, strict=True):
                found.append(in_process(tree, folder))
    medians = [{key: statistics.median(one[key] for one in found) for key in found[0]} for found in results]
    own = medians[0]
    dense = {"cold view": "dense view", "warm view": "dense view", f"mesh {CELLS[0]}": "dense mesh"}
    for key, value in own.items():
        if key.startswith(("decibels", "meshes")):
            print(f"{key:24} {value:.1f}")
            continue
        spread = [one[key] for one in results[0]]
        line = f"{key:24} {value:.3f} s ({min(spread):.3f} to {max(spread):.3f})"
        if key in dense:
            line += f", dense / this {own[dense[key]] / value:.1f}"
        if options.baseline:
            line += f", baseline / this {medians[1][key] / value:.2f}"
        print(line)


if __name__ == "__main__":
    main()
