"""Parameters of a piece of furniture, drawn reproducibly from its number."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen, validators

from ddmi_core.parts import chance, pick

CLASSES = ("chair", "table", "stool", "shelf", "bench")
SHARES = (0.32, 0.26, 0.14, 0.16, 0.12)
SUPPORTS = ("legs", "pedestal", "panels")
LEGS = ("square", "round", "tapered")
TOPS = ("round", "square", "long")
BACKS = ("none", "solid", "slats", "bars", "disc")
STATURES = ("low", "medium", "tall")
SEED = 20240  # of all pieces; another seed gives another data set
STEPS = 9  # values of a length in its range


@frozen(kw_only=True)
class Furniture:
    """Parameters of one piece, in units of its width. Each class uses some of them."""

    number: int
    kind: str = field(validator=validators.in_(CLASSES))
    support: str = field(validator=validators.in_(SUPPORTS))
    legs: int  # 0 for other supports
    leg: str = field(validator=validators.in_(LEGS))
    splayed: bool = False  # legs lean outwards
    top: str = field(validator=validators.in_(TOPS))
    back: str = field(default="none", validator=validators.in_(BACKS))
    arms: bool = False
    stretchers: bool = False  # beams between the legs
    boards: int = 0  # of a shelf, their number; of a table, 1 if there is a second board below its top, otherwise 0
    closed: bool = False  # a shelf with a rear wall; a chair whose arms are walls
    divided: bool = False  # a shelf with a wall in its middle
    stature: str = field(validator=validators.in_(STATURES))
    depth: float
    height: float
    seat: float = 1.0  # height of the upper side of the seat as a share of the height; 1 without a back
    part: float  # thickness of legs and boards as a share of the longest side
    slab: float  # thickness of seat or top, likewise
    lean: float = 0.0  # backward shift of the back per unit of height
    soft: bool = False  # round edges

    @property
    def name(self) -> str:
        """Class and number: `table-0042`."""
        return f"{self.kind}-{self.number:04d}"

    @property
    def longest(self) -> float:
        """Longest side of the piece, in widths."""
        return max(1.0, self.depth, self.height)

    @property
    def sturdy(self) -> str:
        """`slim` or `thick` for legs that clearly are, over their whole length; otherwise empty."""
        if self.leg == "tapered":
            return ""
        return "slim" if self.part <= 0.07 else "thick" if self.part >= 0.095 else ""

    @property
    def key(self) -> str:
        """Groups pieces that look alike: those with equal keys are on the same side of a split."""
        form = (self.kind, self.support, self.legs, self.leg == "square", self.top, self.back, self.arms)
        details = (self.stretchers, self.boards, self.closed, self.divided, self.stature, self.sturdy)
        return "/".join(map(str, (*form, *details)))


def furniture(number: int) -> Furniture:
    """The piece with a number from 0."""
    draw = np.random.Generator(np.random.PCG64([SEED, number]))
    kind = CLASSES[int(np.searchsorted(np.cumsum(SHARES), draw.random() * sum(SHARES), side="right"))]
    return MADE[kind](number, draw)


def between(draw: np.random.Generator, low: float, high: float) -> float:
    """One of `STEPS` equally spaced values from low to high."""
    return round(low + (high - low) * int(draw.integers(STEPS)) / (STEPS - 1), 4)


def thickness(draw: np.random.Generator) -> float:
    """A slim, medium or thick part; the three ranges are disjoint."""
    return between(draw, *pick(draw, ((0.062, 0.07), (0.078, 0.086), (0.098, 0.112)), (0.4, 0.3, 0.3)))


def chair(number: int, draw: np.random.Generator) -> Furniture:
    """A chair, which always has a back."""
    stature = pick(draw, STATURES, (0.3, 0.3, 0.4))
    height = between(draw, *{"low": (1.0, 1.25), "medium": (1.45, 1.75), "tall": (2.0, 2.4)}[stature])
    top = pick(draw, ("square", "round"), (0.68, 0.32))
    support = pick(draw, SUPPORTS, (0.7, 0.15, 0.15 if top == "square" else 0.0))
    legs = 0 if support != "legs" else 3 if top == "round" and chance(draw, 0.5) else 4
    part = thickness(draw)
    if stature == "tall":
        part = min(part, 0.086)
    arms = top == "square" and chance(draw, 0.45)
    splayed = legs > 0 and chance(draw, 0.4)
    return Furniture(
        number=number,
        kind="chair",
        support=support,
        legs=legs,
        leg=pick(draw, LEGS),
        splayed=splayed,
        top=top,
        back=pick(draw, BACKS[1:], (0.32, 0.26, 0.24, 0.18)),
        arms=arms,
        stretchers=legs == 4 and not splayed and chance(draw, 0.35),
        closed=arms and chance(draw, 0.3),
        stature=stature,
        depth=between(draw, 0.9, 1.0),
        height=height,
        seat=between(draw, 0.4, 0.5),
        part=part,
        slab=max(part, between(draw, 0.065, 0.11)),
        lean=pick(draw, (0.0, 0.08, 0.16)),
        soft=chance(draw, 0.5),
    )


def table(number: int, draw: np.random.Generator) -> Furniture:
    """A table: a thin top, wider than it is high."""
    stature = pick(draw, STATURES, (0.36, 0.28, 0.36))
    top = pick(draw, TOPS, (0.36, 0.26, 0.38))
    shares = {"round": (0.62, 0.38, 0.0), "square": (0.7, 0.2, 0.1), "long": (0.72, 0.0, 0.28)}[top]
    support = pick(draw, SUPPORTS, shares)
    legs = 0 if support != "legs" else 3 if top == "round" and chance(draw, 0.55) else 4
    splayed = legs > 0 and chance(draw, 0.35)
    part = thickness(draw)
    return Furniture(
        number=number,
        kind="table",
        support=support,
        legs=legs,
        leg=pick(draw, LEGS),
        splayed=splayed,
        top=top,
        boards=int(legs == 4 and not splayed and stature != "low" and chance(draw, 0.3)),
        stature=stature,
        depth=between(draw, 0.5, 0.62) if top == "long" else 1.0,
        height=between(draw, *{"low": (0.34, 0.44), "medium": (0.56, 0.68), "tall": (0.82, 0.98)}[stature]),
        part=part,
        slab=between(draw, 0.062, 0.078),
        soft=chance(draw, 0.3),
    )


def stool(number: int, draw: np.random.Generator) -> Furniture:
    """A stool: a thick seat without a back."""
    stature = pick(draw, STATURES, (0.3, 0.3, 0.4))
    top = pick(draw, ("round", "square"), (0.6, 0.4))
    support = pick(draw, SUPPORTS, (0.76, 0.24, 0.0))
    legs = 0 if support != "legs" else 3 if top == "round" and chance(draw, 0.5) else 4
    return Furniture(
        number=number,
        kind="stool",
        support=support,
        legs=legs,
        leg=pick(draw, LEGS),
        splayed=legs > 0 and chance(draw, 0.4),
        top=top,
        stretchers=legs > 0 and stature != "low" and chance(draw, 0.5),
        stature=stature,
        depth=1.0,
        height=between(draw, *{"low": (0.8, 0.9), "medium": (1.1, 1.3), "tall": (1.6, 1.95)}[stature]),
        part=thickness(draw),
        slab=between(draw, 0.15, 0.21),
        soft=chance(draw, 0.6),
    )


def shelf(number: int, draw: np.random.Generator) -> Furniture:
    """A shelf: boards between walls or on posts."""
    stature = pick(draw, STATURES, (0.3, 0.25, 0.45))
    posts = chance(draw, 0.35)
    # On posts, tall shelves are wider and deeper, so that there is room between the posts.
    tall = (1.5, 1.8) if posts else (1.55, 2.1)
    height = between(draw, *{"low": (0.5, 0.72), "medium": (0.95, 1.2), "tall": tall}[stature])
    boards = pick(draw, (2, 3) if stature == "low" else (3, 4, 5) if stature == "medium" else (3, 4, 5, 6))
    deep = between(draw, 0.46, 0.56) if posts and stature == "tall" else between(draw, 0.36, 0.46)
    return Furniture(
        number=number,
        kind="shelf",
        support="legs" if posts else "panels",
        legs=4 if posts else 0,
        leg=pick(draw, LEGS[:2]),
        top="long",
        boards=boards,
        closed=not posts and chance(draw, 0.5),
        divided=not posts and stature != "tall" and chance(draw, 0.35),
        stature=stature,
        depth=deep,
        height=height,
        part=between(draw, 0.062, 0.068 if stature == "tall" or boards > 4 else 0.085),
        slab=0.062,
    )


def bench(number: int, draw: np.random.Generator) -> Furniture:
    """A bench: a long seat, with or without a back."""
    back = pick(draw, ("none", "solid", "slats", "bars"), (0.45, 0.2, 0.18, 0.17))
    support = pick(draw, SUPPORTS, (0.68, 0.0, 0.32))
    legs = 0 if support != "legs" else pick(draw, (4, 6), (0.6, 0.4))
    part = between(draw, *pick(draw, ((0.062, 0.07), (0.078, 0.086))))
    low = back == "none"
    return Furniture(
        number=number,
        kind="bench",
        support=support,
        legs=legs,
        leg=pick(draw, LEGS[:2]),
        top="long",
        back=back,
        arms=not low and chance(draw, 0.5),
        stretchers=legs == 4 and chance(draw, 0.3),
        stature="medium",
        depth=between(draw, 0.32, 0.4),
        height=between(draw, 0.36, 0.48) if low else between(draw, 0.68, 0.9),
        seat=1.0 if low else between(draw, 0.44, 0.54),
        part=part,
        slab=between(draw, 0.065, 0.1),
        lean=0.0 if low else pick(draw, (0.0, 0.12)),
        soft=chance(draw, 0.4),
    )


MADE = {"chair": chair, "table": table, "stool": stool, "shelf": shelf, "bench": bench}
