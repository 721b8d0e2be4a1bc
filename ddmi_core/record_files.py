"""Small files of a run as JSON with a checksum, and their strict reading: size, nesting, numbers and types.

The member `checksum` is that of all other members, so spaces and the order of members do not matter. A file without it
is refused: its checksum may have been lost with the rest of its contents.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

CHECKSUM = "checksum"
MOST = 256 << 20  # bytes of a file
LARGEST = 2**63  # of an integer

T = TypeVar("T")


class DamagedRecord(ValueError):  # noqa: N818 - callers make an error for users of it
    """A record is not what was written; the message says what is wrong, without the path."""


def checksum(values: Mapping[str, Any]) -> str:
    """The checksum of a record: the SHA-256 of its other members as JSON with sorted keys, shortened to 32 digits."""
    rest = {key: value for key, value in values.items() if key != CHECKSUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A record with its checksum, as its first member."""
    rest = {key: value for key, value in values.items() if key != CHECKSUM}
    plain = json.loads(json.dumps(rest, default=str))  # tuples are lists when it is read
    return {CHECKSUM: checksum(plain), **plain}


def check(values: Mapping[str, Any]) -> None:
    """Compare a record with its checksum.

    Raises:
        DamagedRecord: if they differ, or it has none.
    """
    if CHECKSUM not in values:
        raise DamagedRecord("it has no checksum, so it was damaged or edited")
    if values[CHECKSUM] != checksum(values):
        raise DamagedRecord("its contents do not have its checksum, so it was damaged or edited")


def to_json(values: Mapping[str, Any]) -> str:
    """A record with its checksum as indented JSON."""
    return json.dumps(sealed(values), indent=1) + "\n"


def parsed(text: str | bytes) -> dict[str, Any]:
    """A JSON object from a text or its bytes in UTF-8; its checksum is not compared.

    Raises:
        DamagedRecord: if it is none, is nested too deeply, has a member twice, or has integers of too many digits.
    """
    try:
        found = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, object_pairs_hook=_members)
    except UnicodeDecodeError as error:
        raise DamagedRecord("it is not text in UTF-8") from error
    except DamagedRecord:
        raise
    except RecursionError as error:
        raise DamagedRecord("it is nested too deeply") from error
    except ValueError as error:
        raise DamagedRecord(f"it is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DamagedRecord(f"it holds a {type(found).__name__} where an object of JSON is expected")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; Python's reader alone would take the last of two members with one name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, count),) = Counter(name for name, _ in pairs).most_common(1)
        raise DamagedRecord(f"the member {name!r:.60} comes {count} times")
    return found


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """The contents of a small file.

    Raises:
        DamagedRecord: if it is larger than `most`.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise DamagedRecord(f"it has more than {most >> 20} MiB")
    return found


def read(path: Path, most: int = MOST) -> dict[str, Any]:
    """A record that `to_json` has written.

    Raises:
        DamagedRecord: if it is not what was written.
        OSError: if it cannot be read.
    """
    found = parsed(read_bytes(path, most))
    check(found)
    return found


def structured(values: object, kind: type[T]) -> T:
    """An instance of an attrs class, or of another type, from JSON values. Members that the class lacks are left out.

    Integers are no texts, booleans no integers, and `null` only where the type says so.

    Raises:
        DamagedRecord: names the member, and what it takes.
    """
    try:
        return _strict().structure(values, kind)
    except BaseValidationError as error:
        (first, *_) = transform_error(error, path="", format_exception=_fault)
        what, _, where = first.rpartition(" @ ")
        raise DamagedRecord(f"{where.lstrip('.') or 'the record'}: {what}") from error
    except Exception as error:  # a hook or a validator refuses the whole value
        raise DamagedRecord(f"{error}") from error


_MAPPINGS: tuple[Any, ...] = (Mapping, dict)


def _fault(error: BaseException, kind: type | None) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return str(error) or type(error).__name__


@cache
def _strict() -> Converter:
    converter = Converter(detailed_validation=True)
    for kind in (int, float, str, bool):
        converter.register_structure_hook(kind, _scalar)
    converter.register_structure_hook_func(_is_optional, lambda value, kind: _optional(converter, value, kind))
    converter.register_structure_hook_func(_is_sequence, lambda value, kind: _sequence(converter, value, kind))
    converter.register_structure_hook_func(
        lambda kind: get_origin(kind) in _MAPPINGS,
        lambda value, kind: _mapping(converter, value, kind),
    )
    return converter


def _scalar(value: object, kind: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST:
        return float(value)
    if type(value) is not kind or (isinstance(value, int) and abs(value) >= LARGEST):
        raise TypeError(f"expected a value of type {kind.__name__}, found {_shown(value)}")
    return value


def _is_optional(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType) and types.NoneType in get_args(kind) and len(get_args(kind)) < 3


def _optional(converter: Converter, value: object, kind: Any) -> Any:
    (inner,) = (arm for arm in get_args(kind) if arm is not types.NoneType)
    return None if value is None else converter.structure(value, inner)


def _is_sequence(kind: Any) -> bool:
    return get_origin(kind) in (tuple, list)


def _sequence(converter: Converter, value: object, kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected a list, found {_shown(value)}")
    if origin is tuple and arguments[1:] != (Ellipsis,):
        if len(value) != len(arguments):
            raise TypeError(f"expected a list of {len(arguments)} values, found {len(value)}")
        return tuple(converter.structure(item, inner) for item, inner in zip(value, arguments, strict=True))
    return origin(converter.structure(item, arguments[0]) for item in value)


def _mapping(converter: Converter, value: object, kind: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object of JSON, found {_shown(value)}")
    inner = get_args(kind)[1]
    return {str(key): item if inner is Any else converter.structure(item, inner) for key, item in value.items()}


def _shown(value: object) -> str:
    return (
        f"{value!r:.60}" if isinstance(value, int | float | str) and not _huge(value) else f"a {type(value).__name__}"
    )


def _huge(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= LARGEST
