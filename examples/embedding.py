"""Fields in a program: load, sample, call, differentiate, render, encode, interpolate, save, and follow progress.

python examples/embedding.py [RUN] uses a finished run of the image plugin; without one it trains a tiny run first, in
seconds, whose pictures are noise.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch

# --8<-- [start:load]
import ddmi_core as ddmi


def opened(run: Path) -> ddmi.Model:
    """A finished run, ready for use."""
    model = ddmi.load(run)  # ddmi.load(plugin="image") for the weights that ship with the plugin
    print(f"{model.domain.name} on {model.device}, classes: {', '.join(model.classes)}")
    return model


# --8<-- [end:load]


# --8<-- [start:sample]
def sampled(model: ddmi.Model) -> ddmi.Field:
    """Four new functions."""
    fields = model.sample(4, seed=0, sampler="dpmpp_2m", steps=16, condition=model.classes[0], guidance=1.5)
    print(f"{len(fields)} fields with {len(fields.basis)} scales of basis fields")
    return fields


# --8<-- [end:sample]


# --8<-- [start:call]
def called(fields: ddmi.Field) -> None:
    """Values and their slopes at any coordinates."""
    coords = torch.rand(len(fields), 100, 2) * 2 - 1  # (B, N, D) in [-1, 1]: x, then y
    coords.requires_grad_(True)
    values = fields(coords)  # (B, N, V): red, green, blue in [-1, 1]
    brightness = values.mean(dim=-1).sum()
    (slopes,) = torch.autograd.grad(brightness, coords)
    print(f"values {tuple(values.shape)}, slopes of the brightness {tuple(slopes.shape)}")


# --8<-- [end:call]


# --8<-- [start:render]
def rendered(model: ddmi.Model, field: ddmi.Field, folder: Path) -> None:
    """One field (B = 1) at several sizes, as arrays and as files."""
    for side in (48, 96, 192):
        picture = model.render(field, size=(side, side))  # nothing is computed yet
        pixels = picture.array()  # (side, side, 3), float32 in [-1, 1]
        print(f"{pixels.shape}, from {pixels.min():.2f} to {pixels.max():.2f}")
    write = model.domain.resolve(model.domain.exporters[".png"])
    write(model.render(field, size=(1024, 1024)), folder / "large.png")  # strip by strip


# --8<-- [end:render]


# --8<-- [start:encode]
def encoded(model: ddmi.Model, path: Path) -> ddmi.Planes:
    """The latent of a picture, and how well its field keeps it."""
    read = model.domain.resolve(model.domain.read)
    signal = read(path, model.config.domain)  # a signal with B = 1
    latent = model.encode(signal).mean  # .sample(generator) draws from the posterior
    again = model.render(model.decode(latent)).array()
    error = abs(torch.from_numpy(again).movedim(-1, 0) - signal.pixels[0]).mean()
    print(f"latent {tuple(latent[0].shape)}, mean error {error:.3f}")
    return latent


# --8<-- [end:encode]


# --8<-- [start:between]
def between(model: ddmi.Model, first: ddmi.Planes, second: ddmi.Planes, steps: int = 5) -> ddmi.Field:
    """Fields on the way from one latent to another."""
    weights = torch.linspace(0, 1, steps).view(-1, 1, 1, 1)
    return model.decode(ddmi.Planes(a.lerp(b, weights) for a, b in zip(first, second, strict=True)))


# --8<-- [end:between]


# --8<-- [start:save]
from ddmi_core.fields import storage  # noqa: E402


def stored(field: ddmi.Field, path: Path) -> ddmi.Field:
    """A field in a file: reading it needs no model and no plugin."""
    storage.save(field, path)
    again = storage.load(path)
    centre = torch.zeros(len(field), 1, 2)
    assert torch.equal(again(centre), field(centre))
    print(f"{path.stat().st_size // 1024} KiB")
    return again


# --8<-- [end:save]


# --8<-- [start:progress]
from ddmi_core.diffusion.samplers import Progress  # noqa: E402


class Cancelled(Exception):  # noqa: N818
    """Raised by a callback to end the sampling."""


def watched(model: ddmi.Model, most: int) -> None:
    """Follow the sampling step by step, and end it early."""

    def tell(progress: Progress) -> None:
        print(f"step {progress.step} of {progress.steps}, time {progress.time:.2f}")
        preview = model.normalisation.invert(progress.x0)  # the estimate so far, as latents (B, L)
        model.render(model.decode(model.shape.unpack(preview))[0])
        if progress.step == most:
            raise Cancelled

    try:
        model.sample(1, seed=0, steps=16, callback=tell)
    except Cancelled:
        print("cancelled")


# --8<-- [end:progress]


def tiny_run(folder: Path) -> Path:
    """A run that takes seconds."""
    program = Path(sys.executable).with_name("ddmi")
    settings = Path(__file__).parent.parent / "docs" / "tiny.toml"
    command = [program, "run", "--plugin", "image", "--config", settings, "--out", folder]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def main() -> None:
    """Everything in order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else tiny_run(folder / "run")
        model = opened(run)
        fields = sampled(model)
        called(fields)
        rendered(model, fields[0], folder)
        pictures = sorted((run / "samples").glob("*.png"))[:2]
        first, second = (encoded(model, picture) for picture in pictures)
        way = between(model, first, second)
        print(f"{len(way)} fields on the way")
        stored(way[2], folder / "between.safetensors")
        watched(model, most=3)


if __name__ == "__main__":
    main()
