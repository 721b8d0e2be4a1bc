"""Strict conversion between settings classes (attrs) and plain values, by cattrs, with faults that name the key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import BaseConverter, Converter
from cattrs.errors import BaseValidationError, ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from ddmi_core.errors import PluginError, nearest, unknown_name
from ddmi_core.settings.schema import choices, hints, settable, takes

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]


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
    """Build an instance of an attrs class from plain values; missing keys take their defaults.

    Raises:
        Fault: at the first key that is unknown or whose value does not fit.
        PluginError: if the class has a setting of a type that settings cannot have.
    """
    try:
        return converter().structure(values, cls)
    except BaseValidationError as error:
        raise _fault(error, values, cls) from error


def unstructure(settings: Any) -> dict[str, Any]:
    """Plain values of an attrs instance: the inverse of `structure`."""
    values: dict[str, Any] = converter().unstructure(settings)
    return values


@cache
def converter() -> Converter:
    """The strict converter: unknown keys are refused, and values are not coerced."""
    strict = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, exact in _SCALARS.items():
        strict.register_structure_hook(kind, exact)
    strict.register_structure_hook_factory(lambda kind: get_origin(kind) in _UNIONS, _union_hook)
    strict.register_structure_hook_factory(attrs.has, _class_hook)
    return strict


def _integer(value: object, kind: type[int]) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return kind(value)  # an enumeration of integers refuses those that it lacks


def _number(value: object, _: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise TypeError
    return float(value)


def _text(value: object, kind: type[str]) -> str:
    if not isinstance(value, str):
        raise TypeError
    return kind(value)


def _boolean(value: object, _: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_SCALARS: dict[Any, Hook] = {int: _integer, float: _number, str: _text, bool: _boolean}
_UNIONS: tuple[Any, ...] = (Union, UnionType)


def _union_hook(kind: Any, strict: BaseConverter) -> Hook:
    """The first arm that fits; `None` only where the type allows it."""
    arms = [arm for arm in get_args(kind) if arm is not NoneType]

    def build(given: Any, _: Any) -> Any:
        if given is None and len(arms) < len(get_args(kind)):
            return None
        for arm in arms[:-1]:
            try:
                return strict.structure(given, arm)
            except Exception:
                continue
        return strict.structure(given, arms[-1])

    return build


def _class_hook(cls: Any, strict: BaseConverter) -> Hook:
    """Build an attrs class from a table, with each attribute's own validator applied to its value."""
    for attribute in settable(cls):
        kind = hints(cls)[attribute.name]
        if (get_origin(kind) or kind) in (dict, Mapping):
            raise PluginError(f"setting {attribute.name!r} of {cls.__qualname__} is a mapping; make it an attrs class")
    fields = {a.name: override(struct_hook=_attribute_hook(a, hints(cls)[a.name], strict)) for a in settable(cls)}
    fill: Hook = make_dict_structure_fn(cls, strict, **fields)  # type: ignore[arg-type]

    def build(given: Any, _: Any) -> Any:
        if not isinstance(given, Mapping):
            raise TypeError
        return fill(given, cls)

    return build


def _attribute_hook(attribute: attrs.Attribute[Any], kind: Any, strict: BaseConverter) -> Hook:
    def build(given: Any, _: Any) -> Any:
        value = strict.structure(_as_list(given, kind), kind)
        if attribute.validator is not None:
            attribute.validator(None, attribute, value)
        return value

    return build


def _as_list(given: Any, kind: Any) -> Any:
    """The value, if it may be a list where the type is one; one text stands for a list of itself."""
    if get_origin(kind) not in (tuple, list):
        return given
    inner, fixed = get_args(kind)[0], get_origin(kind) is tuple and get_args(kind)[1:] != (Ellipsis,)
    if isinstance(given, str) and inner is str and not fixed:
        if given.lstrip().startswith("["):
            quoted = ", ".join(f'"{part.strip()}"' for part in given.strip().strip("[]").split(",") if part.strip())
            raise Fault(
                (), f"""it was given {given}, whose texts have no quotes; write [{quoted}], in a shell '[{quoted}]'"""
            )
        return [given]
    if not isinstance(given, list | tuple):
        raise TypeError
    return given if fixed else [_as_list(item, inner) for item in given]


def _fault(error: Exception, given: Any, kind: Any, validator: Any = None) -> Fault:
    """The first fault in an error of cattrs.

    Args:
        error: raised while the value was converted.
        given: the value.
        kind: the type that it was converted to.
        validator: of the attribute that it was given for.
    """
    if isinstance(error, Fault):
        return error
    if isinstance(error, ClassValidationError):
        inside, whole = error.group_exceptions()
        known = {attribute.name: attribute for attribute in settable(error.cl)}
        for problem in whole:
            if isinstance(problem, ForbiddenExtraKeysError):
                name = next(name for name in given if name in problem.extra_fields)
                return Fault((name,), unknown_name("key", name, known))
        for problem, note in inside:
            kind, validator = hints(error.cl)[note.name], known[note.name].validator
            return _fault(problem, given[note.name], kind, validator).below(note.name)
        return Fault((), str(whole[0].args[0]) if whole[0].args else str(whole[0]))
    if isinstance(error, IterableValidationError):
        items = [given] if isinstance(given, str) else given
        for problem, item in error.group_exceptions()[0]:
            return _fault(problem, items[int(item.index)], item.type).below(f"[{item.index}]")
    return Fault((), _mismatch(given, kind, validator))


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
