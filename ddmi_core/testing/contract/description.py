"""Checks of the description: light imports, a valid implementation, and consistent settings and presets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import attrs
import torch

from ddmi_core.api.domain import API_VERSION, accepted_versions
from ddmi_core.errors import DdmiError, PluginError
from ddmi_core.model.build import build_autoencoder
from ddmi_core.model.loading import assemble
from ddmi_core.model.provenance import load_stage
from ddmi_core.model.run_folder import pretrained, read_config
from ddmi_core.parts.domain_parts import AnyParts, DomainParts, build_parts, implementation
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import QUICK, dumps, loads, preset_data, resolve
from ddmi_core.testing.check import NotApplicable, expect
from ddmi_core.testing.subject import Subject


def check_description_is_light(subject: Subject) -> None:
    """Loading a plugin's description imports neither torch nor Pillow, so that help and lists stay fast."""
    if subject.record is None:
        raise NotApplicable("no installed plugin provides this domain, so there is no entry point to load")
    seen = subject.process_report
    entry = subject.record.entry_point
    expect(not seen.reason, f"the plugin cannot be loaded: {seen.reason}", f"make `import {entry}` work")
    expect(
        not seen.heavy,
        f"importing {entry} imports {' and '.join(seen.heavy)}",
        "keep the description in a module that imports only ddmi_core.api, and refer to the implementation",
        heavy_modules=len(seen.heavy),
    )


def check_api_version(subject: Subject) -> None:
    """A domain declares an API version that this core accepts."""
    version = subject.domain.api_version
    expect(
        version in accepted_versions(),
        "this core does not accept the domain's API version",
        f"adapt the plugin to version {API_VERSION} and declare api_version={API_VERSION}",
        declared=version,
        accepted=tuple(accepted_versions()),
    )


def check_implementation(subject: Subject) -> None:
    """The implementation is a class derived from DomainParts whose methods accept the core's arguments."""
    try:
        cls = implementation(subject.domain)
    except PluginError as error:
        reference = subject.domain.implementation
        expect(False, str(error), "correct the class, or the description's implementation", implementation=reference)
    for name, ours in inspect.getmembers(DomainParts, inspect.isfunction):
        method = getattr(cls, name)
        if name.startswith("_") or method is ours:
            continue
        wanted = list(inspect.signature(ours).parameters)
        try:
            inspect.signature(method).bind(*[None] * len(wanted))
        except TypeError as error:
            expect(
                False,
                f"{cls.__name__}.{name} does not accept the core's arguments: {error}",
                f"define it as in DomainParts: def {name}({', '.join(wanted)})",
                arguments=len(wanted),
                signature=str(inspect.signature(method)),
            )


def check_names(subject: Subject) -> None:
    """Value channels have unique names, and file suffixes are lower-case and begin with a dot."""
    named = subject.domain.values, subject.parts.channels(), subject.parts.observed()
    for field, names in zip(("values", "channels", "observed"), named, strict=True):
        expect(
            len(set(names)) == len(names),
            "names of value channels repeat",
            f"give each channel its own name in `{field}`",
            names=names,
        )
    for suffix in subject.parts.exporters():
        expect(
            suffix.startswith(".") and suffix == suffix.lower() and len(suffix) > 1,
            f"the exporter {suffix!r} can never be selected",
            f"name it {'.' + suffix.lstrip('.').lower()!r}",
            characters=len(suffix),
        )


def check_settings(subject: Subject) -> None:
    """The settings are a frozen attrs class with defaults for all fields and comparison by value."""
    cls = implementation(subject.domain).settings_type
    fields = attrs.fields(cls)
    bare = [field.name for field in fields if field.init and field.default is attrs.NOTHING]
    expect(
        not bare,
        f"{cls.__name__} has fields without a default: {', '.join(bare)}",
        "give every setting a default",
        without=len(bare),
        of=len(fields),
    )
    settings = cls()
    for field in fields:
        try:
            setattr(settings, field.name, getattr(settings, field.name))
        except attrs.exceptions.FrozenInstanceError:
            continue
        expect(False, f"{cls.__name__}.{field.name} can be changed", "use @attrs.frozen", fields=len(fields))
    expect(
        cls() == cls(),
        f"two {cls.__name__} with the same values differ",
        "use the default comparison of attrs",
        fields=len(fields),
    )


def check_presets(subject: Subject) -> None:
    """Every preset can be read, fits the settings and the parts, and survives writing and reading of run.toml."""
    presets = {*implementation(subject.domain).presets(), QUICK}
    for preset in sorted(presets):
        try:
            config = resolve(subject.domain, preset)
        except DdmiError as error:
            expect(False, f"preset {preset!r}: {error}", "correct the file", presets=len(presets))
        named = preset_data(subject.domain, preset)
        expect(
            not named or named in subject.parts.sources(),
            f"preset {preset!r} is for the data {named!r}, which are no source of the domain",
            "name a source in the key `data`, without a path",
            sources=tuple(subject.parts.sources()),
        )
        text = dumps(config)
        try:
            again = loads(subject.domain, text, "run.toml")
        except DdmiError as error:
            expect(
                False,
                f"the settings of preset {preset!r} cannot be read back from run.toml: {error}",
                "use settings of plain types: numbers, strings, booleans, and tuples of them",
                characters=len(text),
            )
        changed = [a.name for a in attrs.fields(type(config)) if getattr(config, a.name) != getattr(again, a.name)]
        expect(
            not changed,
            f"preset {preset!r} changes when it is written to run.toml and read: {', '.join(changed)}",
            "make converters keep valid values unchanged",
            changed=len(changed),
        )
        if preset == QUICK:  # the other checks build its parts
            continue
        parts = build_parts(subject.domain, config.domain)
        for name, make in _parts_of(parts, config):
            try:
                make()
            except Exception as error:
                expect(
                    False,
                    f"preset {preset!r}: {name} fails: {type(error).__name__}: {error}",
                    "correct the sizes in the file, or the part; refuse settings that cannot work by a validator",
                    preset=preset,
                )


def _parts_of(parts: AnyParts, config: RunConfig) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a run builds of the settings of a preset."""
    yield "sampler", lambda: parts.sampler
    yield "renderer", lambda: parts.renderer
    yield "report_views", parts.report_views

    def networks() -> None:
        for make in (parts.encoder, parts.decoder):
            try:
                with torch.device("meta"):  # without memory, since presets may be large
                    make(config.autoencoder)
            except Exception:  # it may compute with numbers, which this device does not hold
                make(config.autoencoder)

    yield "encoder or decoder", networks


def check_weights(subject: Subject) -> None:
    """The weights that ship with a plugin match the models built from its stored settings."""
    if not subject.domain.weights:
        raise NotApplicable("the domain ships no weights")
    try:
        folder = pretrained(subject.domain)
        config = read_config(folder, subject.domain)
        parts = build_parts(subject.domain, config.domain)
        model = build_autoencoder(parts, config)
        weights = load_stage(subject.domain, folder.autoencoder, model).digest("weights")
        assemble(parts, config, model, weights, folder.denoiser, next(model.parameters()).device)
    except DdmiError as error:
        expect(
            False,
            f"the shipped weights cannot be used: {error}",
            "train them again with this version, or ship none",
            folder=subject.domain.weights,
        )
