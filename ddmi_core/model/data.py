"""Data sources of a domain: parsing of `--data`, loading, and summaries."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

from attrs import asdict, evolve, field, frozen

from ddmi_core.api.signals import SignalSet, Split
from ddmi_core.conditions.text import text_condition, text_tokens, word_condition, word_tokens
from ddmi_core.conditions.text_network import is_network
from ddmi_core.errors import CaptionsMissing, ConfigError, DataError, UnusableFiles, counted, nearest
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.parts.returns import instance, require
from ddmi_core.progress import doing
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import preset_data, resolve
from ddmi_core.sources.account import Account, accounting

FOLDER = "folder"  # the source for a path without a source name
LEAST_TRAIN = 2  # for covariances of features
FEW_HELD_OUT = 4
_TEXT = (text_condition, word_condition, text_tokens, word_tokens)


@doing("reading the data")
def load_data(parts: AnyParts, data: str) -> Split:
    """Load the signals of a source.

    Args:
        parts: the domain with the sources.
        data: `NAME`, `NAME:PATH`, `PATH`, or empty for the domain's default.

    Raises:
        DataError: if there is no such source, or the data cannot be used.
        PluginError: if the source returns something else than a split of two sets of signals.
    """
    name, location = _located(parts, data)
    with accounting() as account:
        split = parts.sources()[name](location, parts.settings)
    where = f"domain {parts.domain.name!r}: source {name!r}"
    require(instance(Split), split, where)
    for part in (split.train, split.held_out):
        require(instance(SignalSet), part, f"{where}, in its Split,")
    if 0 < len(split.held_out) < FEW_HELD_OUT:
        account.remark(
            f"figures compare with {counted(len(split.held_out), 'held-out signal')} only",
            fix="give more signals, or hold out a larger share",
        )
    return evolve(split, account=account)


def source_name(parts: AnyParts, data: str) -> str:
    """The value of `--data` for messages: the name of the default source if it is empty."""
    return data or next(iter(parts.sources()))


def absolute(parts: AnyParts, data: str) -> str:
    """The value of `--data` with an absolute path, valid in any working directory.

    Raises:
        DataError: if there is no such source.
    """
    name, location = _located(parts, data)
    if location is None:
        return data
    return f"{name}:{location.absolute()}" if data.startswith(f"{name}:") else str(location.absolute())


def preset_source(parts: AnyParts, preset: str) -> str:
    """The source of the data that a preset is for, for a run without `--data`; empty for the domain's default.

    Raises:
        DataError: if it is a source of files, which a run must be given, so that it does not train on other data.
    """
    sources, name = parts.sources(), preset_data(parts.domain, preset)
    if not name or name not in sources or not takes_location(parts, name):
        return name
    summary = _source(name, sources[name], default=False).summary.rstrip(".")
    raise DataError(
        f"preset {preset!r} is for the data {name!r} ({summary}), which must be given. Fix: see where to get them with "
        f"`ddmi data check {name} --plugin {parts.domain.name}`, then add --data {name} or --data {name}:PATH. To "
        f"train on other data, name them, for example --data {next(iter(sources))}"
    )


def takes_location(parts: AnyParts, data: str) -> bool:
    """Whether the source of a value of `--data` reads files, so that it takes a location."""
    load = parts.sources()[_located(parts, data)[0]]
    return get_type_hints(load).get("location") is not NoneType


def _located(parts: AnyParts, data: str) -> tuple[str, Path | None]:
    """Name and path of the source."""
    sources = parts.sources()
    name, _, place = source_name(parts, data).partition(":")
    location = Path(place) if place else None
    if name not in sources:
        path = Path(data)
        if FOLDER not in sources or not (path.exists() or {"/", "."} & set(data)):
            missing = "there is no such folder and no such source" if FOLDER in sources else "no such source"
            known = f"{nearest(name, sources)} Sources: {', '.join(sorted(sources))}"
            raise DataError(f"data {data!r}: {missing}{known}")
        return FOLDER, path
    return name, location


@frozen
class DataSummary:
    """Numbers of signals, classes, fingerprint and account of the data of a source.

    Args:
        source: the value of `--data`.
        training: number of signals for training.
        held_out: number of the others.
        classes: number of training signals of each class.
        captions: number of training signals with captions.
        fingerprint: of the data; empty if they cannot be loaded.
        account: files taken and left out, changes by the reader, and warnings.
        error: why the data cannot be loaded; empty if they can.
    """

    source: str
    training: int = 0
    held_out: int = 0
    classes: Mapping[str, int] = field(factory=dict)
    captions: int = 0
    fingerprint: str = ""
    account: Account = field(factory=Account)
    error: str = ""

    def head(self) -> list[str]:
        """Signals, classes and fingerprint as text."""
        if not self.fingerprint:
            return [f"{self.source}: cannot be loaded, see the error"]
        counts = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        return [
            f"{self.source}: {counted(self.training, 'training signal')}, {self.held_out} held out",
            f"classes: {counts}" if counts else "no classes",
            "captions: all signals" if self.captions else "no captions",
            f"fingerprint {self.fingerprint[:16]}",
        ]

    def lines(self, every: bool = False) -> list[str]:
        """The summary as text, with all names of files or the first few of each kind."""
        return [*self.head(), *self.account.lines(every)]

    def to_json(self) -> str:
        """As JSON text."""
        own = asdict(self, filter=lambda attribute, _: attribute.name != "account")
        return json.dumps({**own, **self.account.to_dict()}, indent=1)


def check_data(parts: AnyParts, config: RunConfig, trial: Callable[[Split], object] | None = None) -> DataSummary:
    """Load data as training does, and describe them, or the error with what was found until then.

    What a run would meet later is an error or a warning here: too few signals, no captions for its condition, and what
    `trial` raises. The error does not repeat the unusable files, which the account lists.

    Args:
        parts: the domain with the sources.
        config: of a run, with its data.
        trial: uses some of the signals as a run does; raises `DdmiError`.

    Raises:
        PluginError: as `load_data`.
    """
    name = source_name(parts, config.data)
    with accounting() as account:
        split = None
        try:
            split = load_data(parts, config.data)
            check_enough(split, name)
            fitting_condition(parts, config, split)
            if trial is not None:
                trial(split)
        except (DataError, ConfigError) as error:
            found = DataSummary(name, account=account) if split is None else summarize(split, name)
            return evolve(found, error=error.brief if isinstance(error, UnusableFiles) else str(error))
        return summarize(split, name)


def check_enough(split: Split, name: str) -> None:
    """Check that there are enough signals for a run.

    Args:
        split: the data.
        name: of their source, for the message.

    Raises:
        DataError: if there are too few.
    """
    if len(split.train) < LEAST_TRAIN or not len(split.held_out):
        raise DataError(
            f"{name}: {counted(len(split.train), 'training signal')} and {len(split.held_out)} held out; a run "
            f"requires at least {LEAST_TRAIN} and 1. Fix: give more signals, or another share to hold out"
        )


def fitting_condition(parts: AnyParts, config: RunConfig, split: Split, base: RunConfig | None = None) -> RunConfig:
    """The configuration for data without captions: their classes instead of the texts that a preset asks for.

    Args:
        parts: the domain.
        config: of the run.
        split: its data, whose account gets a warning.
        base: the settings that the user has changed; those of the preset by default.

    Raises:
        CaptionsMissing: if the condition differs from that of the base.
    """
    name = config.diffusion.condition
    on_text = is_network(name) or parts.conditions().get(name) in _TEXT
    if split.train.captions or not on_text:
        return config
    other = "class" if split.train.classes else "none"
    if name != (base or resolve(parts.domain, config.preset)).diffusion.condition:
        raise CaptionsMissing(
            f"text conditions require captions, and the data have none; diffusion.condition is {name!r}. Fix: add "
            f"captions, or set diffusion.condition={other}"
        )
    split.account.remark(
        f"the data have no captions, which {'the weights ask' if base else f'preset {config.preset!r} asks'} for: "
        f"diffusion.condition is {other!r} instead of {name!r}",
        fix="add captions if samples are to follow texts",
    )
    return evolve(config, diffusion=evolve(config.diffusion, condition=other))


def summarize(split: Split, source: str) -> DataSummary:
    """Count the signals and classes of a split.

    Args:
        split: the loaded data.
        source: name of the data in the summary.
    """
    names = split.train.classes
    counts = split.train.labels.bincount(minlength=len(names)).tolist() if names else []
    classes = dict(zip(names, counts, strict=False))
    return DataSummary(
        source,
        len(split.train),
        len(split.held_out),
        classes,
        len(split.train.captions),
        split.fingerprint(),
        split.account,
    )


@frozen
class Source:
    """One source: name, `--data` option, and description."""

    name: str
    usage: str
    summary: str
    default: bool


@frozen
class Sources:
    """All sources of a domain."""

    sources: tuple[Source, ...]

    def lines(self) -> list[str]:
        """One line per source, in columns."""
        width = max(len(source.usage) for source in self.sources)
        return [
            f"{source.usage:{width}}  {source.summary}{' (the default)' if source.default else ''}"
            for source in self.sources
        ]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps([asdict(source) for source in self.sources], indent=1)


def list_sources(parts: AnyParts) -> Sources:
    """The sources of a domain, from the signatures and docstrings of their functions."""
    found = parts.sources()
    default = next(iter(found))
    return Sources(tuple(_source(name, load, name == default) for name, load in found.items()))


def _source(name: str, load: Callable[..., Split], default: bool) -> Source:
    summary = (inspect.getdoc(load) or "").partition("\n")[0]
    location = get_type_hints(load).get("location")
    if location is NoneType:
        usage = name
    elif NoneType in get_args(location) or location is None:
        usage = f"{name}[:PATH]"
    else:
        usage = "PATH" if name == FOLDER else f"{name}:PATH"
    return Source(name, f"--data {usage}", summary, default)
