"""Resolution of a run's settings in layers (defaults, preset, file, command line), and their form as TOML."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w
from attrs import evolve, field, frozen

from ddmi_core.api.domain import Domain
from ddmi_core.conditions.text_network import is_network
from ddmi_core.errors import ConfigError, PluginError, RequestError, unknown_name
from ddmi_core.parts.domain_parts import AnyParts, build_parts, implementation
from ddmi_core.registry.extensions import offer
from ddmi_core.settings.config import RunConfig, named_parts, network_file, sampler_and_steps
from ddmi_core.settings.convert import Fault, flat, structure, unstructure
from ddmi_core.settings.schema import SettingKey as SettingKey
from ddmi_core.settings.schema import keys as keys
from ddmi_core.training.config import TrainingConfig

RESERVED = ("none", "class")  # conditions of the core
NETWORKS = (  # settings of networks, which those of weights replace
    *("autoencoder.latent_channels", "autoencoder.encoder.", "autoencoder.decoder.", "autoencoder.readout."),
    *("diffusion.target", "diffusion.mixed", "diffusion.condition", "diffusion.path.", "diffusion.denoiser."),
)
SHORTER = 10  # training from finished weights takes so many times fewer steps than theirs
QUICK = "quick"  # the preset of `ddmi run` by default; without a file, the default values of all settings


@frozen
class Layers:
    """Layers merged into one table. Later layers win, and tables merge key by key.

    Args:
        values: the table, as plain values.
        sources: layer that set each key last, by the path of the key; defaults are not recorded.
    """

    values: dict[str, Any]
    sources: dict[tuple[str, ...], str] = field(factory=dict)

    def add(self, layer: Mapping[str, Any], source: str) -> None:
        """Put a layer on top."""
        self._merge(self.values, layer, (), source)

    def source(self, path: tuple[str, ...]) -> str:
        """The layer that a key came from; for a table, the layers of its keys."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]]
        inside = dict.fromkeys(s for p, s in self.sources.items() if p[: len(path)] == path)
        return " and ".join(inside) or "the defaults"

    def _merge(self, into: dict[str, Any], layer: Mapping[str, Any], at: tuple[str, ...], source: str) -> None:
        for key, value in layer.items():
            path = (*at, key)
            if isinstance(value, Mapping) and isinstance(into.get(key), dict):
                self._merge(into[key], value, path, source)
                continue
            for old in [p for p in self.sources if p[: len(path)] == path]:
                del self.sources[old]
            into[key] = value
            self.sources[path] = source


@frozen
class WeightsSettings:
    """The settings of finished weights from which a run starts.

    Args:
        weights: as in `RunConfig`.
        config: with which they were made.
    """

    weights: str
    config: RunConfig

    def started(self) -> RunConfig:
        """The settings of a run that starts from them.

        Training takes a tenth of their steps, with their rates. Weights that have started from others have such
        numbers of steps already.
        """
        autoencoder, diffusion = self.config.autoencoder, self.config.diffusion
        if self.config.weights:
            return evolve(self.config, weights=self.weights)
        anneal, adversarial = autoencoder.kl_anneal, autoencoder.adversarial
        shorter = evolve(
            autoencoder,
            kl_anneal=anneal if anneal < 1 else max(1, anneal / SHORTER),  # below 1, a share of the steps
            adversarial=evolve(adversarial, start=_shorter(adversarial.start)),
            training=_shortened(autoencoder.training),
        )
        return evolve(
            self.config,
            weights=self.weights,
            autoencoder=shorter,
            diffusion=evolve(diffusion, training=_shortened(diffusion.training)),
        )


