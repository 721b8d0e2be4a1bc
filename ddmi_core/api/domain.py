"""The description of a domain: a frozen record with lazy references, without heavy imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from attrs import Attribute, field, frozen, validators

from ddmi_core.errors import PluginError
from ddmi_core.fields.layout import Layout, as_names

API_VERSION = 1
FIRST_VERSION = 1  # the first released version of the interface
# Suffixes of metric names for which higher is better; for all others, lower is better.
HIGHER_IS_BETTER = ("_db", "iou", "ssim", "score", "consistency")

_REFERENCE = re.compile(r"[\w.]+:[\w./-]+")


def _reference(instance: object, attribute: Attribute[Any], value: object) -> None:
    """Accept `package.module:attribute` only."""
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        raise ValueError(f"{attribute.name}={value!r} is not a reference of the form 'package.module:attribute'")


def _optional_reference(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value != "":
        _reference(instance, attribute, value)


def _references(instance: object, attribute: Attribute[Any], value: Mapping[str, object]) -> None:
    for reference in value.values():
        _reference(instance, attribute, reference)


def accepted_versions() -> range:
    """Accepted API versions of plugins: the current one and the previous one."""
    return range(max(FIRST_VERSION, API_VERSION - 1), API_VERSION + 1)


@frozen(kw_only=True)
class Domain:
    """One modality: its coordinates, and lazy references to its parts.

    A reference is a string `"package.module:attribute"`, imported on first use, so that listing domains imports
    neither their modules nor torch.

    Args:
        name: short name; equals the name of the entry point.
        summary: one sentence for lists.
        layout: axes, planes and extra columns.
        values: names of the value channels.
        channels: function `(settings) -> names of the value channels`, if they depend on the settings; `values` are
            the channels for the default settings.
        observed: column names of targets and of the output of the renderer's `observe`, if these are not field values
            at points (e.g. pixel colours along rays); defaults to `values`. Such measurements cannot be read from a
            table of point values, or averaged over cells of the axes.
        settings: attrs class of the domain's own settings (`[domain]` in a configuration), such as the data's native
            size and options of sources; all its fields have defaults. The ready-made parts for grids read its
            property `native`: cells along each axis, slowest first.
        presets: preset name to a TOML file, `"package:path/in/package.toml"`; `quick` must exist.
        sources: source name to a function `(location: Path | None, settings) -> Split`. A source that
            takes a location is used as `--data NAME` (default location) or `--data NAME:PATH`; the source
            named `folder` also handles a bare `--data PATH`. For `ddmi data sources`, annotate
            `location: None` if it takes no location, and `location: Path` if it requires one.
        default_source: the source used if none is given.
        encoder: function `(domain, config: AutoencoderConfig, settings) -> Encoder`; by default a `GridEncoder`.
        decoder: function `(domain, config: AutoencoderConfig, settings) -> BasisFieldDecoder`; by default a
            `PlaneDecoder`.
        sampler: function `(domain, settings) -> CoordinateSampler`; by default a `GridSampler`.
        renderer: function `(domain, settings) -> Renderer`; by default a `GridRenderer`.
        loss: function `(values, targets) -> Tensor`, both `(B, N, V)`, giving an error per point `(B, N)`.
        perceptual: name to a function `(options: PerceptualConfig) -> nn.Module`, called with predicted and
            true patches `(B, V, *patch)`, giving a scalar.
        metrics: name to a function `(fields: Field, signal, renderer) -> Tensor (B,)` for reconstructions,
            computed at the signal's native size. Names ending in `_db`, `iou`, `ssim`, `score` or
            `consistency` are better when higher.
        evaluations: name to a function `(model: Trained, split: Split, count: int, seed: int) -> Sequence[Figure]`:
            further figures, such as distances between sets of `count` samples and of signals.
        conditions: name to a function `(domain, settings) -> Condition`: conditions other than classes;
            `diffusion.condition` selects one by name.
        preflight: function `(settings) -> None`, called before a run or an evaluation starts. It raises errors that
            would otherwise occur only at the end, such as a missing file that an evaluation needs.
        field_features: function `(fields: Field, renderer) -> Tensor (B, F)`: features for distances between sets of
            fields; by default simple features of grids.
        signal_features: the same for signals, `(signal) -> Tensor (B, F)`.
        report_views: function `(domain, settings) -> tuple[tuple[str, view], ...]`: labelled views, from small to
            large, in which a report shows one sample; by default four sizes of a grid.
        parse_view: function `(text: str, settings) -> view`: parses `--size`; raises `RequestError` with the valid
            forms. By default `64` or `48x64`, cells along each axis.
        read: function `(path: Path, settings) -> signal` with B = 1, for `ddmi reconstruct`.
        exporters: file suffix (`.png`) to a function `(artefact, path: Path) -> None`; the first is the default.
            It writes to the given path, which has this suffix and is renamed once the file is complete, and lets
            `OSError` propagate; the core turns it into a message. It may write a second file of the same name with
            another suffix of this mapping.
        ground_truth: function `(signal, index: int, renderer) -> artefact`: one signal of a batch as an artefact for
            `picture` and the exporters; by default its native grid.
        contact_sheet: function `(signal, queries: Queries, fields, renderer) -> Sequence[Sequence[PIL.Image.Image]]`:
            rows of pictures of a completion by `ddmi complete`: the signal (B = 1) with the observed queries, then one
            row per field. By default the observed part of a grid, and pictures of renders.
        picture: function `(artefact)` that returns a thumbnail for reports: a `PIL.Image.Image`, or a sequence of them,
            the frames of an animation.
        panel: function `(domain, settings, renderer) -> Panel`: how the page of `ddmi view` shows fields. By default,
            grids zoom, with sliders for axes beyond two; artefacts exported as `.glb` are meshes to rotate; anything
            else is a picture.
        optional: importable module to the feature that it enables, for `ddmi doctor`.
        weights: folder with shipped weights, `"package:folder"`, or `""`.
        api_version: version of this interface that the domain was written for, as a number (not `API_VERSION`, which
            is the version of the installed core).
    """

    name: str = field(validator=validators.matches_re(r"[a-z][a-z0-9_-]*"))
    summary: str
    layout: Layout = field(validator=validators.instance_of(Layout))
    values: tuple[str, ...] = field(converter=as_names, validator=validators.min_len(1))
    observed: tuple[str, ...] = field(default=(), converter=as_names)
    channels: str = field(default="", validator=_optional_reference)
    settings: str = field(validator=_reference)
    presets: Mapping[str, str] = field(validator=_references)
    sources: Mapping[str, str] = field(validator=_references)
    default_source: str
    encoder: str = field(default="ddmi_core.parts:grid_encoder", validator=_reference)
    decoder: str = field(default="ddmi_core.parts:plane_decoder", validator=_reference)
    sampler: str = field(default="ddmi_core.parts:grid_sampler", validator=_reference)
    renderer: str = field(default="ddmi_core.parts:grid_renderer", validator=_reference)
    loss: str = field(default="ddmi_core.parts:l1_loss", validator=_reference)
    perceptual: Mapping[str, str] = field(
        factory=lambda: {"multiscale": "ddmi_core.parts:MultiScaleTerm"}, validator=_references
    )
    metrics: Mapping[str, str] = field(factory=dict, validator=_references)
    evaluations: Mapping[str, str] = field(factory=dict, validator=_references)
    conditions: Mapping[str, str] = field(factory=dict, validator=_references)
    preflight: str = field(default="", validator=_optional_reference)
    field_features: str = field(default="ddmi_core.parts:grid_field_features", validator=_reference)
    signal_features: str = field(default="ddmi_core.parts:grid_signal_features", validator=_reference)
    report_views: str = field(default="ddmi_core.parts:grid_report_views", validator=_reference)
    parse_view: str = field(default="", validator=_optional_reference)
    read: str = field(validator=_reference)
    exporters: Mapping[str, str] = field(validator=[_references, validators.min_len(1)])
    ground_truth: str = field(default="ddmi_core.parts:grid_ground_truth", validator=_reference)
    contact_sheet: str = field(default="", validator=_optional_reference)
    picture: str = field(validator=_reference)
    panel: str = field(default="ddmi_core.parts:ready_panel", validator=_reference)
    optional: Mapping[str, str] = field(factory=dict)
    weights: str = ""
    api_version: int = field(validator=validators.instance_of(int))

    def __attrs_post_init__(self) -> None:
        """Check the consistency of several fields."""
        if self.default_source not in self.sources:
            known = ", ".join(self.sources) or "none"
            raise ValueError(f"default_source={self.default_source!r} is not among the sources: {known}")
        if "quick" not in self.presets:
            raise ValueError("presets has no 'quick', the default preset of `ddmi run`")
        if taken := {"none", "class"} & set(self.conditions):
            raise ValueError(f"conditions names {taken.pop()!r}, which the core reserves. Fix: choose another name")

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names of targets and of the output of `observe`."""
        return self.observed or self.values

    def channels_of(self, settings: Any) -> tuple[str, ...]:
        """Names of the value channels of fields that were trained with the given settings."""
        return tuple(self.resolve(self.channels)(settings)) if self.channels else self.values

    def build(self, part: str, *arguments: Any) -> Any:
        """Build a part: call its function with this description and the arguments.

        Args:
            part: one of `encoder`, `decoder`, `sampler`, `renderer`, `report_views` and `panel`.
            arguments: the function's arguments after the description.

        Raises:
            PluginError: if the function cannot be imported.
        """
        return self.resolve(getattr(self, part))(self, *arguments)

    def resolve(self, reference: str) -> Any:
        """Import the attribute that a reference names.

        Raises:
            PluginError: if the module or the attribute cannot be found.
        """
        module, _, attribute = reference.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PluginError(
                f"domain {self.name!r} refers to {reference!r}, which cannot be imported: {error}"
            ) from error
