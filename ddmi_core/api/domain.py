"""The description of a domain: light, frozen, and free of heavy imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from attrs import Attribute, field, frozen, validators

from ddmi_core.errors import PluginError
from ddmi_core.fields.layout import Layout, as_names

API_VERSION = 1
HIGHER_IS_BETTER = ("_db", "iou", "ssim")  # ends of the names of such metrics; all others are better when lower

_REFERENCE = re.compile(r"[\w.]+:[\w./-]+")


def _reference(instance: object, attribute: Attribute[Any], value: object) -> None:
    """Accept `package.module:attribute` only."""
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        raise ValueError(f"{attribute.name}={value!r} is not a reference of the form 'package.module:attribute'")


def _references(instance: object, attribute: Attribute[Any], value: Mapping[str, object]) -> None:
    for reference in value.values():
        _reference(instance, attribute, reference)


@frozen(kw_only=True)
class Domain:
    """One modality: its coordinates, and lazy references to its parts.

    A reference is a string `"package.module:attribute"`, imported when it is first used, so that listing
    domains imports neither them nor torch.

    Args:
        name: short name; equals the name of the entry point.
        summary: one sentence for lists.
        layout: axes, planes and extra columns.
        values: names of the value channels.
        settings: attrs class of the domain's own settings (`[domain]` in a configuration); all its fields
            have defaults, and the data's native size and its sources' options are among them.
        presets: preset name to a TOML file, `"package:path/in/package.toml"`; `quick` must exist.
        sources: source name to a function `(location: Path | None, settings) -> Split`. A source that
            takes a location is used as `--data NAME` (default place) or `--data NAME:PATH`; the source
            named `folder` also serves a bare `--data PATH`. For `ddmi data sources`, its annotation is
            `location: None` where it takes no place, and `location: Path` where it needs one.
        default_source: the source used when none is given.
        encoder: function `(config: AutoencoderConfig, settings) -> Encoder`.
        decoder: function `(config: AutoencoderConfig, settings) -> BasisFieldDecoder`.
        sampler: function `(settings) -> CoordinateSampler`.
        renderer: function `(settings) -> Renderer`.
        loss: function `(values, targets) -> Tensor`, both `(B, N, V)`, giving an error a point `(B, N)`.
        perceptual: name to a function `(options: PerceptualConfig) -> nn.Module`, called with predicted and
            true patches `(B, V, *patch)`, giving a scalar.
        metrics: name to a function `(fields: Field, signal, renderer) -> Tensor (B,)` for reconstructions,
            computed at the signal's native size. Names ending in `_db`, `iou` or `ssim` are better when higher.
        describe: function `(fields: Field, renderer) -> Tensor (B, F)`: features that distances between
            sets of fields are computed on; `describe_signal`: the same from signals `(signal) -> (B, F)`.
        views: function `(settings) -> tuple[tuple[str, view], ...]`: labelled views from small to large that a
            report shows one sample in.
        read: function `(path: Path, settings) -> signal` with B = 1, for `ddmi reconstruct`.
        exporters: file suffix (`.png`) to a function `(artefact, path: Path) -> None`; the first is the default.
            It writes to the path that it is given, which has this suffix and is renamed when the file is complete,
            and lets `OSError` through, of which the core makes a sentence.
        picture: function `(artefact) -> PIL.Image.Image`, a thumbnail for reports.
        signal_picture: function `(signal, index: int) -> PIL.Image.Image`, the same for a signal.
        weights: folder with shipped weights, `"package:folder"`, or `""`.
        api_version: version of this interface that the domain was written for.
    """

    name: str = field(validator=validators.matches_re(r"[a-z][a-z0-9_-]*"))
    summary: str
    layout: Layout = field(validator=validators.instance_of(Layout))
    values: tuple[str, ...] = field(converter=as_names, validator=validators.min_len(1))
    settings: str = field(validator=_reference)
    presets: Mapping[str, str] = field(validator=_references)
    sources: Mapping[str, str] = field(validator=_references)
    default_source: str
    encoder: str = field(validator=_reference)
    decoder: str = field(validator=_reference)
    sampler: str = field(validator=_reference)
    renderer: str = field(validator=_reference)
    loss: str = field(default="ddmi_core.parts:l1_loss", validator=_reference)
    perceptual: Mapping[str, str] = field(
        factory=lambda: {"multiscale": "ddmi_core.parts:MultiScaleTerm"}, validator=_references
    )
    metrics: Mapping[str, str] = field(factory=dict, validator=_references)
    describe: str = field(validator=_reference)
    describe_signal: str = field(validator=_reference)
    views: str = field(validator=_reference)
    read: str = field(validator=_reference)
    exporters: Mapping[str, str] = field(validator=_references)
    picture: str = field(validator=_reference)
    signal_picture: str = field(validator=_reference)
    weights: str = ""
    api_version: int = API_VERSION

    def resolve(self, reference: str) -> Any:
        """Import what a reference names.

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
