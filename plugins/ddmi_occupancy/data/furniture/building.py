"""Builds a piece of furniture, as a union of solids, from its parameters."""

from __future__ import annotations

from math import cos, pi, sin

from ddmi_occupancy.data.furniture.parameters import Furniture
from ddmi_occupancy.data.furniture.solids import Solid, beam, board, disc, normalised, post, upright_disc
from ddmi_occupancy.geometry.mesh import EXTENT

SPLAY = 0.13  # outward shift of a splayed leg along x and z, per unit of height
REACH = 0.14  # largest outward shift
INSET = 0.03  # distance between the edge of a seat and its legs
GAP = 0.075  # smallest gap between two bars, as a share of the longest side

Places = list[tuple[float, float]]


def build(piece: Furniture) -> list[Solid]:
    """The parts of a piece, with the bounding box of the union centred and its longest side from -0.9 to 0.9."""
    parts = case(piece) if piece.kind == "shelf" else seat(piece)
    return normalised(parts, EXTENT)


def seat(piece: Furniture) -> list[Solid]:
    """All kinds but shelves: supports, seat or top, back and arms."""
    top = piece.height * piece.seat
    slab, part = piece.slab * piece.longest, piece.part * piece.longest
    rounding = 0.45 * slab if piece.soft else 0.0
    if piece.top == "round":
        solids = [disc((0, top - slab / 2, 0), 0.5, slab, piece.depth / 2, rounding)]
    else:
        solids = [board((-0.5, 0.5), (top - slab, top), (-piece.depth / 2, piece.depth / 2), rounding)]
    stands = {"legs": legs, "pedestal": pedestal, "panels": panels}[piece.support]
    solids += stands(piece, top - slab / 2, part)
    if piece.back != "none":
        solids += back(piece, top, part)
    if piece.arms:
        solids += arms(piece, top, part)
    return solids


def places(piece: Furniture, part: float) -> Places:
    """Centres (x, z) of the upper ends of legs."""
    wide = part * (1.5 if piece.leg == "tapered" else 1.0)
    x, z = 0.5 - wide / 2 - INSET, piece.depth / 2 - wide / 2 - INSET
    if piece.top != "round":
        rows = [-x, 0.0, x] if piece.legs == 6 else [-x, x]
        return [(place, side) for place in rows for side in (-z, z)]
    turns = [90.0, 210.0, 330.0] if piece.legs == 3 else [45.0, 135.0, 225.0, 315.0]
    reach = 0.72 if piece.splayed else 0.9
    return [(reach * x * cos(turn * pi / 180), reach * z * sin(turn * pi / 180)) for turn in turns]


def legs(piece: Furniture, top: float, part: float) -> list[Solid]:
    """Legs, with stretchers or a lower board between them."""
    heads = places(piece, part)
    reach = min(SPLAY * top, REACH) if piece.splayed else 0.0
    feet = [(x + reach * _side(x), z + reach * _side(z)) for x, z in heads]
    solids = [post(foot, head, (0.0, top), piece.leg, part) for foot, head in zip(feet, heads, strict=True)]
    if piece.stretchers or piece.boards:
        up = 0.42 if piece.kind == "bench" else 0.34
        around = [(f[0] + (h[0] - f[0]) * up, f[1] + (h[1] - f[1]) * up) for f, h in zip(feet, heads, strict=True)]
        if piece.boards and piece.top == "round":
            far = max(abs(x) for x, _ in around) * 1.3
            solids.append(disc((0, up * top, 0), far, part, far * piece.depth))
        elif piece.boards:
            far, deep = max(x for x, _ in around), max(z for _, z in around)
            solids.append(board((-far, far), (up * top - part / 2, up * top + part / 2), (-deep, deep)))
        else:
            solids += [beam(around[i], around[j], up * top, part * 0.999) for i, j in ring(len(around))]
    return solids


def ring(count: int) -> list[tuple[int, int]]:
    """Pairs of neighbouring legs."""
    return [(0, 1), (1, 2), (2, 0)] if count == 3 else [(0, 1), (1, 3), (3, 2), (2, 0)]


def pedestal(piece: Furniture, top: float, part: float) -> list[Solid]:
    """A column on a foot: a disc if the top is round, otherwise a square board or two crossed boards."""
    wide = max(part * 1.25, 0.09 * piece.longest)
    thick = 0.065 * piece.longest
    column = post((0, 0), (0, 0), (thick / 2, top), "square" if piece.leg == "square" else "round", wide)
    far = min(0.36, 0.45 * piece.depth) if piece.kind == "table" else 0.4
    if piece.leg == "tapered":
        column = Solid(True, [wide * 0.8, (top - thick / 2) / 2, wide * 0.5], [0, (top + thick / 2) / 2, 0])
    if piece.top == "round":
        return [column, disc((0, thick / 2, 0), far, thick, far)]
    if piece.leg == "square":
        return [column, board((-far, far), (0, thick), (-far, far))]
    half = 0.6 * wide
    return [column, board((-far, far), (0, thick), (-half, half)), board((-half, half), (0, thick), (-far, far))]


