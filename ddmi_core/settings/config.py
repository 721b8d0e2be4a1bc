"""The configuration of a run, the names of presets and samplers, and requests for samples and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen, validators

from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.bounds import MOST_LEVELS, MOST_SAMPLES, MOST_SECONDS, MOST_SIGNALS, within
from ddmi_core.diffusion.config import DiffusionConfig
from ddmi_core.errors import ConfigError, RequestError, unknown_name
from ddmi_core.registry.extensions import Named, offer
from ddmi_core.steps import AUTOENCODER, DENOISER, FIGURES, REPORT, SAMPLES, acts_on, since

NOISE, STEPS = 0.05, 32  # of completions: noise of the measurements, and number of noise levels
MOST_GUIDANCE = 100.0  # scale; far beyond it, estimates leave the range of the numbers
NETWORKS = ("inception", "i3d", "clip", "dinov2")  # kinds of feature networks, for files in their published forms
LPIPS = "lpips"  # kind of a network that compares pairs, not sets
PRESETS = ("quick", "base", "paper")
DIGITS = 6  # of a number of steps in a text


def sampler_and_steps(row: str) -> tuple[str, int]:
    """Parse `sampler:steps`.

    Raises:
        RequestError: if the text has another form, or there is no such sampler.
    """
    name, _, steps = row.partition(":")
    offer("samplers", name)
    # Python converts at most 4,300 digits.
    if not (steps.isascii() and steps.isdigit() and len(steps) <= DIGITS and int(steps) > 0):
        raise RequestError(f"it was given {row!r}; it takes sampler:steps, for example 'ddim:50'")
    return name, int(steps)


@frozen
class SamplingConfig:
    """How a run draws samples.

    Args:
        count: samples drawn by `ddmi run`.
        sampler: name of a sampler: ddim, ancestral, euler, heun, dpmpp_2m, unipc, mean_flow (for a model trained
            with `diffusion.few_steps`), or one of an extension.
        steps: sampling steps.
        guidance: scale of classifier-free guidance; 1 switches it off.
        autoguidance: scale of autoguidance, which leads away from the weak model that the training of the denoiser kept
            (`snapshot`); 1 switches it off. Each step then evaluates a second network.
        guidance_from, guidance_to: interval of times in [0, 1] in which both guidances act; 1 is pure noise.
    """

    count: int = field(default=16, validator=within(1, MOST_SAMPLES), metadata=acts_on(SAMPLES, REPORT))
    sampler: str = field(default="unipc", validator=Named("samplers"))
    steps: int = field(default=16, validator=within(1, MOST_LEVELS))
    guidance: float = field(default=1.0, validator=within(0, MOST_GUIDANCE))
    autoguidance: float = field(default=1.0, validator=within(0, MOST_GUIDANCE))
    guidance_from: float = field(default=0.0, validator=within(0, 1))
    guidance_to: float = field(default=1.0, validator=within(0, 1))

    def __attrs_post_init__(self) -> None:
        """Check the order of the interval."""
        if self.guidance_from > self.guidance_to:
            raise ValueError(
                f"guidance_from is {self.guidance_from:g} and guidance_to {self.guidance_to:g}; the first must not be "
                "greater than the second"
            )


@frozen(kw_only=True)
class Sampling:
    """A request for samples: their seed, and what differs from the run's own `SamplingConfig`.

    Args:
        seed: seed of the noise; sample i depends on the seed and i alone.
        sampler: name of a sampler; the run's own if `None`.
        steps: sampling steps; the run's own if `None`.
        condition: name of a class, or a text that the domain's condition takes; if `None`, conditions are drawn as
            often as they occur in training.
        guidance: scale of classifier-free guidance, 1 for none; the run's own if `None`.
        autoguidance: scale of autoguidance, 1 for none; the run's own if `None`.

    Raises:
        RequestError: if there is no such sampler, steps are below 1, or a scale of guidance is not from 0 to 100.
    """

    seed: int = 0
    sampler: str | None = None
    steps: int | None = None
    condition: str | None = None
    guidance: float | None = None
    autoguidance: float | None = None

    def __attrs_post_init__(self) -> None:
        """Check names and numbers."""
        if self.sampler is not None:
            offer("samplers", self.sampler)
        if self.steps is not None and not 1 <= self.steps <= MOST_LEVELS:
            raise RequestError(f"steps={self.steps} must be at least 1, and at most {MOST_LEVELS}")
        if self.guidance is not None and not 0 <= self.guidance <= MOST_GUIDANCE:
            raise RequestError(f"guidance={self.guidance:g} must be from 0 (unconditional) to {MOST_GUIDANCE:g}")
        if self.autoguidance is not None and not 0 <= self.autoguidance <= MOST_GUIDANCE:
            raise RequestError(f"autoguidance={self.autoguidance:g} must be from 0 (weak model) to {MOST_GUIDANCE:g}")

    def filled(self, own: SamplingConfig) -> dict[str, Any]:
        """Seed, sampler, steps and both guidances, with a run's own values for those that are not given.

        The scale of autoguidance is left out if it is 1.
        """
        auto = own.autoguidance if self.autoguidance is None else self.autoguidance
        return {
            "seed": self.seed,
            "sampler": self.sampler or own.sampler,
            "steps": self.steps or own.steps,
            "guidance": own.guidance if self.guidance is None else self.guidance,
            **({} if auto == 1 else {"autoguidance": auto}),
        }


@frozen(kw_only=True)
class Export:
    """A request for files of artefacts.

    Args:
        out: output folder; created if missing.
        size: rendered view; the native one if `None`.
        suffix: type of the files; the domain's first if `None`.
        overwrite: whether to replace existing files.
        normalised: whether files stay in the model's units, position and axes; see `DomainParts.restored`.
        faces: largest number of triangles of meshes; all if `None`.
    """

    out: Path
    size: Any = None
    suffix: str | None = None
    overwrite: bool = False
    normalised: bool = False
    faces: int | None = None


def network_file(entry: str) -> tuple[str, Path] | None:
    """Kind and path of an entry of `evaluation.networks`: `("inception", PATH)`, or `("", PATH)` without a kind.

    `None` for the name of an extension's network.
    """
    kind, colon, path = entry.partition(":")
    if colon and len(kind) > 1:  # one letter is a drive
        return kind, Path(path)
    found = Path(entry)
    return ("", found) if found.suffix or len(found.parts) > 1 else None


def _known_networks(instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for entry in value:
        kind, path = network_file(entry) or ("", Path(entry))
        if kind and kind not in (*NETWORKS, LPIPS):
            raise RequestError(unknown_name("kind of feature network", kind, (*NETWORKS, LPIPS)))
        if path == Path():
            raise RequestError(f"networks: {entry!r} names no file; write KIND:PATH, such as {NETWORKS[0]}:weights.pth")


@frozen
class EvaluationConfig:
    """How a run is evaluated.

    Args:
        held_out: maximum number of held-out signals that are reconstructed and measured.
        samples: number of samples for each distance to the data; at most as many as signals are held out.
        metrics: further metrics of reconstructions, by their names in extensions.
        networks: feature networks for distances of samples and reconstructions to the data, besides the domain's own
            features: `KIND:PATH` for a standard network (inception, i3d, clip, dinov2; lpips compares reconstructions
            with their originals), the path of a description (`.toml`) of your own, or the name of one of an extension.
        grid: rows of the table of samplers and steps of `ddmi evaluate --sweep`, as `sampler:steps`.
    """

    held_out: int = field(default=256, validator=within(1, MOST_SIGNALS))
    samples: int = field(default=128, validator=within(2, MOST_SIGNALS))
    metrics: tuple[str, ...] = ()
    networks: tuple[str, ...] = field(default=(), validator=_known_networks)
    grid: tuple[str, ...] = field(
        default=(
            "unipc:8",
            "unipc:16",
            "unipc:32",
            "dpmpp_2m:16",
            "heun:16",
            "euler:16",
            "ddim:16",
            "ddim:50",
            "ddim:200",
            "ancestral:50",
        ),
        metadata=acts_on(),  # each row of the table names its sampler and steps
    )


@frozen
class RunConfig:
    """All settings of a run, with the steps on which those of each table act.

    Args:
        plugin: name of the domain.
        preset: the preset that the configuration starts from.
        seed: seed of every random number of the run.
        data: `NAME`, `NAME:PATH` or `PATH`, stored as an absolute path; empty for the domain's default.
        previews: seconds between pictures of the training in the folder `previews`; 0 draws none. The first picture of
            a stage comes after a minute at the latest, and drawing takes at most 2 % of the time. The result of the
            training does not depend on it.
        weights: finished weights from which both stages start: the folder of a run, stored as an absolute path, or the
            name of a plugin that ships some; empty for random weights.
        domain: the domain's own settings, an instance of its settings class.
    """

    plugin: str = field(metadata=acts_on(*since(AUTOENCODER)))
    preset: str = field(default="quick", metadata=acts_on())  # the values that it has set count
    seed: int = field(
        default=0, validator=[validators.ge(0), validators.lt(2**63)], metadata=acts_on(*since(AUTOENCODER))
    )
    data: str = field(default="", metadata=acts_on())  # their fingerprint counts, wherever they are
    previews: float = field(default=120.0, validator=within(0, MOST_SECONDS), metadata=acts_on())
    weights: str = field(default="", metadata=acts_on())  # their digests count
    domain: Any = field(default=None, metadata=acts_on(*since(AUTOENCODER)))
    autoencoder: AutoencoderConfig = field(default=AutoencoderConfig(), metadata=acts_on(*since(AUTOENCODER)))
    diffusion: DiffusionConfig = field(default=DiffusionConfig(), metadata=acts_on(*since(DENOISER)))
    sampling: SamplingConfig = field(default=SamplingConfig(), metadata=acts_on(*since(SAMPLES)))
    evaluation: EvaluationConfig = field(default=EvaluationConfig(), metadata=acts_on(FIGURES))

    def __attrs_post_init__(self) -> None:
        """Check that autoguidance, `mean_flow` and a stage without steps have the weights that they need."""
        if self.sampling.sampler == "mean_flow" and not self.diffusion.few_steps:
            raise ConfigError(
                "sampling.sampler is mean_flow, but diffusion.few_steps is 0, so the denoiser learns no average "
                "velocities. Fix: set diffusion.few_steps=0.5, or sampling.sampler=unipc"
            )
        if self.sampling.autoguidance != 1 and not self.diffusion.training.snapshot:
            raise ConfigError(
                f"sampling.autoguidance is {self.sampling.autoguidance:g}, but diffusion.training.snapshot is 0, so "
                "the run keeps no weak model. Fix: set diffusion.training.snapshot=0.2, or sampling.autoguidance=1"
            )
        if not self.autoencoder.training.steps and not self.weights:
            raise ConfigError(
                "autoencoder.training.steps is 0, which keeps the autoencoder of finished weights as it is, and the "
                "run starts from random ones. Fix: add --from WEIGHTS, or set autoencoder.training.steps to 1 or more",
                "autoencoder.training.steps",
            )


def named_parts(config: RunConfig) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the parts that a configuration names: path of the key, kind, and name."""
    diffusion, evaluation = config.diffusion, config.evaluation
    yield ("diffusion", "denoiser", "kind"), "denoisers", diffusion.denoiser.kind
    yield ("diffusion", "path", "kind"), "paths", diffusion.path.kind
    yield ("diffusion", "target"), "targets", diffusion.target
    yield ("sampling", "sampler"), "samplers", config.sampling.sampler
    for number, row in enumerate(evaluation.grid):
        yield ("evaluation", "grid", f"[{number}]"), "samplers", row.partition(":")[0]
    for number, name in enumerate(evaluation.metrics):
        yield ("evaluation", "metrics", f"[{number}]"), "metrics", name
    for number, entry in enumerate(evaluation.networks):
        if network_file(entry) is None:
            yield ("evaluation", "networks", f"[{number}]"), "features", entry
