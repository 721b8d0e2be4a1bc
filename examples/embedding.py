"""Fields in a program: train, load, sample, call, differentiate, render, encode, interpolate, save, follow progress.

`python examples/embedding.py RUN` uses a finished run of the image plugin. Without RUN, it first trains a tiny model in
seconds; the pictures of this model are noise.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

import ddmi_core as ddmi


def loaded(run: Path) -> ddmi.Model:
    """Load a finished run."""
    # --8<-- [start:load]
    import ddmi_core as ddmi

    model = ddmi.load(run)  # or ddmi.load(plugin="image")
    print(f"{model.domain.name} on {model.device}: {model.classes}")
    # --8<-- [end:load]
    return model


def sampled(model: ddmi.Model) -> ddmi.Field:
    """Sample four new fields."""
    # --8<-- [start:sample]
    fields = model.sample(
        4,
        seed=0,
        sampler="unipc",
        steps=16,
        condition=model.classes[0],
        guidance=1.5,
    )
    print(f"{len(fields)} fields, {len(fields.basis)} scales")
    # --8<-- [end:sample]
    return fields


def call(fields: ddmi.Field) -> None:
    """Evaluate fields at any coordinates, and differentiate them."""
    # --8<-- [start:call]
    coords = torch.rand(4, 100, 2) * 2 - 1  # (B, N, D): x, then y
    coords.requires_grad_(True)
    values = fields(coords)  # (B, N, V): red, green, blue in [-1, 1]
    brightness = values.mean(dim=-1).sum()
    (slopes,) = torch.autograd.grad(brightness, coords)  # (B, N, D)
    # --8<-- [end:call]
    print(f"values {tuple(values.shape)}, slopes {tuple(slopes.shape)}")


def fit(model: ddmi.Model, latent: ddmi.Planes) -> None:
    """Fit a latent to an objective: here, a field that is white at its border."""
    # --8<-- [start:fit]
    side = torch.linspace(-1, 1, 50)
    top = torch.stack([side, torch.full_like(side, -1)], dim=1)
    border = torch.cat([top, -top, top.flip(1), -top.flip(1)])[None]

    wanted = latent.map(lambda plane: plane.clone().requires_grad_(True))
    optimiser = torch.optim.Adam(wanted, lr=0.05)
    for step in range(5):
        loss = (model.decode(wanted)(border) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        print(f"step {step}: {loss:.4f}")
    # --8<-- [end:fit]


def render(model: ddmi.Model, fields: ddmi.Field, folder: Path) -> None:
    """Render one field at several sizes, as arrays and as a file."""
    # --8<-- [start:render]
    for side in (48, 96, 192):
        picture = model.render(fields[0], size=side)
        pixels = picture.array()  # (side, side, 3), float32 in [-1, 1]
        print(pixels.shape, pixels.mean())

    large = model.render(fields[0], size=1024)
    model.write(large, folder / "large.png")
    # --8<-- [end:render]


def encoded(model: ddmi.Model, path: Path) -> ddmi.Planes:
    """Encode a picture, and measure the error of its reconstruction."""
    # --8<-- [start:encode]
    signal = model.read(path)  # one picture, B = 1
    latent = model.encode(signal).mean  # or .sample(generator)
    field = model.decode(latent)

    again = torch.from_numpy(model.render(field).array())
    error = (again.movedim(-1, 0) - signal.values[0]).abs().mean()
    # --8<-- [end:encode]
    print(f"latent {tuple(latent[0].shape)}, mean error {error:.3f}")
    return latent


def between(model: ddmi.Model, first: ddmi.Planes, second: ddmi.Planes) -> ddmi.Field:
    """Interpolate: five fields from one latent to another."""
    # --8<-- [start:between]
    weights = torch.linspace(0, 1, 5).view(-1, 1, 1, 1)
    pairs = zip(first, second, strict=True)
    way = model.decode(ddmi.Planes(a.lerp(b, weights) for a, b in pairs))
    print(f"{len(way)} fields")
    # --8<-- [end:between]
    return way


def store(field: ddmi.Field, path: Path) -> None:
    """Save a field to a file, and load it."""
    # --8<-- [start:save]
    field.save(path)
    again = ddmi.Field.load(path)  # needs no model and no plugin

    centre = torch.zeros(1, 1, 2)
    assert torch.equal(again(centre), field(centre))
    # --8<-- [end:save]
    print(f"{path.stat().st_size // 1024} KiB")


def watch(model: ddmi.Model, most: int) -> None:
    """Follow the sampling step by step, and cancel it."""
    # --8<-- [start:progress]
    from ddmi_core.diffusion.samplers import Progress

    class CancelledError(Exception):
        pass

    def tell(progress: Progress) -> None:
        print(f"step {progress.step} of {progress.steps}")
        latents = model.normalisation.invert(progress.x0)  # the estimate
        preview = model.decode(model.shape.unpack(latents))
        model.render(preview[0])
        if progress.step == most:
            raise CancelledError

    try:
        model.sample(1, seed=0, steps=16, callback=tell)
    except CancelledError:
        print("cancelled")
    # --8<-- [end:progress]


def trained(folder: Path) -> Path:
    """Train a run that takes seconds."""
    settings = Path(__file__).parent.parent / "docs" / "tiny.toml"
    # --8<-- [start:run]
    model = ddmi.run(
        "image",
        folder,
        config=settings,  # a TOML file, or preset="quick"
        overrides=["diffusion.training.steps=40"],  # as --set takes them
        seed=1,
    )
    # --8<-- [end:run]
    print(f"trained {model.domain.name}")
    return folder


def main() -> None:
    """Run all parts in order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else trained(folder / "run")
        model = loaded(run)
        fields = sampled(model)
        call(fields)
        render(model, fields, folder)
        pictures = sorted((run / "samples").glob("*.png"))[:2]
        first, second = (encoded(model, picture) for picture in pictures)
        fit(model, first)
        way = between(model, first, second)
        store(way[2], folder / "field.safetensors")
        watch(model, most=3)


if __name__ == "__main__":
    main()
