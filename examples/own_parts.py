"""Custom parts of a domain: an encoder, a renderer with its sampler, a metric and a condition, each trained in seconds.

`python examples/own_parts.py` registers small variants of one domain, waves over time. It trains each variant and
prints a figure that shows the effect of its part. A plugin does the same in a package.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from attrs import evolve, frozen
from PIL import Image
from torch import Tensor, nn

import ddmi_core as ddmi
from ddmi_core.api import Condition, CoordinateSampler, Encoder, Field, Planes, Posterior, Queries, SignalSet, Split
from ddmi_core.errors import DataError, RequestError
from ddmi_core.parts import (
    AutoencoderConfig,
    GridArtefact,
    GridDomain,
    GridRenderer,
    GridSet,
    GridSignal,
    Metric,
    OnGrids,
    Source,
    cell_centres,
    native_grid,
    psnr_db,
)

SLOWEST, FASTEST = 1.0, 4.0  # waves from -1 to 1


@frozen
class Settings:
    """Settings of the waves."""

    size: int = 64
    count: int = 240
    window: float = 0.0  # length of a measurement's averaging window; 0 measures values

    @property
    def native(self) -> tuple[int]:
        """Cells along the axis."""
        return (self.size,)


def wave(number: int, t: Tensor, window: float = 0.0) -> Tensor:
    """Values of one wave at times `t`, or its means over windows centred at `t`."""
    draw = torch.Generator().manual_seed(number)
    waves, phase = torch.rand(2, generator=draw).tolist()
    rate = math.pi * (SLOWEST + waves * (FASTEST - SLOWEST))  # radians per unit of t, for t from -1 to 1
    damped = math.sin(rate * window / 2) / (rate * window / 2) if window else 1.0
    return 0.9 * damped * torch.sin(rate * t + 2 * math.pi * phase)


def formulas(location: None, settings: Settings) -> Split:
    """Waves of random frequency and phase."""
    numbers = range(settings.count)
    t = cell_centres(settings.size)
    values = torch.stack([wave(n, t, settings.window) for n in numbers]).unsqueeze(1)
    return GridSet([values.numpy()], [f"wave {n}" for n in numbers]).split(0.1)


def read(path: Path, settings: Settings) -> GridSignal:
    """Read a wave from an array."""
    try:
        values = np.load(path).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not an array of numbers in NumPy's format: {error}") from error
    if values.shape != (settings.size, 1):
        raise DataError(f"{path}: an array {values.shape}; a wave has ({settings.size}, 1)")
    return GridSignal(torch.from_numpy(values).movedim(-1, 0)[None])


def write(artefact: GridArtefact, path: Path) -> None:
    """Write a wave as an array."""
    with path.open("wb") as file:
        np.save(file, artefact.array())


def picture(artefact: GridArtefact) -> Image.Image:
    """Draw a wave as a band; low values are dark."""
    band = np.repeat(artefact.array().T, 16, axis=0)
    return Image.fromarray(((band.clip(-1, 1) + 1) * 127.5).astype(np.uint8))


# --8<-- [start:domain]
class Waves(GridDomain[Settings]):
    """Waves as functions of time."""

    @classmethod
    def presets(cls) -> Mapping[str, Path | str]:
        """A run of seconds."""
        return {"quick": Path(__file__).parent / "own_presets" / "quick.toml"}

    def sources(self) -> Mapping[str, Source]:
        """Waves by formulas."""
        return {"formulas": formulas}

    def read(self, path: Path) -> GridSignal:
        """The wave in a file."""
        return read(path, self.settings)

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """Arrays of NumPy."""
        return {".npy": write}

    def picture(self, artefact: GridArtefact) -> Image.Image:
        """A band."""
        return picture(artefact)


WAVES = ddmi.Domain(
    api_version=1,
    name="waves",
    summary="Procedural waves",
    layout=ddmi.Layout(axes=("t",), planes=(("t",),)),
    values=("height",),
    implementation=Waves,
)
# --8<-- [end:domain]


# --8<-- [start:encoder]
class AttentionEncoder(Encoder[OnGrids]):
    """Cross-attention from the cells of the latent to any number of samples."""

    def __init__(self, cells: int, latent_channels: int, width: int = 48) -> None:
        super().__init__()
        self.cells = cells
        self.rates = math.pi * 2.0 ** torch.arange(5)
        features = 2 * len(self.rates)
        self.query = nn.Linear(features, width)
        self.key_value = nn.Linear(features + 1, width)
        self.attend = nn.MultiheadAttention(width, num_heads=4, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, 2 * latent_channels))

    def forward(self, signal: OnGrids) -> Posterior:
        """Posterior with one latent `(B, C, cells)`, for samples `(B, 1, n)` with any n."""
        values = native_grid(signal).movedim(1, 2)  # (B, n, 1)
        batch, n, _ = values.shape
        positions = self.encode_positions(n, values).expand(batch, -1, -1)
        queries = self.query(self.encode_positions(self.cells, values)).expand(batch, -1, -1)
        keys = self.key_value(torch.cat([positions, values], dim=2))
        attended, _ = self.attend(queries, keys, keys, need_weights=False)
        mean, log_variance = self.head(queries + attended).movedim(2, 1).chunk(2, dim=1)
        return Posterior(Planes([mean]), Planes([log_variance.clamp(-20, 10)]))

    def encode_positions(self, n: int, like: Tensor) -> Tensor:
        """Fourier features of the centres of n cells, `(n, 10)`."""
        angles = cell_centres(n).to(like)[:, None] * self.rates.to(like)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class AttentiveWaves(Waves):
    """Waves with an encoder of their own."""

    def encoder(self, config: AutoencoderConfig) -> AttentionEncoder:
        """The encoder with initial weights, for training and for every loaded model."""
        return AttentionEncoder(cells=16, latent_channels=config.latent_channels)


ATTENTIVE = evolve(WAVES, name="attentive-waves", implementation=AttentiveWaves)
# --8<-- [end:encoder]


# --8<-- [start:queries]
@frozen(eq=False, kw_only=True)
class Windows(Queries):
    """Queries for means over windows; `coords` are the centres of the windows."""

    width: Tensor  # (B, N, 1), length of each window


class WindowSampler(CoordinateSampler[OnGrids]):
    """Draws measurements whose windows lie within the axis."""

    def __init__(self, width: float) -> None:
        self.width = width

    def sample(self, signal: OnGrids, n: int, generator: torch.Generator) -> Windows:
        """Draw `n` measurements of each signal, with replacement."""
        means = native_grid(signal)
        centres = cell_centres(means.shape[-1])
        inside = (centres.abs() <= 1 - self.width / 2).nonzero().flatten()
        chosen = inside[torch.randint(len(inside), (len(means), n), generator=generator)]
        return Windows(
            coords=centres[chosen, None].to(means),
            extra=means.new_zeros(len(means), n, 0),
            targets=means.movedim(1, 2).take_along_dim(chosen[..., None].to(means.device), dim=1),
            width=means.new_full((len(means), n, 1), self.width),
        )


# --8<-- [end:queries]


# --8<-- [start:renderer]
class WindowRenderer(GridRenderer):
    """Observes means over windows, and draws the field itself."""

    points = 16  # per window

    def observe(self, field: Field, queries: Queries) -> Tensor:
        """Means `(B, N, V)` over windows, by the midpoint rule; for plain queries, values at points."""
        if not isinstance(queries, Windows):
            return super().observe(field, queries)
        offsets = cell_centres(self.points).to(queries.width) / 2  # of a window of width 1
        coords = queries.coords + queries.width * offsets  # (B, N, K)
        values = field(coords.flatten(1)[..., None])
        return values.unflatten(1, coords.shape[1:]).mean(dim=2)


class MeasuredWaves(Waves):
    """Waves measured by a slow instrument."""

    @cached_property
    def sampler(self) -> WindowSampler:
        """The sampler of the measurements that training compares."""
        return WindowSampler(self.settings.window)

    @cached_property
    def renderer(self) -> WindowRenderer:
        """The renderer, which predicts measurements and draws fields."""
        return WindowRenderer(self.domain.layout, self.native)


MEASURED = evolve(WAVES, name="measured-waves", implementation=MeasuredWaves)
# --8<-- [end:renderer]


# --8<-- [start:metric]
def frequency(values: Tensor) -> Tensor:
    """Number of waves in [-1, 1], `(B,)`, for values `(B, 1, n)`; exact for sines of up to 8 waves.

    For a sine, x(t - d) + x(t + d) = 2 cos(w d) x(t). The function solves this for w by least squares over all t.
    """
    n = values.shape[-1]
    step = n // 16
    middle = values[..., step:-step]
    around = values[..., : -2 * step] + values[..., 2 * step :]
    cosine = (middle * around).sum(dim=(1, 2)) / (2 * middle.square().sum(dim=(1, 2)))
    return n / (2 * math.pi * step) * cosine.clamp(-1, 1).arccos()


def frequency_error(fields: Field, signal: OnGrids, renderer: GridRenderer) -> Tensor:
    """Absolute difference of the frequencies, in waves, `(B,)`."""
    found = frequency(renderer.native_values(fields))
    return (found - frequency(native_grid(signal).cpu())).abs()


# --8<-- [end:metric]


# --8<-- [start:condition]
class Pitch(Condition):
    """Condition on the frequency of a wave."""

    length = 1

    def of(self, signals: SignalSet) -> Tensor:
        """Measured frequencies, scaled to [-1, 1]: `(len, 1)`."""
        values = signals.batch(range(len(signals))).values
        return self.scaled(frequency(values))[:, None]

    def parse(self, text: str) -> Tensor:
        """The vector for a number of waves, given as text."""
        try:
            waves = float(text)
        except ValueError:
            waves = math.nan
        if not SLOWEST <= waves <= FASTEST:
            raise RequestError(
                f"condition {text!r} is not a number of waves; give one from {SLOWEST:g} to {FASTEST:g}, such as 2.5"
            )
        return self.scaled(torch.tensor([waves]))

    def examples(self) -> Sequence[str]:
        """Texts for `ddmi conditions`."""
        return ("1", "2.5", "4")

    def scaled(self, waves: Tensor) -> Tensor:
        """Frequencies scaled from [SLOWEST, FASTEST] to [-1, 1]."""
        return (2 * waves - SLOWEST - FASTEST) / (FASTEST - SLOWEST)


# --8<-- [end:condition]


# --8<-- [start:pitched]
class PitchedWaves(Waves):
    """Waves with a metric and a condition of their own."""

    def metrics(self) -> Mapping[str, Metric]:
        """The error of values, and that of frequencies."""
        return {"psnr_db": psnr_db, "frequency_error": frequency_error}

    def conditions(self) -> Mapping[str, Callable[[], Condition]]:
        """The frequency; a condition is made when latents are encoded and whenever a model is loaded."""
        return {"pitch": Pitch}


PITCHED = evolve(WAVES, name="pitched-waves", implementation=PitchedWaves)
# --8<-- [end:pitched]


def new_waves(count: int, size: int, window: float = 0.0) -> Tensor:
    """Waves that occur in no run, `(count, 1, size)`."""
    return torch.stack([wave(10_000 + n, cell_centres(size), window) for n in range(count)])[:, None]


def try_encoder(folder: Path) -> None:
    """Encode signals with the training number of samples, with fewer, and with more."""
    # --8<-- [start:encoder-run]
    ddmi.register(ATTENTIVE)
    model = ddmi.run("attentive-waves", folder)

    truth = new_waves(40, 64)
    for samples in (64, 40, 100):
        signal = GridSignal(new_waves(40, samples))
        fields = model.decode(model.encode(signal).mean)
        error = model.renderer.native_values(fields) - truth
        psnr = 10 * torch.log10(4 / error.square().mean())
        print(f"encoder: {samples} samples, {psnr:.1f} dB")
    # --8<-- [end:encoder-run]


def try_renderer(folder: Path) -> None:
    """Recover waves from the measurements of a slow instrument."""
    # --8<-- [start:renderer-run]
    ddmi.register(MEASURED)
    model = ddmi.run("measured-waves", folder, overrides=["domain.window=0.5"])

    measured = new_waves(40, 64, window=0.5)
    fields = model.decode(model.encode(GridSignal(measured)).mean)
    drawn = model.renderer.native_values(fields)
    inside = slice(16, -16)  # without windows that extend beyond the axis
    truth = new_waves(40, 64)[..., inside]
    for name, guess in (("measured", measured), ("drawn", drawn)):
        error = (guess[..., inside] - truth).abs().mean()
        print(f"renderer: {name} curve, {error:.3f} from the wave")
    # --8<-- [end:renderer-run]

    # --8<-- [start:renderer-check]
    centres = cell_centres(64)[inside].expand(40, -1)[..., None]
    for width in (0.5, 0.25):  # 0.25: another instrument than in training
        queries = Windows(
            coords=centres,
            extra=torch.zeros(40, 32, 0),
            targets=torch.zeros(40, 32, 0),
            width=torch.full((40, 32, 1), width),
        )
        means = model.renderer.observe(fields, queries)
        exact = new_waves(40, 64, window=width)[..., inside].movedim(1, 2)
        error = (means - exact).abs().mean()
        print(f"renderer: means over {width}, {error:.3f} from the formula's")
    # --8<-- [end:renderer-check]


def try_metric_and_condition(folder: Path) -> None:
    """Condition on frequencies, and measure them."""
    # --8<-- [start:metric-run]
    ddmi.register(PITCHED)
    settings = ["diffusion.condition=pitch", "diffusion.training.steps=400"]
    model = ddmi.run("pitched-waves", folder, overrides=settings)

    for figure in json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["figures"]:
        if figure["name"] == "reconstruction_frequency_error":
            print(f"metric: {figure['value']:.3f} waves")
    # --8<-- [end:metric-run]

    # --8<-- [start:condition-run]
    for requested in ("1.5", "2.5", "3.5"):
        fields = model.sample(16, seed=0, condition=requested)
        found = frequency(model.renderer.native_values(fields)).median()
        print(f"condition: {requested} waves requested, {found:.2f} measured")

    try:
        model.sample(1, condition="high")
    except RequestError as error:
        print(f"condition: {error}")
    # --8<-- [end:condition-run]


def main() -> None:
    """Run all parts in order."""
    with tempfile.TemporaryDirectory() as folder:
        try_encoder(Path(folder, "encoder"))
        try_renderer(Path(folder, "renderer"))
        try_metric_and_condition(Path(folder, "condition"))


if __name__ == "__main__":
    main()
