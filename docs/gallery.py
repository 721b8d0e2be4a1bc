"""Makes the moving pictures of the first page: `python docs/gallery.py [NAME ...]`.

It runs the commands that the page shows, with the weights that ship with the plugins, and joins the first four files of
each side by side in `docs/assets/NAME.gif`. Nothing is selected.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pictures import ASSETS, TILE, sheet
from PIL import Image, ImageSequence

COMMANDS = {
    "gallery-shapes": "ddmi sample --plugin occupancy -n 4 --condition 'a tall chair' --format gif --out chairs",
    "gallery-cars": "ddmi sample --plugin nerf -n 4 --size 128 --format gif --out cars",
    "gallery-clips": "ddmi sample --plugin video -n 4 --condition 'clouds at sunset' --size 96x96@16 --format gif "
    "--out sunsets",
}
COLUMNS, COLOURS = 4, 256
LONGEST = 24  # frames, evenly spaced
LARGEST = 1_000_000  # bytes of a file


def animation(paths: Sequence[Path]) -> tuple[list[Image.Image], int]:
    """Frames of animations side by side, all with one palette, and their duration in milliseconds."""
    moving = [[frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(path))] for path in paths]
    count = len(moving[0])
    duration = Image.open(paths[0]).info["duration"] * count
    numbers = [round(count * k / LONGEST) for k in range(LONGEST)] if count > LONGEST else list(range(count))
    joined = [row([frames[number] for frames in moving]) for number in numbers]
    strip = Image.new("RGB", (joined[0].width, joined[0].height * len(joined)))
    for number, picture in enumerate(joined):
        strip.paste(picture, (0, number * picture.height))
    palette = strip.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in joined]
    return frames, duration // len(frames)


def row(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one size, side by side."""
    return sheet([[picture.resize((TILE, TILE), Image.Resampling.LANCZOS) for picture in pictures]])


def main() -> None:
    """Make all pictures, or those named on the command line."""
    for name in sys.argv[1:] or COMMANDS:
        command = shlex.split(COMMANDS[name])
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "ddmi_core", *command[1:]], cwd=folder, check=True)
            paths = sorted(Path(folder, command[-1]).glob("*.gif"))[:COLUMNS]
            frames, duration = animation(paths)
        target = ASSETS / f"{name}.gif"
        frames[0].save(target, save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True)
        if target.stat().st_size > LARGEST:
            raise SystemExit(f"{target} has {target.stat().st_size:,} bytes, more than {LARGEST:,}")


if __name__ == "__main__":
    main()
