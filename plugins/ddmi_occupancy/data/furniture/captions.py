"""Captions of furniture, generated from its parameters."""

from __future__ import annotations

import numpy as np

from ddmi_core.parts import chance, pick
from ddmi_occupancy.data.furniture.building import build
from ddmi_occupancy.data.furniture.parameters import SEED, Furniture
from ddmi_occupancy.data.furniture.prompt_adherence import NUMBERS, STATURE
from ddmi_occupancy.data.furniture.solids import bounds

SENTENCES = 8  # per piece, at most


def captions(piece: Furniture) -> tuple[str, ...]:
    """Distinct captions of a piece: the first names its class only, the last all of its properties."""
    draw = np.random.Generator(np.random.PCG64([SEED, piece.number, 2]))
    words, details = adjectives(piece), features(piece)
    found = [f"{article(piece.kind)} {piece.kind}"]
    for _ in range(40):
        if len(found) >= SENTENCES - 1:
            break
        sentence = _sentence(
            piece,
            [word for word in words if chance(draw, 0.6)],
            [pick(draw, wordings) for wordings in details if chance(draw, 0.55)],
            draw,
        )
        if sentence not in found:
            found.append(sentence)
    full = _sentence(piece, words, [wordings[0] for wordings in details], draw)
    return tuple(dict.fromkeys([*found, full]))


def adjectives(piece: Furniture) -> list[str]:
    """Adjectives of the class: height, and form of the top."""
    words = []
    if piece.kind in STATURE:
        low, high = bounds(build(piece))
        width, height, depth = high - low
        least, most = STATURE[piece.kind]
        proportion = height / max(width, depth)
        words += ["low"] * bool(proportion <= least) + ["tall"] * bool(proportion >= most)
    if piece.kind in ("stool", "table"):
        words.append("rectangular" if piece.top == "long" else piece.top)
    return words


def features(piece: Furniture) -> list[tuple[str, ...]]:
    """Noun phrases for `with ...`: alternative wordings of each property."""
    found: list[tuple[str, ...]] = []
    if piece.kind == "shelf":
        found.append((f"{NUMBERS[piece.boards]} boards",))
        found += [("a wall behind", "a closed back")] if piece.closed else [("an open back", "no wall behind")]
        found += [("a wall in the middle", "a vertical divider")] if piece.divided else []
        found += [("four posts", "posts at the corners")] if piece.support == "legs" else [("closed sides",)]
        return found
    found.append(standing(piece))
    if piece.kind == "chair":
        found.append((f"a {piece.top} seat",))
    if piece.kind in ("chair", "bench"):
        found.append(back(piece))
        found.append(("arms", "armrests", "two arms") if piece.arms else ("no arms", "no armrests"))
    if piece.stretchers:
        found.append(("beams between the legs", "stretchers"))
    if piece.kind == "table" and piece.boards:
        found.append(("a lower board", "a second board below the top"))
    return found


def standing(piece: Furniture) -> tuple[str, ...]:
    """Alternative wordings of the supports."""
    if piece.support == "pedestal":
        return ("one central leg", "a pedestal", "a single column")
    if piece.support == "panels":
        return ("two side panels", "walls for legs")
    number = NUMBERS[piece.legs]
    legs = [f"{number} legs"]
    if piece.sturdy:
        legs.append(f"{number} {piece.sturdy} legs")
    legs.append(f"{number} {'square' if piece.leg == 'square' else 'round'} legs")
    legs.append(f"{number} {'slanted' if piece.splayed else 'straight'} legs")
    return tuple(legs)


def back(piece: Furniture) -> tuple[str, ...]:
    """Alternative wordings of the back."""
    return {
        "none": ("no back",),
        "solid": ("a solid back", "a back"),
        "slats": ("a back of vertical slats", "a slatted back", "a back"),
        "bars": ("a back of horizontal bars", "a ladder back", "a back"),
        "disc": ("a round back", "a back"),
    }[piece.back]


def article(word: str) -> str:
    """`a` or `an`."""
    return "an" if word[0] in "aeiou" else "a"


def _sentence(piece: Furniture, words: list[str], details: list[str], draw: np.random.Generator) -> str:
    noun = " ".join([*words, piece.kind])
    order = [details[int(i)] for i in draw.permutation(len(details))]
    if not order:
        return f"{article(noun)} {noun}"
    listed = order[0] if len(order) == 1 else f"{', '.join(order[:-1])} and {order[-1]}"
    if chance(draw, 0.2):
        return f"the {noun} has {listed}"
    return f"{article(noun)} {noun} with {listed}"
