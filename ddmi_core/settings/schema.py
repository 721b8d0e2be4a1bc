"""Introspection of settings: names, types, defaults and help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from ddmi_core.steps import STEPS, declared

_WORDS: dict[Any, tuple[str, str]] = {
    int: ("an integer", "integers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "booleans"),
}


@frozen
class SettingKey:
    """One setting.

    Args:
        key: dotted name, as in `--set` and configuration files.
        takes: type and range in words.
        default: its default in the class, or its value in the instance.
        summary: what it does.
        acts_on: the steps of a run whose results it changes, see `acts_on`.
    """

    key: str
    takes: str
    default: Any
    summary: str
    acts_on: tuple[str, ...]


def keys(settings: Any, prefix: str = "") -> list[SettingKey]:
    """List the settings of a class (with defaults) or of an instance (with values), nested ones under dotted keys.

    Args:
        settings: an attrs class or instance, such as `RunConfig` or a resolved configuration.
        prefix: prepended to each key.
    """
    return list(_keys(settings, prefix, STEPS))


def takes(kind: Any, validator: Any = None) -> str:
    """Type and range of a setting in words: `an integer >= 1`, `one of 'noise', 'data'`."""
    limits = list(_limits(validator))
    if options := choices(kind, validator):
        return "one of " + ", ".join(map(repr, options))
    return " ".join([_kind(kind), " and ".join(limits)]).strip()


def choices(kind: Any, validator: Any) -> tuple[Any, ...]:
    """The values of a setting that takes one of a fixed list; empty for others."""
    for single in _single(validator):
        if hasattr(single, "options"):
            return tuple(single.options)
    if get_origin(kind) is Literal:
        return get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(member.value for member in kind)
    return ()


@cache
def hints(cls: type) -> dict[str, Any]:
    """Types of the fields of an attrs class."""
    return get_type_hints(cls)


def settable(cls: type) -> tuple[attrs.Attribute[Any], ...]:
    """Fields of an attrs class that can be set."""
    return tuple(attribute for attribute in attrs.fields(cls) if attribute.init)


def _keys(settings: Any, prefix: str, table: tuple[str, ...]) -> Iterator[SettingKey]:
    cls = settings if isinstance(settings, type) else type(settings)
    summaries = _summaries(cls)
    for attribute in settable(cls):
        kind = hints(cls)[attribute.name]
        value = _default(attribute) if settings is cls else getattr(settings, attribute.name)
        steps = declared(attribute.metadata, table)
        if attrs.has(type(value)):
            yield from _keys(value, f"{prefix}{attribute.name}.", steps)
        elif isinstance(kind, type) and attrs.has(kind):
            yield from _keys(kind, f"{prefix}{attribute.name}.", steps)
        else:
            summary = summaries.get(attribute.name, "")
            yield SettingKey(prefix + attribute.name, takes(kind, attribute.validator), value, summary, steps)


def _default(attribute: attrs.Attribute[Any]) -> Any:
    default: Any = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return default.factory()
    return None if default is attrs.NOTHING else default


def _kind(kind: Any) -> str:
    """A type in words."""
    arguments = get_args(kind)
    if kind in _WORDS:
        return _WORDS[kind][0]
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_kind(arm) for arm in arguments if arm is not NoneType)
    if get_origin(kind) in (tuple, list):
        if get_origin(kind) is list or arguments[1:] == (Ellipsis,):
            return f"a list of {_WORDS[arguments[0]][1] if arguments[0] in _WORDS else 'tables'}"
        return f"a list of {len(arguments)}: " + ", ".join(map(_kind, arguments))
    if isinstance(kind, type) and attrs.has(kind):
        return "a table with the keys " + ", ".join(attribute.name for attribute in settable(kind))
    return getattr(kind, "__name__", str(kind))


def _single(validator: Any) -> Iterator[Any]:
    """The single validators inside `and_` and `optional`."""
    inner = getattr(validator, "validator", None)
    for part in getattr(validator, "_validators", () if inner is None else (inner,)):
        yield from _single(part)
    yield validator


def _limits(validator: Any) -> Iterator[str]:
    """The limits that validators of attrs enforce, in words."""
    for single in _single(validator):
        if hasattr(single, "bound") and hasattr(single, "compare_op"):
            yield f"{single.compare_op} {single.bound}"
        elif hasattr(single, "min_length"):
            yield f"with at least {single.min_length} " + ("entry" if single.min_length == 1 else "entries")
        elif hasattr(single, "max_length"):
            yield f"with at most {single.max_length} " + ("entry" if single.max_length == 1 else "entries")
        elif hasattr(single, "pattern"):
            yield f"matching {single.pattern.pattern!r}"
        elif getattr(single, "member_validator", None) is not None:
            yield from (f"each {limit}" for limit in _limits(single.member_validator))


@cache
def _summaries(cls: type) -> dict[str, str]:
    """Descriptions of the fields, from the `Args` sections of the docstrings of the class and of its bases."""
    summaries: dict[str, str] = {}
    for base in cls.__bases__:
        summaries |= _summaries(base)
    _, _, section = cleandoc(cls.__doc__ or "").partition("Args:\n")
    for entry in re.split(r"\n(?= {4}\S)", section.partition("\n\n")[0]):
        names, colon, text = entry.strip().partition(": ")
        if colon and re.fullmatch(r"[\w, ]+", names):
            summaries |= dict.fromkeys((name.strip() for name in names.split(",")), " ".join(text.split()))
    return summaries
