"""Mutations of valid files and texts: bits, bytes, numbers, lines, brackets and whole values of JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = (
    *("0", "-1", "1", "2", "0.5", "-0.0", "1e999", "-1e999", "nan", "inf", "-inf", "NaN", "Infinity", "1e-400"),
    *("2147483648", "-2147483649", "9223372036854775808", "18446744073709551616", "1e18", "1e30", "0x10", "1_000"),
    *("9" * 400, "9" * 5000, "1." + "0" * 3000, "٣", "²", "1e", "--1", "1,5"),
)
WORDS = (
    *("", " ", "null", "true", "{}", "[]", '""', "[[[]]]", "None", "x", "../../etc/passwd", "/dev/zero", "C:\\x", "~"),
    *("\x00", "\x1b[31m", "\x07", "\u202e", "\ud7ff", "\ufeff", "é", "\r", "\n\n", "\t", "%s%n", "${HOME}", "é" * 300),
    *("a" * 5000, "[" * 2000, "{" * 2000, '{"a":' * 2000, "(" * 500, "x<" * 500, "-" * 100, "," * 100, "1 " * 1000),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        0.5,
        1e308,
        2**31,
        2**63,
        -(2**64),
        10**400,
        "",
        "x",
        "nan",
        "\x1b[2J",
        "a" * 5000,
    ),
    *([], {}, [[]], {"": None}, [1] * 50, ["x"] * 3, {"a": {"b": []}}, "../../x", "/etc/passwd", "\ud800"),
)
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def bits(data: bytes, draw: random.Random) -> bytes:
    """One to four bits are flipped."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncation(data: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return data[: draw.randrange(len(data))]


def insertion(data: bytes, draw: random.Random) -> bytes:
    """Random bytes come in between or at the end."""
    at = draw.choice((draw.randrange(len(data) + 1), len(data)))
    return data[:at] + draw.randbytes(draw.choice((1, 2, 8, 100))) + data[at:]


def overwriting(data: bytes, draw: random.Random) -> bytes:
    """An integer, zeros or random bytes replace bytes."""
    at = draw.randrange(len(data))
    width = draw.choice((1, 2, 4, 8))
    number = draw.choice(INTEGERS) & ((1 << 8 * width) - 1)
    piece = draw.choice(
        (number.to_bytes(width, "little"), number.to_bytes(width, "big"), bytes(64), draw.randbytes(16))
    )
    return data[:at] + piece[: len(data) - at] + data[at + len(piece) :]


def removal(data: bytes, draw: random.Random) -> bytes:
    """A part is missing, or comes twice."""
    start = draw.randrange(len(data))
    end = min(len(data), start + draw.choice((1, 2, 7, 30, 400)))
    return data[:start] + draw.choice((b"", data[start:end] * 2)) + data[end:]


def emptied(data: bytes, draw: random.Random) -> bytes:
    """Nothing, or as many zeros."""
    return draw.choice((b"", bytes(len(data)), b"\n", b"{}", b"null"))


def word(data: bytes, draw: random.Random) -> bytes:
    """A hostile word or number replaces a word or number, or comes in between."""
    spans = _words(data)
    start, end = draw.choice(spans) if spans else (0, 0)
    if draw.random() < 0.25:
        end = start
    piece = draw.choice(draw.choice((NUMBERS, WORDS)))
    return data[:start] + piece.encode("utf-8", "surrogatepass") + data[end:]


def lines(data: bytes, draw: random.Random) -> bytes:
    """Lines are exchanged, repeated, removed, or end in another way."""
    found = data.split(b"\n")
    one, other = draw.randrange(len(found)), draw.randrange(len(found))
    change = draw.randrange(5)
    if change == 0:
        found[one], found[other] = found[other], found[one]
    elif change == 1:
        found.insert(one, found[other])
    elif change == 2:
        del found[one]
    elif change == 3:
        return data.replace(b"\n", draw.choice((b"\r\n", b"\r", b"", b" ")))
    else:
        found[one:one] = found * draw.choice((1, 5))
    return b"\n".join(found)


def encoding(data: bytes, draw: random.Random) -> bytes:
    """The same text in another encoding, with a byte order mark, or with bytes that are no UTF-8."""
    text = data.decode("utf-8", "replace")
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-8-sig"),
        lambda: text.encode("latin-1", "replace").replace(b"e", b"\xe9"),
        lambda: data.replace(b"a", b"\xff", 1),
        lambda: data + b"\xc3",
    )
    return draw.choice(changes)()


def json_value(data: bytes, draw: random.Random) -> bytes:
    """A hostile value replaces, removes or doubles a value of JSON, or stands deep in brackets."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return word(data, draw)
    places = list(_places(found))
    if not places:
        return json.dumps(draw.choice(VALUES)).encode()
    into, key = draw.choice(places)
    change = draw.random()
    if change < 0.15:
        del into[key]
    elif change < 0.25 and isinstance(into, dict):
        into[draw.choice(("x", "", "__class__", "\x1b", "a" * 3000))] = into[key]
    elif change < 0.3:
        into[key] = "DEEP"
        depth = draw.choice((50, 900, 3000, 100_000))
        return json.dumps(found).replace('"DEEP"', "[" * depth + "]" * depth).encode()
    elif change < 0.4 and isinstance(into[key], int | float):
        into[key] = into[key] + draw.choice((1, -1, 18, 0.5, -1000))
    else:
        into[key] = draw.choice(VALUES)
    return json.dumps(found).encode("utf-8", "surrogatepass")


BINARY = (bits, truncation, insertion, overwriting, removal, emptied)
TEXT = (word, word, word, lines, encoding, removal, truncation, bits)
JSON = (json_value, json_value, json_value, *TEXT)
DAMAGE = (bits, bits, truncation, overwriting, removal, emptied, insertion)


def mutated(data: bytes, draw: random.Random, how: Sequence[Callable[[bytes, random.Random], bytes]]) -> bytes:
    """The data after one to three mutations, of which none acts on nothing."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if data:
            data = draw.choice(how)(data, draw)
    return data


def mutated_text(text: str, draw: random.Random) -> str:
    """A text after mutations; bytes that are no UTF-8 become surrogates, as in arguments of a command line."""
    return mutated(text.encode(), draw, TEXT).decode("utf-8", "surrogateescape")


def _words(data: bytes) -> list[tuple[int, int]]:
    """Spans of words and numbers, as far as a mutation needs them."""
    spans, start = [], None
    for at, byte in enumerate(data[:20_000] + b" "):
        inside = byte > 127 or bytes((byte,)).isalnum() or byte in b"._-+"
        if inside and start is None:
            start = at
        elif not inside and start is not None:
            spans.append((start, at))
            start = None
    return spans


def _places(value: Any) -> Any:
    """All places of values in JSON, as containers and keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield value, key
        yield from _places(inside)
