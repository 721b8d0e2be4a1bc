"""Pictures of a stage while it trains: reconstructions in stage 1, samples in stage 2."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from attrs import frozen
from PIL import Image
from torch import Tensor

from ddmi_core.api.signals import Split
from ddmi_core.atomic import written_aside
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.diffusion.latent_diffusion import LatentDiffusion
from ddmi_core.errors import NotFiniteError
from ddmi_core.fields.field import Field
from ddmi_core.model.build import build_autoencoder
from ddmi_core.model.latent_cache import Latents, kept_vectors
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.nested import move
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.parts.picture_sheet import Sheet, draw_sheet
from ddmi_core.runs.rehearsal import undisturbed
from ddmi_core.settings.config import RunConfig, Sampling
from ddmi_core.training.distributed import default_device

FIRST = 60.0  # seconds of a stage before its first picture, at most
SHARE = 0.02  # of the time of a stage that drawing may take
KEPT = 6  # pictures of a stage
COLUMNS = 6  # signals or samples of a row
ROWS = 2  # of samples
LARGEST = 192  # rows of pixels of each

Draw = Callable[[Mapping[str, Tensor]], Sheet]  # of the averaged weights of the stage


class Previews:
    """Draws a stage in training from time to time, and keeps a few pictures from early to late.

    One that fails is reported once, and no more are drawn; the training goes on. Random states are restored.

    Args:
        folder: of the run.
        stage: name of the stage.
        interval: seconds between the end of a picture and the next one; more if drawing takes long. 0 for none.
        draw: rows of pictures for the weights.
        wrote: receives the path of each picture.
        notice: receives a sentence about a failure.
        clock: seconds.
    """

    def __init__(
        self,
        folder: RunFolder,
        stage: str,
        interval: float,
        draw: Draw,
        wrote: Callable[[Path], None],
        notice: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._stage, self._interval = folder, stage, interval
        self._draw, self._wrote, self._notice, self._clock = draw, wrote, notice, clock
        self._due: float | None = None
        self._on = interval > 0

    def __call__(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Draw, if it is time; called after each step."""
        if not self._on or (self._due is not None and self._clock() < self._due):
            return
        began = self._clock()
        try:
            if self._due is None:
                self._forget(step)
                self._due = began + min(FIRST, self._interval)
                return
            path = self._folder.preview(self._stage, step)
            with undisturbed(), torch.no_grad():
                sheet = draw_sheet(self._draw(weights))
            with written_aside(path) as aside:
                sheet.save(aside, format="PNG")
            self._thin()
            self._wrote(path)
        except (Exception, SystemExit) as error:
            self._on = False
            self._notice(f"no more previews of stage {self._stage!r}: {type(error).__name__}: {error}")
        now = self._clock()
        self._due = now + max(self._interval, (now - began) / SHARE)

    def _forget(self, step: int) -> None:
        """Remove pictures of steps that the stage does again."""
        for number, path in self._folder.previews_of(self._stage).items():
            if number >= step:
                path.unlink()

    def _thin(self) -> None:
        """Remove pictures between the first and the last, those with the nearest neighbours first."""
        shown = self._folder.previews_of(self._stage)
        while len(shown) > KEPT:
            steps = list(shown)
            gaps = {step: after - before for before, step, after in zip(steps, steps[1:], steps[2:], strict=False)}
            shown.pop(min(gaps, key=lambda step: gaps[step])).unlink()


@frozen(eq=False)
class Reconstructions:
    """Draws held-out signals, or training signals without them, above their reconstructions.

    Args:
        parts: the domain, for the settings of the run.
        config: of the run.
        split: its data.
    """

    parts: AnyParts
    config: RunConfig
    split: Split

    def __call__(self, weights: Mapping[str, Tensor]) -> Sheet:
        """The rows for weights of the autoencoder."""
        parts = build_parts(self.parts.domain, self.config.domain)  # its own, which may hold what they have computed
        model, device = _autoencoder(parts, self.config, weights), default_device()
        label, signals = ("held out", held) if len(held := self.split.held_out) else ("training", self.split.train)
        chosen = torch.linspace(0, len(signals) - 1, min(COLUMNS, len(signals))).long().tolist()
        rows: dict[str, list[Image.Image]] = {label: [], "reconstruction": []}
        for index in chosen:  # one by one: the memory is that of a training
            signal = signals.batch([index])
            field = model.decode(model.encode(move(signal, device)).mean)
            rows[label].append(_small(parts.still(parts.ground_truth(signal, 0))))
            rows["reconstruction"].append(_still(parts, field))
        return rows


@frozen(eq=False)
class Samples:
    """Draws samples with the seed of the run, without autoguidance, whose weak model may not exist yet.

    Args:
        parts: the domain, for the settings of the run.
        config: of the run.
        autoencoder: the trained one.
        encoded: the latents.
        build: builds the denoiser.
    """

    parts: AnyParts
    config: RunConfig
    autoencoder: D2CVAE
    encoded: Latents
    build: Callable[[], LatentDiffusion]

    def __call__(self, weights: Mapping[str, Tensor]) -> Sheet:
        """The rows for weights of the denoiser."""
        parts = build_parts(self.parts.domain, self.config.domain)
        device, diffusion = default_device(), self.build()
        diffusion.load_state_dict(dict(weights))
        model = Model(
            parts=parts,
            config=self.config,
            autoencoder=_autoencoder(parts, self.config, self.autoencoder.state_dict()),
            diffusion=diffusion.to(device).eval(),
            normalisation=self.encoded.normalisation.to(device),
            classes=self.encoded.classes,
            counts=self.encoded.counts,
            vectors=kept_vectors(self.encoded),
            device=device,
        )
        return dict(_rows(model, Sampling(seed=self.config.seed, autoguidance=1.0)))


def _rows(model: Model, sampling: Sampling) -> Iterator[tuple[str, Sequence[Image.Image]]]:
    for first in range(0, ROWS * COLUMNS, COLUMNS):
        numbers = range(first, first + COLUMNS)
        latents = model.latents_of(numbers, sampling)
        stills = [_still(model.parts, model.fields(latent)) for latent in torch.split(latents, 1)]
        yield f"samples {first} to {numbers[-1]}", stills


def _autoencoder(parts: AnyParts, config: RunConfig, weights: Mapping[str, Tensor]) -> D2CVAE:
    model = build_autoencoder(parts, config)
    model.load_state_dict(dict(weights))
    return model.to(default_device()).eval()


def _still(parts: AnyParts, field: Field) -> Image.Image:
    if not all(plane.isfinite().all() for planes in field.basis for plane in planes):
        raise NotFiniteError.of_field()
    return _small(parts.still(parts.renderer.render(field, None)))


def _small(picture: Image.Image) -> Image.Image:
    """The picture, at most `LARGEST` pixels high."""
    if picture.height <= LARGEST:
        return picture
    return picture.resize((max(1, round(picture.width * LARGEST / picture.height)), LARGEST), Image.Resampling.LANCZOS)
