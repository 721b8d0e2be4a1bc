"""Checks of the description: light imports, valid references, and consistent settings and presets."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from ddmi_core.api.domain import API_VERSION, Domain, accepted_versions
from ddmi_core.errors import DdmiError
from ddmi_core.model.build import build_autoencoder
from ddmi_core.model.model import assemble
from ddmi_core.model.provenance import load_stage
from ddmi_core.model.run_folder import pretrained, read_config
from ddmi_core.settings.resolve import dumps, loads, resolve
from ddmi_core.testing.check import NotApplicable, expect
from ddmi_core.testing.subject import Subject

# Number of arguments of each reference; those of builders follow the description.
BUILDERS = {"encoder": 2, "decoder": 2, "sampler": 1, "renderer": 1, "report_views": 1, "panel": 2}
FUNCTIONS = {"loss": 2, "field_features": 2, "signal_features": 1, "read": 2, "ground_truth": 3, "picture": 1}
TABLES = {"sources": 2, "perceptual": 1, "metrics": 3, "evaluations": 4, "conditions": 2, "exporters": 2}


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
        "keep the description in its own module that imports only ddmi_core.api, and name parts by reference",
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


def check_references(subject: Subject) -> None:
    """Every reference of a description can be imported and called with the core's arguments."""
    for name, reference, count in _references(subject.domain):
        target = subject.part(reference)
        expect(
            callable(target),
            f"{name} names {reference!r}, a {type(target).__name__}, which is not callable",
            f"set {name} to a function or a class",
            arguments=count,
        )
        try:
            inspect.signature(target).bind(*[None] * count)
        except TypeError as error:
            expect(
                False,
                f"{name} names {reference!r}, which does not accept the core's arguments: {error}",
                f"give it {count} positional parameters, as in the documentation of Domain.{name.partition('[')[0]}",
                arguments=count,
                signature=str(inspect.signature(target)),
            )
        except ValueError:  # some functions of extension modules have no signature
            continue


def check_names(subject: Subject) -> None:
    """Value channels have unique names, and file suffixes are lower-case and begin with a dot."""
    domain = subject.domain
    for field, names in (("values", domain.values), ("observed", domain.observed)):
        expect(
            len(set(names)) == len(names),
            "names of value channels repeat",
            f"give each channel its own name in `{field}`",
            names=names,
        )
    for suffix in domain.exporters:
        expect(
            suffix.startswith(".") and suffix == suffix.lower() and len(suffix) > 1,
            f"the exporter {suffix!r} can never be selected",
            f"name it {'.' + suffix.lstrip('.').lower()!r}",
            characters=len(suffix),
        )


def check_settings(subject: Subject) -> None:
    """The settings are a frozen attrs class with defaults for all fields and comparison by value."""
    cls = subject.part(subject.domain.settings)
    expect(
        isinstance(cls, type) and attrs.has(cls),
        f"{subject.domain.settings} is not an attrs class",
        "write the settings as a class with @attrs.frozen",
    )
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
    """Every preset can be read, is valid for the settings, and survives writing and reading of run.toml."""
    for preset in subject.domain.presets:
        try:
            config = resolve(subject.domain, preset)
        except DdmiError as error:
            expect(False, f"preset {preset!r}: {error}", "correct the file", presets=len(subject.domain.presets))
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


def check_weights(subject: Subject) -> None:
    """The weights that ship with a plugin match the models built from its stored settings."""
    if not subject.domain.weights:
        raise NotApplicable("the domain ships no weights")
    try:
        folder = pretrained(subject.domain)
        config = read_config(folder, subject.domain)
        model = build_autoencoder(subject.domain, config)
        weights = load_stage(subject.domain, folder.autoencoder, model).digest("weights")
        assemble(subject.domain, config, model, weights, folder.denoiser, next(model.parameters()).device)
    except DdmiError as error:
        expect(
            False,
            f"the shipped weights cannot be used: {error}",
            "train them again with this version, or ship none",
            folder=subject.domain.weights,
        )


def _references(domain: Domain) -> Iterator[tuple[str, str, int]]:
    """Name, reference and number of arguments of all references."""
    for name, count in BUILDERS.items():
        yield name, getattr(domain, name), count + 1
    for name, count in FUNCTIONS.items():
        yield name, getattr(domain, name), count
    if domain.channels:
        yield "channels", domain.channels, 1
    if domain.preflight:
        yield "preflight", domain.preflight, 1
    if domain.contact_sheet:
        yield "contact_sheet", domain.contact_sheet, 4
    for name, count in TABLES.items():
        table: dict[str, Any] = getattr(domain, name)
        for key, reference in table.items():
            yield f"{name}[{key!r}]", reference, count
