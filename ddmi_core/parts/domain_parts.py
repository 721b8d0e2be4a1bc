"""The base class of a domain's implementation: typed methods with defaults, of which an author overrides some."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

import attrs
import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor, nn

from ddmi_core.api.conditions import Condition
from ddmi_core.api.domain import Domain
from ddmi_core.api.evaluation import Figure, PaperProtocol, Trained
from ddmi_core.api.interfaces import BasisFieldDecoder, CoordinateSampler, Encoder, Renderer
from ddmi_core.api.observations import Observations
from ddmi_core.api.panels import Panel
from ddmi_core.api.signals import Split
from ddmi_core.autoencoder.config import AutoencoderConfig, PerceptualConfig
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.autoencoder.losses import l1_loss
from ddmi_core.conditions.text import text_condition, text_tokens, word_condition, word_tokens
from ddmi_core.errors import DdmiError, PluginError, RequestError
from ddmi_core.fields.field import Field
from ddmi_core.parts.media import Drawn, frames_of
from ddmi_core.parts.panels import GLB, MeshPanel, PicturePanel
from ddmi_core.parts.picture_sheet import Sheet, picture_rows
from ddmi_core.parts.returns import check_returns, no_method
from ddmi_core.registry.single_file import PREFIX
from ddmi_core.sources.account import Change

T = TypeVar("T")  # settings
S = TypeVar("S")  # signal
V = TypeVar("V")  # view
A = TypeVar("A")  # artefact

Metric = Callable[[Field, Any, Any], Tensor]  # (fields, signal, renderer) -> (B,)
Evaluation = Callable[[Trained, Split, int, int], Sequence[Figure]]  # (model, split, count, seed)
Source = Callable[[Any, Any], Split]  # (location, settings)
PRESETS = "presets"


class DomainParts(ABC, Generic[T, S, V, A]):
    """The implementation of a domain, for one configuration of its settings.

    Derive from it, or from `GridDomain` for signals on grids, and override what differs. The type parameters are the
    attrs class of the domain's own settings (`[domain]` in a configuration), whose fields all have defaults, and the
    types of its signals, views and artefacts.

    Args:
        domain: the description.
        settings: the domain's settings of a run.

    Attributes:
        settings_type: attrs class of the settings, from the first type parameter.

    Example:
        >>> class Solids(DomainParts[SolidSettings, SolidSignal, int, Mesh]):  # doctest: +SKIP
        ...     @cached_property
        ...     def sampler(self) -> PointSampler:
        ...         return PointSampler(self.settings.near)
    """

    settings_type: ClassVar[type[Any]]

    def __init_subclass__(cls, **options: Any) -> None:
        """Take the settings' class from the type parameters, and let methods check what they return."""
        super().__init_subclass__(**options)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = get_origin(base)
            first = next(iter(get_args(base)), None) if origin and issubclass(origin, DomainParts) else None
            if isinstance(first, type):
                cls.settings_type = first
        check_returns(cls)

    def __init__(self, domain: Domain, settings: T) -> None:
        self.domain, self.settings = domain, settings

    @classmethod
    def presets(cls) -> Mapping[str, Path | str]:
        """Presets: name to a TOML file, or to TOML text; by default the files `presets/*.toml` beside the class.

        A domain without a preset `quick` has one with the default values of all settings.
        """
        package = cls.__module__.rpartition(".")[0]
        if not package:
            return {}
        folder = files(package).joinpath(PRESETS)
        found = sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else []
        tables = (file for file in found if file.name.endswith(".toml"))
        # A file in an archive has no path, but text.
        return {
            Path(file.name).stem: file if isinstance(file, Path) else file.read_text(encoding="utf-8")
            for file in tables
        }

    # Data

    @abstractmethod
    def sources(self) -> Mapping[str, Source]:
        """Sources of data: name to a function `(location: Path | None, settings) -> Split`; the first is the default.

        A source that takes a location is used as `--data NAME` (default location) or `--data NAME:PATH`; the source
        named `folder` also handles a bare `--data PATH`. For `ddmi data sources`, annotate `location: None` if it
        takes no location, and `location: Path` if it requires one.
        """

    @abstractmethod
    def read(self, path: Path) -> S:
        """The signal (B = 1) in a file, for `ddmi reconstruct` and `ddmi complete`.

        Raises:
            DataError: if the file is missing or cannot be used.
        """

    def blank(self) -> S:
        """A signal (B = 1) with the shape of the data and any values, to count the operations of networks.

        By default the first training signal of the default source; override it if that source is slow, or requires a
        path.
        """
        source = next(iter(self.sources().values()))
        signal: S = source(None, self.settings).train.batch([0])
        return signal

    def channels(self) -> tuple[str, ...]:
        """Names of the value channels for these settings; by default those of the description."""
        return self.domain.values

    def observed(self) -> tuple[str, ...]:
        """Column names of targets and of the output of `observe`; by default the channels.

        Override it if measurements are not field values at points (e.g. pixel colours along rays). Such measurements
        cannot be read from a table of point values, or averaged over cells of the axes.
        """
        return self.channels()

    def conditions(self) -> Mapping[str, Callable[[], Condition]]:
        """Conditions other than classes; `diffusion.condition` selects one by name.

        By default `text`, `words`, `text-tokens` and `word-tokens`, which apply to data with captions. The path of a
        text network is a condition of every domain.
        """
        return {
            "text": text_condition,
            "words": word_condition,
            "text-tokens": text_tokens,
            "word-tokens": word_tokens,
        }

    # Networks and losses

    @abstractmethod
    def encoder(self, config: AutoencoderConfig) -> Encoder[S]:
        """The encoder with initial weights."""

    def decoder(self, config: AutoencoderConfig) -> BasisFieldDecoder:
        """The decoder to basis fields with initial weights; by default a `PlaneDecoder`, for any layout."""
        return PlaneDecoder(self.domain.layout, config.latent_channels, config.decoder)

    @property
    @abstractmethod
    def sampler(self) -> CoordinateSampler[S]:
        """The coordinate sampler; override it with a `functools.cached_property`."""

    @property
    @abstractmethod
    def renderer(self) -> Renderer[V, A]:
        """The renderer; override it with a `functools.cached_property`."""

    def loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """Error per point, `(B, N)`, of predicted and true values, both `(B, N, V)`; by default L1."""
        return l1_loss(values, targets)

    def likelihood(self) -> Literal["gaussian", "bernoulli"]:
        """What `ddmi complete` takes measured values for: values with normal noise, the default, or labels.

        `"bernoulli"`: fields give logits, and measured values are labels 0 and 1 or means of them. Override it together
        with `loss`; a completion says so if a domain with its own loss does not.
        """
        return "gaussian"

    def limits(self) -> tuple[float, float]:
        """Lowest and highest measured value: 0 and 1 for labels, by default the limits of the renderer otherwise."""
        return (0.0, 1.0) if self.likelihood() == "bernoulli" else self.renderer.limits

    def perceptual(self) -> Mapping[str, Callable[[PerceptualConfig], nn.Module]]:
        """Perceptual terms by name: modules that map predicted and true patches `(B, V, *patch)` to a scalar.

        A module with an attribute `axes` gets patches of so many axes; one with `smallest` needs so many cells along
        each of them, or else the run ends with the setting to change.
        """
        return {}

    # Evaluation

    def preflight(self) -> None:
        """Raise errors that would otherwise occur only at the end, such as a missing file for an evaluation.

        Called before a run or an evaluation starts.
        """

    def metrics(self) -> Mapping[str, Metric]:
        """Metrics of reconstructions at the native size: `(fields, signal, renderer) -> (B,)`.

        Names ending in `_db`, `iou`, `ssim`, `score` or `consistency` are better when higher.
        """
        return {}

    def evaluations(self) -> Mapping[str, Evaluation]:
        """Further figures: `(model, split, count, seed) -> Sequence[Figure]`.

        For example distances between sets of `count` samples and of signals. A run calls them once before training as
        well, with initial weights, few signals and a `count` of 4.

        The protocols get data, averages of weights, size and versions and, if the evaluation draws samples that are all
        drawn alike, their sampler, steps and guidance. Entries of a figure's own protocol take precedence: `n`, the
        `reference`, and `signals` where they are not samples. Put figures of held-out signals alone into an evaluation
        of their own.
        """
        return {}

    def paper_protocol(self) -> PaperProtocol | None:
        """How the paper of the domain measures samples, for `ddmi evaluate --protocol paper`; none by default."""
        return None

    @abstractmethod
    def field_features(self, fields: Field) -> Tensor:
        """Features `(B, F)` of fields, for distances between sets."""

    @abstractmethod
    def signal_features(self, signal: S) -> Tensor:
        """Features `(B, F)` of signals, comparable with those of fields."""

    def pictures(self, fields: Field) -> Tensor | None:
        """What feature networks in files see of fields (`evaluation.networks`); by default nothing.

        Returns:
            pictures `(B, 3, H, W)` or clips `(B, 3, T, H, W)`, in [-1, 1]; `(B * K, ...)` of K views of each field,
            those of one field in a row; `None` if the domain has no pictures.
        """
        return None

    def signal_pictures(self, signal: S) -> Tensor | None:
        """What they see of signals: of the same shape as that of fields, but for the number of views."""
        return None

    # Artefacts and views

    @abstractmethod
    def exporters(self) -> Mapping[str, Callable[[A, Path], None]]:
        """File suffix (`.png`) to a function `(artefact, path) -> None`; the first is the default.

        It writes to the given path, which has this suffix and is renamed once the file is complete, and lets `OSError`
        propagate; the core turns it into a message. It may write a second file of the same name with another suffix
        of this mapping.
        """

    @abstractmethod
    def picture(self, artefact: A) -> Drawn:
        """A thumbnail for reports: a picture, or a sequence of them, the frames of an animation."""

    def pixels(self, artefact: A) -> npt.NDArray[np.uint8] | None:
        """Pixels at full size, for `to_numpy` and `to_pil` of artefacts that are pictures or clips; `None` by default.

        Returns:
            `(H, W, C)`, or `(frames, H, W, C)` of a clip; C = 1, 3 or 4.
        """
        return None

    @abstractmethod
    def ground_truth(self, signal: S, index: int) -> A:
        """One signal of a batch as an artefact for `picture` and the exporters."""

    @abstractmethod
    def report_views(self) -> Sequence[tuple[str, V]]:
        """Labelled views, from small to large, in which a report shows one sample."""

    def parse_view(self, text: str) -> V:
        """The view that a value of `--size` names.

        Raises:
            RequestError: with the valid forms.
        """
        raise RequestError(f"size {text!r}: domain {self.domain.name!r} renders its native view only; omit --size")

    def contact_sheet(self, signal: S, seen: Observations, fields: Field, artefacts: Sequence[A]) -> Sheet:
        """Rows of pictures of a completion by `ddmi complete`, by their labels; by default original and completions.

        Args:
            signal: the original, B = 1.
            seen: its observed values.
            fields: the completions.
            artefacts: one per completion, at the requested view.
        """
        return picture_rows(self.still, {"original": self.ground_truth(signal, 0)}, artefacts)

    def original(self, path: Path, signal: S) -> A:
        """The signal of a file as an artefact, for `original.*` of `ddmi complete`; by default its ground truth.

        Override it if the file has more than the signal, such as the faces of a mesh.
        """
        return self.ground_truth(signal, 0)

    def restored(self, artefact: A, changes: Sequence[Change], suffix: str) -> A:
        """An artefact in the units, position and axes of the file that its signal was read from; by default unchanged.

        `ddmi sample`, `ddmi reconstruct` and `ddmi complete` write it, except with `--normalised`.

        Args:
            artefact: in those of the model.
            changes: what `read` recorded of the file, by `account().change(path.name, changes)`; none for samples,
                whose units and axes the domain's settings may name.
            suffix: of the file to write; a picture may stay as it is.
        """
        return artefact

    def simplifier(self, faces: int) -> Callable[[A], A]:
        """A function that reduces artefacts to a number of triangles, for `--faces`; by default an error.

        `mesh_simplifier` is one for meshes. It is called before anything is generated.

        Raises:
            RequestError: if artefacts are no meshes, the number is too small, or a package is missing.
        """
        raise RequestError(f"--faces: domain {self.domain.name!r} cannot reduce what it writes to triangles; omit it")

    def still(self, artefact: A) -> Image.Image:
        """The picture of an artefact; the first frame of an animation."""
        return frames_of(self.picture(artefact))[0]

    def panel(self) -> Panel:
        """How the page of `ddmi view` shows fields: as meshes to rotate if there is a `.glb` exporter, or pictures."""
        exporters = self.exporters()
        if GLB in exporters:
            return MeshPanel(self.renderer, exporters[GLB])
        return PicturePanel(self.renderer, self.picture)


