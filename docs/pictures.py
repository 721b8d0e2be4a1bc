"""Makes the pictures of the documentation from a finished run of a plugin: `python docs/pictures.py RUN`.

A line `<!-- picture: NAME: caption -->` in a page shows `docs/assets/NAME.png` once that file exists. The picture
`report` is a screenshot of RUN/report.html, made if Chromium is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import ddmi_core as ddmi
from ddmi_core.api import Split
from ddmi_core.runs.build import load_data
from ddmi_core.runs.pictures import only_coarse

ASSETS = Path(__file__).parent / "assets"
TILE, GAP = 144, 6


def first_look(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen samples, not chosen."""
    return sheet([[drawn(model, field, TILE) for field in row] for row in rows_of(model.sample(16, seed=0), 8)])


def sizes(model: ddmi.Model, split: Split) -> Image.Image:
    """One sample drawn at three sizes, shown at equal width."""
    (native, *_) = model.renderer.native
    field = model.sample(1, seed=0)
    return sheet([[drawn(model, field, side, 3 * TILE) for side in (native, 4 * native, 16 * native)]])


def reconstructions(model: ddmi.Model, split: Split) -> Image.Image:
    """Held-out signals, their fields at the native size, and the same fields at four times that."""
    (native, *_) = model.renderer.native
    indices = range(0, len(split.held_out), max(1, len(split.held_out) // 8))[:8]
    signal = split.held_out.batch(list(indices))
    fields = model.decode(model.encode(signal).mean)
    picture = model.domain.resolve(model.domain.picture)
    originals = [enlarged(picture(model.original(signal, i)), TILE) for i in range(len(fields))]
    return sheet(
        [
            originals,
            [drawn(model, field, native, TILE) for field in fields],
            [drawn(model, field, 4 * native, TILE) for field in fields],
        ]
    )


def between(model: ddmi.Model, split: Split) -> Image.Image:
    """Seven fields between two held-out signals of one class."""
    labels = split.held_out.labels
    alike = (labels == labels[0]).nonzero().flatten().tolist()
    latent = model.encode(split.held_out.batch([alike[0], alike[-1]])).mean
    weights = torch.linspace(0, 1, 7).view(-1, 1, 1, 1)
    way = model.decode(latent.map(lambda plane: plane[:1].lerp(plane[1:], weights)))
    return sheet([[drawn(model, field, TILE) for field in way]])


def scales(model: ddmi.Model, split: Split) -> Image.Image:
    """Samples drawn with the coarsest scale alone, then with each finer one."""
    fields = model.sample(8, seed=0)
    counts = range(1, len(fields.basis) + 1)
    return sheet([[drawn(model, only_coarse(field, n), TILE) for field in fields] for n in counts])


def sounds(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen samples, not chosen, as the domain draws them."""
    picture = model.domain.resolve(model.domain.picture)
    return sheet([[picture(model.render(field)) for field in row] for row in rows_of(model.sample(16, seed=0), 4)])


def sound_reconstructions(model: ddmi.Model, split: Split) -> Image.Image:
    """Four held-out signals of different classes, and their fields."""
    labels = split.held_out.labels.tolist()
    signal = split.held_out.batch([labels.index(label) for label in sorted(set(labels))[:4]])
    fields = model.decode(model.encode(signal).mean)
    picture = model.domain.resolve(model.domain.picture)
    originals = [picture(model.original(signal, i)) for i in range(len(fields))]
    return sheet([originals, [picture(model.render(field)) for field in fields]])


TEXTS = ("a round table with three legs", "a tall chair with arms", "a low bench with a slatted back")


def shapes(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen shapes that nobody asked for, not chosen."""
    return sheet([[first_frame(model, field) for field in row] for row in rows_of(model.sample(16, seed=0), 8)])


def shapes_from_text(model: ddmi.Model, split: Split) -> Image.Image:
    """Eight shapes for each of three texts, not chosen, a text a row."""
    return sheet([[first_frame(model, field) for field in model.sample(8, seed=0, condition=text)] for text in TEXTS])


def first_frame(model: ddmi.Model, field: ddmi.Field) -> Image.Image:
    """The first picture of a turntable."""
    frames: Sequence[Image.Image] = model.domain.resolve(model.domain.picture)(model.render(field, 96))
    return enlarged(frames[0], TILE)


CLIPS = (
    "a golden sunset",
    "clouds by day",
    "clouds by night",
    "a red ball bounces in front of a white wall",
    "two balls bounce",
)


def clips(model: ddmi.Model, split: Split) -> Image.Image:
    """One clip for each of five texts, not chosen: every other frame, and the middle row of all frames, latest last."""
    return sheet([over_time(model, model.sample(1, seed=0, condition=text)) for text in CLIPS])


def clip_reconstructions(model: ddmi.Model, split: Split) -> Image.Image:
    """A held-out clip of each kind above its field."""
    labels = split.held_out.labels.tolist()
    signal = split.held_out.batch([labels.index(label) for label in sorted(set(labels))])
    fields = model.decode(model.encode(signal).mean)
    rows = []
    for number in range(len(fields)):
        rows += [strip(model.original(signal, number).array()), over_time(model, fields[number])]
    return sheet(rows)


def over_time(model: ddmi.Model, field: ddmi.Field) -> list[Image.Image]:
    """A strip of a clip's field."""
    return strip(model.render(field).array())


def strip(frames: np.ndarray) -> list[Image.Image]:
    """Every other frame of a clip `(T, H, W, 3)` in [-1, 1], and its middle row over time."""
    pixels = np.clip(frames * 127.5 + 128, 0, 255).astype(np.uint8)
    rows = pixels[:, pixels.shape[1] // 2]
    return [enlarged(Image.fromarray(shown), TILE // 2) for shown in (*pixels[::2], rows)]


Make = Callable[[ddmi.Model, Split], Image.Image]
PICTURES: dict[str, dict[str, Make]] = {  # by the plugin of the run
    "image": {
        "first-look": first_look,
        "sizes": sizes,
        "reconstructions": reconstructions,
        "between": between,
        "scales": scales,
    },
    "occupancy": {
        "shapes": shapes,
        "shapes-from-text": shapes_from_text,
    },
    "video": {
        "clips": clips,
        "clip-reconstructions": clip_reconstructions,
    },
    "audio": {
        "sounds": sounds,
        "sound-reconstructions": sound_reconstructions,
    },
}


def rows_of(fields: ddmi.Field, columns: int) -> list[ddmi.Field]:
    """Fields in rows."""
    return [fields[start : start + columns] for start in range(0, len(fields), columns)]


def drawn(model: ddmi.Model, field: ddmi.Field, side: int, shown: int = 0) -> Image.Image:
    """One field at a size, shown at another."""
    picture = model.domain.resolve(model.domain.picture)
    return enlarged(picture(model.render(field, (side, side))), shown or side)


def enlarged(image: Image.Image, side: int) -> Image.Image:
    """A picture at another size: pixels stay pixels when it grows."""
    grows = side >= image.width
    return image.resize((side, side), Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS)


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures of one size in rows."""
    right, down = rows[0][0].width + GAP, rows[0][0].height + GAP
    whole = Image.new("RGB", (right * len(rows[0]) - GAP, down * len(rows) - GAP), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            whole.paste(image, (x * right, y * down))
    return whole


def report(run: Path) -> None:
    """The upper part of the report in a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no Chromium: report.png is left as it is", file=sys.stderr)
        return
    options = ["--headless", "--disable-gpu", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,1500"]
    page = (run / "report.html").resolve(strict=True).as_uri()
    subprocess.run([browser, *options, f"--screenshot={ASSETS / 'report.png'}", page], check=True, capture_output=True)


def main() -> None:
    """Make all pictures."""
    run = Path(sys.argv[1])
    model = ddmi.load(run)
    split = load_data(model.domain, model.config.data, model.config.domain)
    for name, make in PICTURES[model.domain.name].items():
        with torch.no_grad():
            make(model, split).save(ASSETS / f"{name}.png", optimize=True)
    if model.domain.name == "image" and (run / "report.html").exists():
        report(run)


if __name__ == "__main__":
    main()
