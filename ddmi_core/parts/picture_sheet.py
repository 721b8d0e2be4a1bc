"""Contact sheets: labelled rows of pictures, drawn as one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from PIL import Image, ImageDraw, ImageFont

from ddmi_core.parts.media import Drawn, frames_of

A = TypeVar("A")  # artefact

Sheet = Mapping[str, Sequence[Image.Image]]  # rows of pictures by their labels, from top to bottom
FRAMES = 4  # of an animation
GAP = 6
LEAST = 128  # pixels of the height of each picture
LETTERS = 14  # pixels


def picture_rows(draw: Callable[[A], Drawn], before: Mapping[str, A], completions: Sequence[A]) -> Sheet:
    """Rows of a contact sheet: one of each artefact `before`, by its label, and one of all completions.

    Animations have a row each, with four frames.

    Args:
        draw: draws an artefact: the `picture` or the `still` of a domain.
        before: what is known.
        completions: one artefact each.
    """
    known = {label: frames_of(draw(artefact)) for label, artefact in before.items()}
    made = [frames_of(draw(artefact)) for artefact in completions]
    if all(len(shown) > 1 for shown in (*known.values(), *made)):
        rows = {**known, **{f"completion {number}": shown for number, shown in enumerate(made)}}
        return {label: _spread(shown) for label, shown in rows.items()}
    firsts = {"completions": [shown[0] for shown in made]} if made else {}
    return {**{label: shown[:1] for label, shown in known.items()}, **firsts}


def _spread(frames: list[Image.Image]) -> list[Image.Image]:
    """Four frames of an animation, from the first to the last; all of a shorter one."""
    if len(frames) <= FRAMES:
        return frames
    return [frames[round(number * (len(frames) - 1) / (FRAMES - 1))] for number in range(FRAMES)]


def draw_sheet(rows: Sheet) -> Image.Image:
    """A contact sheet: rows of pictures of equal height, at least 128 pixels, each row below its label."""
    height = max(picture.height for row in rows.values() for picture in row)
    height *= -(-LEAST // height)
    drawn = {
        label: [
            picture.convert("RGB").resize(
                (max(1, round(picture.width * height / picture.height)), height), Image.Resampling.NEAREST
            )
            for picture in row
        ]
        for label, row in rows.items()
    }
    letters = ImageFont.load_default(LETTERS)
    above = LETTERS + GAP
    widths = [sum(picture.width + GAP for picture in row) - GAP for row in drawn.values()]
    width = max(*widths, *(round(letters.getlength(label)) for label in drawn))
    sheet = Image.new("RGB", (width, len(drawn) * (above + height + GAP) - GAP), "white")
    writing = ImageDraw.Draw(sheet)
    for number, (label, row) in enumerate(drawn.items()):
        top, left = number * (above + height + GAP), 0
        writing.text((0, top), label, fill="black", font=letters)
        for picture in row:
            sheet.paste(picture, (left, top + above))
            left += picture.width + GAP
    return sheet