AnyParts = DomainParts[Any, Any, Any, Any]


def implementation(domain: Domain) -> type[AnyParts]:
    """The class that implements a domain.

    Raises:
        PluginError: if it cannot be imported, is not derived from `DomainParts`, lacks a method, names no settings, or
            has settings without defaults.
    """
    cls = domain.load()
    name = f"domain {domain.name!r}: its implementation {cls.__module__.removeprefix(PREFIX)}:{cls.__qualname__}"
    if not issubclass(cls, DomainParts):
        raise PluginError(f"{name} is not derived from ddmi_core.parts.DomainParts or GridDomain")
    if missing := sorted(cls.__abstractmethods__):
        raise PluginError(f"{name} does not define {', '.join(missing)}")
    if fault := no_method(cls, DomainParts):
        raise PluginError(f"{name}: {cls.__name__}.{fault}")
    settings = getattr(cls, "settings_type", None)
    if settings is None or not attrs.has(settings):
        raise PluginError(f"{name} names no attrs class of settings. Fix: class {cls.__name__}(GridDomain[MySettings])")
    if missing := [own.name for own in attrs.fields(settings) if own.init and own.default is attrs.NOTHING]:
        bare = ", ".join(missing)
        raise PluginError(f"{name}: {settings.__name__} has fields without a default: {bare}. Fix: give them defaults")
    return cls


def build_parts(domain: Domain, settings: Any) -> AnyParts:
    """The implementation of a domain for the settings of a run.

    Raises:
        PluginError: as `implementation`, or if the class raises an exception. Its methods raise it as well, if they
            return something of a wrong type.
    """
    cls = implementation(domain)
    try:
        parts = cls(domain, settings)
    except DdmiError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"domain {domain.name!r}: creating {cls.__qualname__} failed: {error!r}") from error
    return parts
