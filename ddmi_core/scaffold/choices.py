"""The choices of axes for a new plugin, with their template variables."""

from __future__ import annotations

from itertools import combinations

from attrs import frozen

from ddmi_core.errors import RequestError, unknown_name

DURATION = "one to two minutes on two CPU cores"  # of a run of a new plugin


@frozen
class Choice:
    """One choice of axes.

    Args:
        axes: names of the coordinates, each one letter.
        planes: pairs of axes, or single ones, that the basis fields span.
        values: names of the value channels.
        noun: name of the signals, in the plural.
        summary: default sentence for lists.
        suffix: suffix of the files that are read and written.
        program: program that opens these files.
        size: example of a value of `--size`.
    """

    axes: str
    planes: tuple[str, ...]
    values: tuple[str, ...]
    noun: str
    summary: str
    suffix: str
    program: str
    size: str

    @property
    def templates(self) -> str:
        """Folder of the templates that differ between choices."""
        return self.axes if self.axes in CHOICES else "xyz"


CHOICES = {
    choice.axes: choice
    for choice in (
        Choice(
            axes="t",
            planes=("t",),
            values=("level",),
            noun="sounds",
            summary="Short sounds as functions of time",
            suffix=".wav",
            program="any player of sounds",
            size="4096",
        ),
        Choice(
            axes="xy",
            planes=("xy",),
            values=("red", "green", "blue"),
            noun="pictures",
            summary="Small pictures as functions of x and y",
            suffix=".png",
            program="any viewer of pictures",
            size="192",
        ),
        Choice(
            axes="xyt",
            planes=("xy", "yt", "xt"),
            values=("brightness",),
            noun="clips",
            summary="Short clips as functions of x, y and time",
            suffix=".gif",
            program="a web browser",
            size="24x96x96",
        ),
        Choice(
            axes="xyz",
            planes=("xy", "yz", "xz"),
            values=("density",),
            noun="blocks",
            summary="Blocks of density as functions of x, y and z",
            suffix=".npy",
            program="numpy.load",
            size="64",
        ),
    )
}


FEWEST, MOST = 4, 6  # axes of one's own


def choice_of(axes: str) -> Choice:
    """The choice with these axes: one of `CHOICES`, or blocks of density along four to six axes of any names.

    Raises:
        RequestError: if there is none.
    """
    if axes in CHOICES:
        return CHOICES[axes]
    if not (FEWEST <= len(axes) <= MOST and axes.isascii() and axes.isalpha() and axes.islower()):
        raise RequestError(f"{unknown_name('axes', axes, CHOICES)}, or four to six different lower-case letters")
    if len(set(axes)) < len(axes):
        raise RequestError(f"axes {axes!r} repeat a letter. Fix: name each axis by a letter of its own")
    return Choice(
        axes=axes,
        planes=tuple(map("".join, combinations(axes, 2))),
        values=("density",),
        noun="blocks",
        summary=f"Blocks of density as functions of {', '.join(axes[:-1])} and {axes[-1]}",
        suffix=".npy",
        program="numpy.load",
        size="12" if len(axes) == FEWEST else "8",
    )
