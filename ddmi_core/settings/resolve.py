"""Resolves the configuration of a run: preset, then file, then command line; and writes it as TOML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from ddmi_core.api.domain import Domain
from ddmi_core.errors import ConfigError, PluginError, RequestError, unknown_name
from ddmi_core.settings.config import RunConfig, known_sampler, sampler_and_steps
from ddmi_core.settings.convert import Fault, structure, unstructure
from ddmi_core.settings.layers import Layers, override, parsed, read
from ddmi_core.settings.schema import SettingKey as SettingKey
from ddmi_core.settings.schema import keys as keys


def resolve(
    domain: Domain,
    preset: str = "",
    file: Path | None = None,
    overrides: Sequence[str] = (),
    data: str = "",
    seed: int | None = None,
) -> RunConfig:
    """The configuration of a run: preset, file, `--set`, then `--data` and `--seed`; later ones win.

    Args:
        domain: the domain.
        preset: one of its presets; empty for the one that the file names, or else `quick`.
        file: a TOML file, for example the `run.toml` of another run.
        overrides: texts `key.sub=value`.
        data: as in `RunConfig`; empty leaves it to the layers below.
        seed: the same; `None` leaves it.

    Raises:
        ConfigError: naming the key, its source, what it takes, and the nearest valid name.
    """
    given = _without_record(read(file) if file else {})
    named = given.pop("preset", "")
    if preset and named and named != preset:
        raise ConfigError(f"configuration file {file} starts from preset {named!r}, not {preset!r}; leave one out")
    preset = str(preset or named or "quick")
    text, place = _preset(domain, preset)
    layers = _defaults(domain)
    layers.add(parsed(text, place) | {"preset": preset}, place)
    layers.add(given, f"configuration file {file}")
    for item in overrides:
        layer = override(item)
        if option := {"plugin", "preset"} & layer.keys():
            raise ConfigError(f"--set {item}: this key has its own option, --{option.pop()}")
        layers.add(layer, f"--set {item}")
    if data:
        layers.add({"data": data}, f"--data {data}")
    if seed is not None:
        layers.add({"seed": seed}, f"--seed {seed}")
    return _built(domain, layers)


def loads(domain: Domain, text: str, source: str) -> RunConfig:
    """A configuration from its text, such as `dumps` writes: `loads(domain, dumps(config), "") == config`.

    A table `[run]` is passed over: a run's record stands there, in the same file as its configuration.

    Raises:
        ConfigError: if it does not fit the domain's and the core's settings.
    """
    layers = _defaults(domain)
    values = _without_record(parsed(text, source))
    if "plugin" not in values:
        raise ConfigError(f"{source} is not a whole configuration: the key 'plugin' is missing at its top")
    layers.add(values, source)
    return _built(domain, layers)


def dumps(config: RunConfig) -> str:
    """The configuration as TOML, a table a class; settings that are `None` are left out."""
    return "\n".join(_lines(unstructure(config), ())).strip() + "\n"


def _without_record(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "run"}


def _preset(domain: Domain, name: str) -> tuple[str, str]:
    """Text of a preset, and what to call it in messages."""
    if name not in domain.presets:
        raise RequestError(unknown_name(f"preset of plugin {domain.name!r}:", name, domain.presets))
    package, _, path = domain.presets[name].partition(":")
    try:
        text = files(package).joinpath(path).read_text(encoding="utf-8")
    except (OSError, ImportError) as error:
        reference = domain.presets[name]
        raise PluginError(f"preset {name!r} of plugin {domain.name!r}, {reference}, cannot be read: {error}") from error
    return text, f"preset {name!r} ({Path(path).name} of plugin {domain.name!r})"


def _defaults(domain: Domain) -> Layers:
    settings = domain.resolve(domain.settings)
    if not (isinstance(settings, type) and attrs.has(settings)):
        raise PluginError(f"domain {domain.name!r}: its settings, {domain.settings}, are not an attrs class")
    return Layers(unstructure(RunConfig(plugin=domain.name, domain=settings())))


def _built(domain: Domain, layers: Layers) -> RunConfig:
    """The configuration of the merged layers; a fault becomes a sentence with the key and its source."""
    try:
        if (named := layers.values["plugin"]) != domain.name:
            raise Fault(("plugin",), f"these settings are for {named!r}; they are used with {domain.name!r}")
        config = structure({**layers.values, "domain": _domain_settings(domain, layers.values["domain"])}, RunConfig)
        _check_samplers(config)
        _check_condition(domain, config)
    except Fault as fault:
        key = ".".join(fault.path).replace(".[", "[")
        raise ConfigError(f"setting {key!r} from {layers.source(fault.path)}: {fault.problem}") from fault.__cause__
    return config


def _domain_settings(domain: Domain, values: Any) -> Any:
    cls = domain.resolve(domain.settings)
    try:
        if not isinstance(values, Mapping):
            raise Fault((), f"it was given {values!r}; it takes the table of {domain.name!r}'s own settings")
        return structure(values, cls)
    except Fault as fault:
        raise fault.below("domain") from fault.__cause__


def _check_samplers(config: RunConfig) -> None:
    """Hold the names of samplers against those that exist."""
    path: tuple[str, ...] = ("sampling", "sampler")
    try:
        known_sampler(config.sampling.sampler)
        for number, row in enumerate(config.evaluation.grid):
            path = ("evaluation", "grid", f"[{number}]")
            sampler_and_steps(row)
    except RequestError as error:
        raise Fault(path, str(error)) from error


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Lines of a table: its values, then its sub-tables under their headers."""
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for key, value in table.items():
        if key not in tables and value is not None:
            yield f"{key} = {_literal(value)}"
    for key, value in tables.items():
        yield f"\n[{'.'.join((*path, key))}]"
        yield from _lines(value, (*path, key))


def _literal(value: Any) -> str:
    """A value on one line; the writer of TOML that is used puts each entry of a list on its own."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_literal(item)}' for key, item in value.items() if item is not None)}}}"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def _check_condition(domain: Domain, config: RunConfig) -> None:
    known = ("none", "class", *domain.conditions)
    if config.diffusion.condition not in known:
        raise Fault(("diffusion", "condition"), unknown_name("condition", config.diffusion.condition, known))
