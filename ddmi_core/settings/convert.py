"""Strict conversion between settings classes (attrs) and plain values, with faults that name the key."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import BaseConverter, Converter

from ddmi_core.errors import PluginError, RequestError, nearest, unknown_name
from ddmi_core.registry.extensions import Named
from ddmi_core.settings.schema import choices, hints, settable, takes

T = TypeVar("T")
_URL = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://")
# A path that leads out of its folder, of Windows too, with or without the name of a data source.
_OUTSIDE = re.compile(
    r"(?P<source>(?:(?!file:)[A-Za-z][\w-]+:)?)(?P<path>(?:file:|[A-Za-z]:)?(?:~[\w.-]*)?(?:[/\\]|\.\.[/\\]).*)",
    re.DOTALL,
)


class Fault(Exception):  # noqa: N818 - becomes a ConfigError once the source of the key is known
    """An unknown key, or a value that does not fit.

    Args:
        path: names from the outermost table to the key; an index into a list is `[2]`.
        problem: what is wrong, and what the key takes.
    """

    def __init__(self, path: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.path, self.problem = path, problem

    def below(self, name: str) -> Fault:
        """The same fault as seen from the table that holds this one as `name`."""
        return Fault((name, *self.path), self.problem)


def structure(values: Mapping[str, Any], cls: type[T]) -> T:
    """An instance of an attrs class from plain values; keys left out take their defaults.

    Raises:
        Fault: at the first key that is unknown or whose value does not fit.
    """
    return converter().structure(values, cls)


def unstructure(settings: Any) -> dict[str, Any]:
    """Plain values of an attrs instance: the inverse of `structure`."""
    values: dict[str, Any] = converter().unstructure(settings)
    return values


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested plain values under dotted keys."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def portable(value: Any) -> Any:
    """A value of a configuration or of figures, in which each path that leads out of its folder keeps its last part.

    Such paths, absolute or by `..`, are invalid on other machines, and may be private.

    Example:
        >>> portable({"data": "folder:/home/anna/cats", "size": 48})
        {'data': 'folder:cats', 'size': 48}
    """
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    if isinstance(value, str) and not _URL.match(value) and (match := _OUTSIDE.fullmatch(value)):
        return match["source"] + re.split(r"[/\\]", match["path"].rstrip("/\\"))[-1]
    return value


@cache
def converter() -> Converter:
    """The strict converter."""
    strict = Converter()
    for kind, exact in _SCALARS.items():
        strict.register_structure_hook(kind, exact)
    strict.register_structure_hook_factory(_is_list, _list_hook)
    strict.register_structure_hook_factory(_is_union, _union_hook)
    strict.register_structure_hook_factory(_is_settings, _class_hook)
    return strict


def _is_list(kind: Any) -> bool:
    return get_origin(kind) in _LISTS


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in _UNIONS


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _integer(value: object, kind: type[int]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise TypeError
    return kind(value)  # an enumeration of integers refuses those that it lacks


def _number(value: object, _: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    number = float(value)  # an integer may be too large
    if not math.isfinite(number):
        raise TypeError
    return number


def _text(value: object, kind: type[str]) -> str:
    if not isinstance(value, str):
        raise TypeError
    return kind(value)


def _boolean(value: object, _: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_SCALARS: dict[Any, Callable[[Any, Any], Any]] = {
    int: _integer,
    float: _number,
    str: _text,
    bool: _boolean,
}
_LISTS: tuple[Any, ...] = (tuple, list)
_UNIONS: tuple[Any, ...] = (Union, UnionType)


def _list_hook(kind: Any, strict: BaseConverter) -> Callable[[Any, Any], Any]:
    """Lists, and tuples of any or of a fixed length."""
    origin, arguments = get_origin(kind), get_args(kind)
    fixed = origin is tuple and arguments[1:] != (Ellipsis,)

    def build(given: Any, _: Any) -> Any:
        if isinstance(given, str) and not fixed and arguments[0] is str:
            given = [_single(given)]
        if not isinstance(given, list | tuple) or (fixed and len(given) != len(arguments)):
            raise TypeError
        kinds = arguments if fixed else [arguments[0]] * len(given)
        return origin(
            _value(strict, item, inner, None, f"[{index}]")
            for index, (item, inner) in enumerate(zip(given, kinds, strict=True))
        )

    return build


def _single(text: str) -> str:
    """A text that stands for a list of itself, unless it looks like a list whose quotes are missing."""
    if not text.lstrip().startswith("["):
        return text
    quoted = ", ".join(f'"{part.strip()}"' for part in text.strip().strip("[]").split(",") if part.strip())
    raise Fault((), f"""it was given {text}, whose texts have no quotes; write [{quoted}], in a shell '[{quoted}]'""")


def _union_hook(kind: Any, strict: BaseConverter) -> Callable[[Any, Any], Any]:
    """The first arm that fits; `None` only where the type says so."""
    arms = [arm for arm in get_args(kind) if arm is not NoneType]

    def build(given: Any, _: Any) -> Any:
        if given is None and len(arms) < len(get_args(kind)):
            return None
        for arm in arms:
            try:
                return strict.structure(given, arm)
            except Exception as error:
                last = error
        raise last

    return build


def _class_hook(cls: Any, strict: BaseConverter) -> Callable[[Any, Any], Any]:
    """An attrs class from a table; every fault carries its key."""
    attributes = {attribute.name: attribute for attribute in settable(cls)}
    for name in attributes:
        if (get_origin(hints(cls)[name]) or hints(cls)[name]) in (dict, Mapping):
            raise PluginError(f"setting {name!r} of {cls.__qualname__} is a mapping; make it an attrs class")

    def build(given: Any, _: Any) -> Any:
        if not isinstance(given, Mapping):
            raise TypeError
        for name in given:
            if name not in attributes:
                raise Fault((name,), unknown_name("key", name, attributes))
        arguments = {
            str(attribute.alias): _value(strict, given[name], hints(cls)[name], attribute.validator, name)
            for name, attribute in attributes.items()
            if name in given
        }
        try:
            return cls(**arguments)
        except (ValueError, TypeError, RequestError) as error:
            for name, attribute in attributes.items():
                if str(attribute.alias) in arguments:
                    _validate(attribute, hints(cls)[name], arguments[str(attribute.alias)])
            if isinstance(error, RequestError):  # a domain's own sentence
                raise
            raise Fault((), str(error.args[0]) if error.args else str(error)) from error

    return build


def _value(strict: BaseConverter, given: Any, kind: Any, validator: Any, name: str) -> Any:
    """One value; any failure becomes a fault that names it."""
    try:
        return strict.structure(given, kind)
    except Fault as fault:
        raise fault.below(name) from fault.__cause__
    except PluginError:
        raise
    except Exception as error:
        raise Fault((name,), _mismatch(given, kind, validator)) from error


def _validate(attribute: attrs.Attribute[Any], kind: Any, value: Any) -> None:
    """Raise the fault of one field if its own validator refuses the value."""
    if attribute.validator is None:
        return
    try:
        attribute.validator(None, attribute, value)
    except RequestError as error:
        if isinstance(attribute.validator, Named):
            raise Fault((attribute.name,), str(error)) from error
    except (ValueError, TypeError) as error:
        raise Fault((attribute.name,), _mismatch(value, kind, attribute.validator)) from error
    except AttributeError:
        return  # it looks at other settings of the instance, which does not exist


def _mismatch(given: Any, kind: Any, validator: Any) -> str:
    """What was given, and what the setting takes."""
    hint = nearest(str(given), map(str, choices(kind, validator)))
    return f"it was given {_shown(given)}{hint} It takes {takes(kind, validator)}"


def _shown(value: Any) -> str:
    """A value with its type, in the words of TOML."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the {'integer' if isinstance(value, int) else 'number'} {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, list | tuple):
        return f"the list {list(value)}"
    return f"a table with the keys {', '.join(value)}" if isinstance(value, Mapping) else repr(value)