def panels(piece: Furniture, top: float, part: float) -> list[Solid]:
    """Two side walls, and a beam between them."""
    x, z = 0.5 - INSET, piece.depth / 2 - INSET
    solids = [
        board((side * x - part / 2 - side * part / 2, side * x + part / 2 - side * part / 2), (0, top), (-z, z))
        for side in (-1, 1)
    ]
    middle = top * 0.5
    return [
        *solids,
        board((-x + part / 2, x - part / 2), (middle - part / 2, middle + part / 2), (-part / 2, part / 2)),
    ]


def back(piece: Furniture, top: float, part: float) -> list[Solid]:
    """A back: a board, vertical slats, horizontal bars, or a disc."""
    low, high = top - piece.slab * piece.longest / 2, piece.height
    rise = high - low
    rear = -piece.depth / 2 * (0.86 if piece.top == "round" else 1.0)
    lean, z = piece.lean, (rear, rear + part)
    x = 0.34 if piece.top == "round" else 0.5 if piece.kind == "bench" else 0.47
    soft = 0.4 * part if piece.soft else 0.0

    def upright(middle: float, ends: tuple[float, float]) -> Solid:
        start = rear - lean * (ends[0] - low)
        return board((middle - part / 2, middle + part / 2), ends, (start, start + part), 0.0, lean)

    def level(ends: tuple[float, float]) -> Solid:
        start = rear - lean * (ends[0] - low)
        return board((-x, x), ends, (start, start + part), soft, lean)

    if piece.back == "solid":
        return [board((-x, x), (low, high), z, soft, lean)]
    if piece.back == "disc":
        tall = max(0.25 * rise, min(0.42 * rise, 0.46))
        centre = high - tall
        middle = rear + part / 2 - lean * (centre - low)
        stem = [upright(side * 0.16, (low, centre)) for side in (-1, 1)]
        return [*stem, upright_disc((0, centre, middle), min(x, 0.44), tall, part, lean)]
    sides = [upright(side * (x - part / 2), (low, high)) for side in (-1, 1)]
    if piece.back == "bars":
        wide = max(part, 0.11 * piece.longest)
        count = min(3, int((rise - part) / (wide + GAP * piece.longest)))
        if count < 2:
            wide, count = part, 2
        step = (high - top) / count
        return [*sides, *(level((high - i * step - wide, high - i * step)) for i in range(count))]
    room = 2 * x - 2 * part
    gap = GAP * piece.longest
    count = max(1, min(6 if piece.kind == "bench" else 3, int((room - gap) / (part + gap))))
    middles = [x - part - room * (i + 0.5) / count for i in range(count)]
    return [*sides, level((high - part, high)), *(upright(middle, (low, high - part / 2)) for middle in middles)]


def arms(piece: Furniture, top: float, part: float) -> list[Solid]:
    """Arm rests on posts, or walls, from the back to the front of the seat."""
    room = piece.height - top
    rest = top + min(0.24, 0.5 * room) if piece.kind == "chair" else top + 0.55 * room
    low = top - piece.slab * piece.longest / 2
    rear, front = -piece.depth / 2 - piece.lean * (rest - low), piece.depth / 2
    solids = []
    for side in (-1, 1):
        x = (0.5 - part, 0.5) if side > 0 else (-0.5, -0.5 + part)
        if piece.closed:
            solids.append(board(x, (low, rest), (-piece.depth / 2, front)))
        else:
            solids.append(board(x, (rest - part, rest), (rear, front)))
            solids.append(board(x, (low, rest - part / 2), (front - 1.2 * part, front - 0.2 * part)))
    return solids


def case(piece: Furniture) -> list[Solid]:
    """A shelf: walls or posts, and equally spaced boards."""
    part, height, z = piece.part * piece.longest, piece.height, piece.depth / 2
    posts = piece.support == "legs"
    start = 0.1 * piece.longest if posts else 0.0
    inner = 0.5 - (0.0 if posts else part / 2)
    step = (height - start - part) / (piece.boards - 1)
    levels = [start + i * step for i in range(piece.boards)]
    solids = [board((-inner, inner), (low, low + part), (-z, z)) for low in levels]
    if posts:
        x, deep = 0.5 - part / 2, z - part / 2
        solids += [
            post((side * x, front * deep), (side * x, front * deep), (0.0, height - part / 2), piece.leg, part * 0.998)
            for side in (-1, 1)
            for front in (-1, 1)
        ]
        return solids
    solids += [board(x, (0.0, height), (-z, z)) for x in ((-0.5, part - 0.5), (0.5 - part, 0.5))]
    if piece.closed:
        solids.append(board((-inner, inner), (part / 2, height - part / 2), (-z, part - z)))
    if piece.divided:
        solids.append(board((-part / 2, part / 2), (part / 2, height - part / 2), (-z + part / 2, z)))
    return solids


def _side(place: float) -> float:
    """The sign: -1, 0 or 1."""
    return float((place > 1e-9) - (place < -1e-9))