def _shortened(training: TrainingConfig) -> TrainingConfig:
    return evolve(training, steps=_shorter(training.steps), warmup=training.warmup // SHORTER)


def _shorter(steps: int) -> int:
    return -(-steps // SHORTER)


def parsed(text: str, source: str) -> dict[str, Any]:
    """Parse a TOML document.

    Raises:
        ConfigError: with the source and the place, if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is a ValueError
        raise ConfigError(f"{source} is not valid TOML: {error}") from error


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: if it is missing, unreadable, or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"configuration file {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from error
    return parsed(text, f"configuration file {path}")


def override(text: str) -> dict[str, Any]:
    """Parse one `--set key.sub=value` as a layer.

    The value is read as TOML (`3`, `1e-3`, `true`, `[1, 2]`, `"text"`); anything else is text.

    Raises:
        ConfigError: if there is no `=` or the key is not a dotted name.
    """
    key, equals, value = text.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not equals or not all(names):
        raise ConfigError(f"--set {text} is not of the form key.sub=value, for example --set seed=1")
    layer: Any = _parsed_value(value)
    for name in reversed(names):
        layer = {name: layer}
    return dict(layer)


def _parsed_value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = table["value"]
    return text if len(table) > 1 or isinstance(value, date | time) else value


def resolve(
    domain: Domain,
    preset: str = "",
    file: Path | None = None,
    overrides: Sequence[str] = (),
    data: str = "",
    seed: int | None = None,
    weights: WeightsSettings | None = None,
) -> RunConfig:
    """Resolve the configuration of a run from preset, file, `--set`, then `--data` and `--seed`; later ones win.

    The settings of finished weights take the place of a preset, and no other layer changes those of their networks.

    Args:
        domain: the domain.
        preset: one of its presets; if empty, the preset that the file names, or `quick`.
        file: a TOML file, for example the `run.toml` of another run.
        overrides: texts `key.sub=value`.
        data: as in `RunConfig`; if empty, the layers below decide.
        seed: as in `RunConfig`; if `None`, the layers below decide.
        weights: finished weights from which the run starts; `None` for random ones.

    Raises:
        ConfigError: for an unknown key or a wrong value; names the key, its source, what it takes, and the nearest
            valid name. Or for a setting of networks that is not that of the weights.
    """
    given = _without_record(read(file) if file else {})
    named, begun = given.pop("preset", ""), given.pop("weights", "")
    layers = _defaults(domain)
    if weights is None:
        if begun:
            raise ConfigError(
                f"configuration file {file} is of a run that started from the weights {begun}. Fix: add --from "
                f"{shlex.quote(str(begun))}, or remove the key 'weights' from the file"
            )
        if preset and named and named != preset:
            raise ConfigError(f"configuration file {file} starts from preset {named!r}, not {preset!r}; leave one out")
        preset = str(preset or named or QUICK)
        for values, place in _presets(domain, preset):
            # The data that a preset is for are not a setting: see `preset_data`.
            layers.add({key: value for key, value in values.items() if key != "data"} | {"preset": preset}, place)
    else:
        layers.add(unstructure(weights.started()), f"the weights {weights.weights}")
        if (other := preset or named) and other != (own := weights.config.preset):
            raise ConfigError(
                f"the weights {weights.weights} have settings of their own, from preset {own!r}, not {other!r}. Fix: "
                "leave the preset out, and change single settings with --set"
            )
    layers.add(given, f"configuration file {file}")
    for item in overrides:
        layer = override(item)
        if option := {"plugin", "preset", "weights"} & layer.keys():
            name = option.pop()
            raise ConfigError(f"--set {item}: this key has its own option, --{'from' if name == 'weights' else name}")
        layers.add(layer, f"--set {item}")
    if data:
        layers.add({"data": data}, f"--data {data}")
    if seed is not None:
        layers.add({"seed": seed}, f"--seed {seed}")
    config = _with_network(_built(domain, layers))
    if weights is not None:
        _check_networks(config, weights.config, layers)
    return config


def _check_networks(config: RunConfig, stored: RunConfig, layers: Layers) -> None:
    """Check that a configuration has the networks of the weights from which the run starts."""
    values, fixed = flat(unstructure(config)), flat(unstructure(stored))
    for key, value in values.items():
        if key.startswith(NETWORKS) and value != fixed[key] and not _replaces_condition(key, value, fixed[key]):
            raise ConfigError(
                f"setting {key!r} from {layers.source(tuple(key.split('.')))}: it was given {value!r}, and the weights "
                f"{config.weights} have {fixed[key]!r}, which belongs to their networks. Fix: leave it out; or train "
                "other networks without --from",
                key,
            )


def _replaces_condition(key: str, value: str, stored: str) -> bool:
    """Whether a denoiser that follows one condition can be trained on: for classes or none, or by the same network."""
    return key == "diffusion.condition" and (value in RESERVED or (is_network(value) and is_network(stored)))


def loads(domain: Domain, text: str, source: str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration from the text that `dumps` writes: `loads(domain, dumps(config), "") == config`.

    The table `[run]` is ignored: it holds the record of a run, in the same file as its configuration. Names of parts
    that evaluations alone use are not checked, because the run can be sampled without them.

    Args:
        domain: the domain.
        text: TOML.
        source: of the text, for messages.
        overrides: texts `domain.key=value`, which win.

    Raises:
        ConfigError: if it does not fit the domain's and the core's settings, or another setting is overridden.
    """
    layers = _defaults(domain)
    values = _without_record(parsed(text, source))
    if "plugin" not in values:
        raise ConfigError(f"{source} is not a whole configuration: the key 'plugin' is missing at its top")
    layers.add(values, source)
    for item in overrides:
        layer = override(item)
        if layer.keys() != {"domain"}:
            raise ConfigError(
                f"--set {item}: a trained model takes other settings of its domain alone, --set domain.KEY=VALUE"
            )
        layers.add(layer, f"--set {item}")
    return _built(domain, layers, evaluated=False)


def dumps(config: RunConfig) -> str:
    """The configuration as TOML, one table per class; settings that are `None` are omitted."""
    return "\n".join(_lines(unstructure(config), ())).strip() + "\n"


def _without_record(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "run"}


def _presets(domain: Domain, name: str, above: tuple[str, ...] = ()) -> list[tuple[dict[str, Any], str]]:
    """Values of a preset, and its name in messages; first those of the preset that it names with `preset = "..."`."""
    if name in above:
        raise PluginError(
            f"presets of plugin {domain.name!r} start from each other: {', '.join((*above, name))}. Fix: remove the "
            "key 'preset' from one of them"
        )
    text, place = _preset(domain, name)
    values = parsed(text, place)
    below = values.pop("preset", "")
    return [*(_presets(domain, below, (*above, name)) if below else []), (values, place)]


def _preset(domain: Domain, name: str) -> tuple[str, str]:
    """Text of a preset, and its name in messages."""
    own = implementation(domain).presets
    try:
        presets = {QUICK: "", **own()}
    except TypeError as error:
        raise PluginError(
            f"domain {domain.name!r}: `presets` must be a classmethod that returns names with files or texts: {error}"
        ) from error
    if name not in presets:
        raise RequestError(unknown_name(f"preset of plugin {domain.name!r}:", name, presets))
    preset = presets[name]
    if isinstance(preset, str):
        return preset, f"preset {name!r} of plugin {domain.name!r}"
    try:
        text = preset.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"preset {name!r} of plugin {domain.name!r}, {preset}, cannot be read: {error}") from error
    return text, f"preset {name!r} ({preset.name} of plugin {domain.name!r})"


def preset_data(domain: Domain, name: str) -> str:
    """Name of the source of the data that a preset is for, its key `data`; empty if it is for any.

    Raises:
        RequestError, PluginError: as for a run.
    """
    return str(next((values["data"] for values, _ in reversed(list(_presets(domain, name))) if "data" in values), ""))


def _defaults(domain: Domain) -> Layers:
    return Layers(unstructure(RunConfig(plugin=domain.name, domain=implementation(domain).settings_type())))


def _built(domain: Domain, layers: Layers, *, evaluated: bool = True) -> RunConfig:
    """Build the configuration of the merged layers; a fault becomes an error with the key and its source."""
    try:
        if (named := layers.values["plugin"]) != domain.name:
            raise Fault(("plugin",), f"these settings are for {named!r}; they are used with {domain.name!r}")
        config = structure({**layers.values, "domain": _domain_settings(domain, layers.values["domain"])}, RunConfig)
        parts = build_parts(domain, config.domain)
        _check_names(parts, config, evaluated)
        _check_condition(parts, config)
    except Fault as fault:
        key = ".".join(fault.path).replace(".[", "[")
        message = f"setting {key!r} from {layers.source(fault.path)}: {fault.problem}"
        raise ConfigError(message, key) from fault.__cause__
    return config


def _domain_settings(domain: Domain, values: Any) -> Any:
    cls = implementation(domain).settings_type
    try:
        if not isinstance(values, Mapping):
            raise Fault((), f"it was given {values!r}; it takes the table of {domain.name!r}'s own settings")
        return structure(values, cls)
    except Fault as fault:
        raise fault.below("domain") from fault.__cause__


def _check_names(parts: AnyParts, config: RunConfig, evaluated: bool) -> None:
    """Check the rows of the table of samplers, and that each part exists and works for the domain.

    The parts of evaluations are left out unless `evaluated`.
    """
    domain = parts.domain
    if evaluated and config.evaluation.metrics and (taken := set(config.evaluation.metrics) & set(parts.metrics())):
        raise Fault(("evaluation", "metrics"), f"plugin {domain.name!r} has a metric {taken.pop()!r} of its own")
    checks: list[tuple[tuple[str, ...], Callable[[], object]]] = [
        *((path, partial(offer, kind, name, domain)) for path, kind, name in named_parts(config)),
        *(
            (("evaluation", "grid", f"[{number}]"), partial(sampler_and_steps, row))
            for number, row in enumerate(config.evaluation.grid)
        ),
    ]
    for path, check in checks:
        if path[0] == "evaluation" and not evaluated:
            continue
        try:
            check()
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
    """A value on one line; `tomli_w` puts each entry of a list on its own line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_literal(item)}' for key, item in value.items() if item is not None)}}}"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")


def _with_network(config: RunConfig) -> RunConfig:
    """The configuration of a new run, with absolute paths of the text network and of feature networks."""
    networks = tuple(map(_absolute, config.evaluation.networks))
    config = evolve(config, evaluation=evolve(config.evaluation, networks=networks))
    if not is_network(config.diffusion.condition):
        return config
    path = Path(config.diffusion.condition).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"setting 'diffusion.condition': there is no text network {path}", "diffusion.condition")
    return evolve(config, diffusion=evolve(config.diffusion, condition=str(path)))


def _absolute(entry: str) -> str:
    """An entry of `evaluation.networks` with an absolute path; the name of an extension's network stays."""
    if (found := network_file(entry)) is None:
        return entry
    kind, path = found
    return f"{kind}:" * bool(kind) + str(path.expanduser().absolute())


def _check_condition(parts: AnyParts, config: RunConfig) -> None:
    own = parts.conditions()
    if taken := set(RESERVED) & set(own):
        raise PluginError(
            f"domain {parts.domain.name!r}: conditions() names {taken.pop()!r}, which the core reserves. "
            "Fix: choose another name"
        )
    known, name = (*RESERVED, *own), config.diffusion.condition
    if name not in known and not is_network(name):
        raise Fault(("diffusion", "condition"), unknown_name("condition", name, known))
