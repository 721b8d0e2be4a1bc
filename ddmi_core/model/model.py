"""A trained model: encoding, decoding, sampling, completion and rendering."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from ddmi_core.api.conditions import Condition, TokenSequences
from ddmi_core.api.domain import Domain
from ddmi_core.api.interfaces import CoordinateSampler, Renderer
from ddmi_core.api.observations import Observations, known
from ddmi_core.atomic import written_aside
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.completion.measurement import MeasurementModel
from ddmi_core.completion.solve import solve
from ddmi_core.conditions.text_network import check_trained
from ddmi_core.diffusion.denoisers.cross_attention import pack
from ddmi_core.diffusion.denoisers.embeddings import marked
from ddmi_core.diffusion.guidance import autoguidance
from ddmi_core.diffusion.latent_diffusion import LatentDiffusion
from ddmi_core.diffusion.latents import LatentShape, Normalisation
from ddmi_core.diffusion.samplers import Denoise, Progress, sampler_named
from ddmi_core.errors import NotFiniteError, PluginError, RequestError, unknown_name
from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.model import latent_cache
from ddmi_core.model.build import build_condition
from ddmi_core.model.summary import as_table, as_text
from ddmi_core.nested import move
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.parts.showing import Showing
from ddmi_core.progress import tracked
from ddmi_core.registry.extensions import offer
from ddmi_core.settings.config import NOISE, STEPS, RunConfig, Sampling
from ddmi_core.training.objective import generator_for

LARGEST_BATCH = 64
DEFAULT = Sampling()


@frozen(eq=False, slots=False, repr=False)
class Model:
    """A trained autoencoder with the diffusion model over its latents.

    Example:
        >>> import ddmi_core as ddmi
        >>> model = ddmi.load(plugin="image")  # doctest: +SKIP
        >>> fields = model.sample(4, seed=0)  # doctest: +SKIP
        >>> picture = model.render(fields[0], size=1024)  # doctest: +SKIP
        >>> picture.array().shape  # doctest: +SKIP
        (1024, 1024, 3)
        >>> model.write(picture, "large.png")  # doctest: +SKIP
    """

    parts: AnyParts
    config: RunConfig
    autoencoder: D2CVAE
    diffusion: LatentDiffusion
    normalisation: Normalisation
    classes: tuple[str, ...]
    counts: tuple[int, ...]  # number of training latents of each class
    vectors: latent_cache.Vectors  # (M, F) or sequences, of the condition in training; F = 0 without a condition
    device: torch.device
    network: str = ""  # digest of the text network that it was trained with, if there is one
    weak: LatentDiffusion | None = None  # the denoiser earlier in its training, for autoguidance

    def __repr__(self) -> str:
        """Three lines: the domain, the networks, and how samples are drawn."""
        return as_text(self)

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        return as_table(self)

    @property
    def shape(self) -> LatentShape:
        """Channels and grids of the latent."""
        return self.diffusion.shape

    @property
    def domain(self) -> Domain:
        """The description of the domain."""
        return self.parts.domain

    @property
    def showing(self) -> Showing:
        """Draws fields and artefacts in notebooks."""
        return Showing(self.parts)

    @property
    def renderer(self) -> Renderer[Any, Any]:
        """The domain's renderer."""
        return self.parts.renderer

    @property
    def sampler(self) -> CoordinateSampler[Any]:
        """The domain's coordinate sampler."""
        return self.parts.sampler

    @property
    def settings(self) -> Any:
        """The domain's settings of the run."""
        return self.config.domain

    @torch.no_grad()
    def encode(self, signal: Any) -> Posterior:
        """Posterior over the latents of signals, for example of `read`."""
        return self.autoencoder.encode(move(signal, self.device))

    def decode(self, latent: Planes) -> Field:
        """Fields of latents; differentiable in them."""
        return self.showing.connect(self.autoencoder.decode(latent.map(lambda plane: plane.to(self.device))))

    @torch.no_grad()
    def reconstruct(self, signal: Any) -> Field:
        """Fields of the posterior means of signals."""
        return self.decode(self.encode(signal).mean)

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        sampler: str | None = None,
        steps: int | None = None,
        condition: str | None = None,
        guidance: float | None = None,
        autoguidance: float | None = None,
        callback: Callable[[Progress], None] | None = None,
    ) -> Field:
        """Generate `n` fields. Sample i depends on the seed and i alone, not on `n`.

        Args:
            n: number of samples.
            seed: seed of the initial noise.
            sampler: name of a sampler; the run's setting by default.
            steps: sampling steps; the run's setting by default.
            condition: name of a class, or a text for the domain's condition; by default conditions are drawn with
                their frequencies in training.
            guidance: scale of classifier-free guidance, 1 for none; the run's setting by default.
            autoguidance: scale of autoguidance, 1 for none; the run's setting by default.
            callback: called after every step.

        Raises:
            RequestError: for an unknown sampler, class or condition, numbers out of range, or autoguidance without a
                weak model.
        """
        sampling = Sampling(
            seed=seed, sampler=sampler, steps=steps, condition=condition, guidance=guidance, autoguidance=autoguidance
        )
        return self.fields(self.sample_latents(n, sampling, callback))

    def sample_parts(
        self, n: int, *, seed: int = 0, condition: str | None = None, sampling: Sampling | None = None
    ) -> Iterator[Field]:
        """Yield the fields of `sample` in parts, so that memory holds those of one part.

        Args:
            n: number of samples.
            seed, condition: as for `sample`.
            sampling: all options of sampling, in place of the two.

        Raises:
            RequestError: as `sample`.
        """
        sampling = sampling or Sampling(seed=seed, condition=condition)
        for start in tracked("batches of samples", range(0, n, LARGEST_BATCH)):
            yield self.fields(self.latents_of(range(start, min(n, start + LARGEST_BATCH)), sampling))

    @torch.no_grad()
    def fields(self, flat: Tensor) -> Field:
        """Fields of latents `(n, L)` in the autoencoder's units."""
        return Field.stack([self.decode(self.shape.unpack(part)) for part in torch.split(flat, LARGEST_BATCH)])

    def sample_latents(
        self, n: int, sampling: Sampling = DEFAULT, callback: Callable[[Progress], None] | None = None
    ) -> Tensor:
        """Generate latents `(n, L)` in the autoencoder's units.

        Raises:
            RequestError: as `sample`.
        """
        if n < 1:
            raise RequestError(f"n={n} must be at least 1")
        parts = [range(start, min(n, start + LARGEST_BATCH)) for start in range(0, n, LARGEST_BATCH)]
        every = tracked("batches of samples", parts)
        return torch.cat([self.latents_of(part, sampling, callback) for part in every])

    def latents_of(
        self, numbers: Sequence[int], sampling: Sampling = DEFAULT, callback: Callable[[Progress], None] | None = None
    ) -> Tensor:
        """Latents `(len(numbers), L)` of the samples with these numbers, as one batch.

        Raises:
            RequestError: as `sample`.
        """
        noise = torch.stack([self.noise(sampling.seed, i) for i in numbers])
        given = self.conditions(numbers, sampling.seed, sampling.condition)
        return self.denoised(noise, given, numbers, sampling, callback)

    def noise(self, seed: int, number: int) -> Tensor:
        """The initial noise `(L,)` of a sample."""
        return torch.randn(self.shape.length, generator=generator_for(seed, "noise", number))

    @torch.no_grad()
    def denoised(
        self,
        noise: Tensor,
        given: Tensor,
        numbers: Sequence[int],
        sampling: Sampling,
        callback: Callable[[Progress], None] | None = None,
    ) -> Tensor:
        """Latents `(B, L)` in the autoencoder's units from noise.

        Args:
            noise: `(B, L)`.
            given: condition of each, from `conditions`.
            numbers: of the samples; with the seed, they determine the noise that a sampler adds.
            sampling: options of sampling; the condition is ignored.
            callback: called after every step.
        """
        path, chosen = self.diffusion.path, sampling.filled(self.config.sampling)
        made = sampler_named(chosen["sampler"])(
            self.denoiser(given.to(self.device), chosen["guidance"], chosen.get("autoguidance", 1.0)),
            path,
            noise.to(self.device),
            path.times(chosen["steps"]),
            generator=[generator_for(sampling.seed, "sampler", number) for number in numbers],
            **({"callback": callback} if callback else {}),
        )
        return self.normalisation.invert(made)

    def complete(
        self,
        observations: Observations,
        n: int = 4,
        *,
        seed: int = 0,
        noise: float = NOISE,
        steps: int = STEPS,
        condition: str | None = None,
        guidance: float | None = None,
        callback: Callable[[Progress], None] | None = None,
    ) -> Field:
        """Generate `n` fields that agree with measurements. Field i depends on the seed and i alone.

        Args:
            observations: measured values and their places, within the range of the domain's values.
            n: number of completions.
            seed: of all noise.
            noise: standard deviation of the measurements in units of the values or, for labels 0 and 1, the
                probability of a wrong label.
            steps: number of noise levels.
            condition: as for `sample`; without it, only the measurements are used.
            guidance: scale of classifier-free guidance towards the condition; the run's setting by default.
            callback: called after every step.

        Raises:
            RequestError: for values, sizes or numbers out of range, or an unknown condition.
            NotFiniteError: if a fit is not finite.
        """
        guidance = Sampling(guidance=guidance).guidance
        if n < 1 or steps < 1:
            raise RequestError(f"n={n} and steps={steps} must both be at least 1")
        # Without a requested condition the denoiser gets none, if training dropped conditions.
        free = condition is None and self.config.diffusion.drop_condition > 0
        given = self.diffusion.condition.none(n) if free else self.conditions(range(n), seed, condition)
        scale = 1.0 if condition is None else self.config.sampling.guidance if guidance is None else guidance
        return solve(
            self.measurement,
            observations,
            lambda flat: self.decode(self.shape.unpack(self.normalisation.invert(flat))),
            [self.denoiser(given[i : i + 1].to(self.device), scale) for i in range(n)],
            self.diffusion.path,
            length=self.shape.length,
            seed=seed,
            noise=noise,
            steps=steps,
            callback=callback,
        )

    @cached_property
    def measurement(self) -> MeasurementModel:
        """The measurement model of fields, for completions and their metrics."""
        parts = self.parts
        return MeasurementModel(
            parts.renderer,
            parts.domain.layout,
            parts.observed(),
            parts.likelihood() == "bernoulli",
            parts.limits(),
            self.device,
        )

    def observations(self, signal: Any, most: int | None = None) -> Observations:
        """Observations of one signal for `complete`: its values at different places.

        Args:
            signal: B = 1, for example of `read`.
            most: maximum number of places; the domain's limit if `None`.

        Raises:
            RequestError: if no place of the signal has a weight above zero.
        """
        queries = known(self.sampler.places(signal, most or self.sampler.most_places, generator_for(0, "places")))
        return self.measurement.on_device(Observations(queries, queries.targets[0]))

    @cached_property
    def condition(self) -> Condition | None:
        """The domain's condition other than classes, if the model was trained with it.

        Raises:
            RequestError: if something that it requires is missing.
            CheckpointError: if its text network is not the one of training.
            PluginError: if the user has never named that text network, which is a program.
        """
        if not any(latent_cache.lengths_of(self.vectors)):
            return None
        check_trained(self.config.diffusion.condition, self.network)
        return build_condition(self.parts, self.config)

    def conditions(self, numbers: Sequence[int], seed: int, condition: str | None) -> Tensor:
        """Condition of each sample: classes `(n,)`, marked vectors `(n, F + 1)`, or packed sequences `(n, R, W + 1)`.

        Raises:
            RequestError: if there is no such class, or the domain's condition does not accept the text.
            PluginError: if the condition's vectors or tokens have other lengths than in training.
        """
        if not any(latent_cache.lengths_of(self.vectors)):
            return self.labels(numbers, seed, condition)
        if condition is None or (parser := self.condition) is None:
            draws = [torch.randint(len(self.vectors), (), generator=generator_for(seed, "class", i)) for i in numbers]
            kept, rows = self.vectors, torch.stack(draws)
            return pack(kept, kept.rows[rows, 0]) if isinstance(kept, TokenSequences) else marked(kept[rows])
        given = parser.parse(condition)
        if (found := latent_cache.lengths_of(given)) != (trained := latent_cache.lengths_of(self.vectors)):
            raise PluginError(
                f"the condition {self.config.diffusion.condition!r} gives vectors and tokens of lengths {found}; this "
                f"model was trained with {trained}. Fix: install the version of the plugin that it was trained with"
            )
        if isinstance(given, TokenSequences):
            return pack(given, torch.zeros(len(numbers), dtype=torch.long))
        return marked(given.float().expand(len(numbers), -1))

    def labels(self, numbers: Sequence[int], seed: int, condition: str | None) -> Tensor:
        """Class of each sample, `(n,)`: the requested one, or drawn with the frequencies in training.

        Raises:
            RequestError: if there is no such class.
        """
        if condition is None:
            if not self.diffusion.classes:
                return torch.zeros(len(numbers), dtype=torch.long)
            draws = torch.stack([torch.rand((), generator=generator_for(seed, "class", i)) for i in numbers])
            shares = torch.tensor(self.counts, dtype=draws.dtype).cumsum(0)
            return torch.searchsorted(shares / shares[-1], draws, right=True)
        if not self.diffusion.classes:
            raise RequestError("this model was trained without conditions, so --condition cannot be used")
        if condition not in self.classes:
            raise RequestError(unknown_name("class", condition, self.classes))
        return torch.full((len(numbers),), self.classes.index(condition))

    def render(self, field: Field, size: Any = None) -> Any:
        """An artefact of one field.

        Args:
            field: a batch of one.
            size: cells along every axis, `1024`, or along each, slowest first, `(768, 1024)`; the native size by
                default. A domain without grids takes its own kind of view.

        Raises:
            NotFiniteError: if the field has values that are not finite.
        """
        if not all(plane.isfinite().all() for planes in field.basis for plane in planes):
            raise NotFiniteError.of_field()
        return self.showing.connect(self.renderer.render(field, size))

    def read(self, path: str | Path) -> Any:
        """The signal (B = 1) in a file.

        Raises:
            DataError: if the file is missing or cannot be used.
        """
        return self.parts.read(Path(path))

    def ground_truth(self, signal: Any, index: int = 0) -> Any:
        """One signal of a batch as an artefact for `write` and the domain's `picture`, like a render."""
        return self.showing.connect(self.parts.ground_truth(signal, index))

    @property
    def suffix(self) -> str:
        """Default suffix of files: the first of the domain's exporters."""
        return next(iter(self.parts.exporters()))

    def write(self, artefact: Any, path: str | Path) -> None:
        """Write an artefact of `render` or `ground_truth` in the format of the path's suffix, atomically.

        Raises:
            RequestError: if the domain writes no such files.
            OutputError: if it cannot be written.
        """
        export = self.exporter(Path(path).suffix)
        with written_aside(Path(path)) as aside:
            export(artefact, aside)

    def exporter(self, suffix: str) -> Callable[[Any, Path], None]:
        """The exporter for files with a suffix: the domain's own, or that of an extension.

        Raises:
            RequestError: if neither writes such files.
        """
        exporters, suffix = self.parts.exporters(), suffix.lower()
        if suffix in exporters:
            return exporters[suffix]
        export: Callable[[Any, Path], None] = offer("exporters", suffix, self.domain, exporters).load()
        return export

    def denoiser(self, given: Tensor, guidance: float, auto: float = 1.0) -> Denoise:
        """Estimator of clean normalised latents under conditions from `conditions`, with both guidances.

        Args:
            given: the conditions.
            guidance: scale of classifier-free guidance.
            auto: scale of autoguidance, which acts on the estimate with classifier-free guidance.

        Raises:
            RequestError: if there is no weak model for autoguidance.
        """
        own, conditions = self.config.sampling, given if self.diffusion.conditioned else None
        interval = (own.guidance_from, own.guidance_to)
        strong = self.diffusion.denoiser() if conditions is None else self.diffusion.guided(given, guidance, interval)
        if auto == 1:
            return strong
        if self.weak is None:
            raise RequestError(
                f"autoguidance={auto:g} requires a weak model, and this one was trained with diffusion.snapshot = 0, "
                "which keeps none. Fix: leave autoguidance out, or train a new run with --set diffusion.snapshot=0.2"
            )
        return autoguidance(strong, self.weak.denoiser(conditions), auto, interval)
