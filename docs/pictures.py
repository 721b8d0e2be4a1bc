"""Draws the pictures of the documentation from a finished run of a plugin: `python docs/pictures.py RUN [NAME ...]`.

A line `<!-- picture: NAME: caption -->` in a page shows `docs/assets/NAME.png` if that file exists. The picture
`report` is a screenshot of RUN/report.html; it requires Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import ddmi_core as ddmi
from ddmi_core.api import Split
from ddmi_core.model.data import load_data
from ddmi_core.report.pictures import only_coarse
from ddmi_core.sources.splits import evenly

ASSETS = Path(__file__).parent / "assets"
TILE, SMALL_TILE, GAP = 144, 88, 6
MOST_OF_RAYS = 16384  # of an object; those of one view are selected from them


def first_look(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen uncurated samples."""
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
    fields = model.reconstruct(signal)
    picture = model.parts.picture
    originals = [enlarged(picture(model.ground_truth(signal, i)), TILE) for i in range(len(fields))]
    return sheet(
        [
            originals,
            [drawn(model, field, native, TILE) for field in fields],
            [drawn(model, field, 4 * native, TILE) for field in fields],
        ]
    )


def emoji(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen uncurated samples at four times the native size, and eight held-out signals."""
    (native, *_) = model.renderer.native
    signal = split.held_out.batch(evenly(len(split.held_out), 8))
    real = [enlarged(model.parts.picture(model.ground_truth(signal, i)), SMALL_TILE) for i in range(8)]
    samples = rows_of(model.sample(16, seed=0), 8)
    return sheet([*([drawn(model, field, 4 * native, SMALL_TILE) for field in row] for row in samples), real])


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
    """Sixteen uncurated samples, as the domain draws them."""
    picture = model.parts.picture
    return sheet([[picture(model.render(field)) for field in row] for row in rows_of(model.sample(16, seed=0), 4)])


def sound_reconstructions(model: ddmi.Model, split: Split) -> Image.Image:
    """Four held-out signals of different classes, and their fields."""
    labels = split.held_out.labels.tolist()
    signal = split.held_out.batch([labels.index(label) for label in sorted(set(labels))[:4]])
    fields = model.reconstruct(signal)
    picture = model.parts.picture
    originals = [picture(model.ground_truth(signal, i)) for i in range(len(fields))]
    return sheet([originals, [picture(model.render(field)) for field in fields]])


TEXTS = ("a round table with three legs", "a tall chair with armrests", "a low bench with a slatted back")


def shapes(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen unconditional samples, uncurated."""
    return sheet([[first_frame(model, field) for field in row] for row in rows_of(model.sample(16, seed=0), 8)])


def shapes_from_text(model: ddmi.Model, split: Split) -> Image.Image:
    """Eight uncurated samples for each of three texts, one row a text."""
    return sheet([[first_frame(model, field) for field in model.sample(8, seed=0, condition=text)] for text in TEXTS])


def first_frame(model: ddmi.Model, field: ddmi.Field) -> Image.Image:
    """The first picture of a turntable."""
    frames: Sequence[Image.Image] = model.parts.picture(model.render(field, 96))
    return enlarged(frames[0], TILE)


CLIPS = (
    "clouds at sunset",
    "clouds by day",
    "clouds by night",
    "a red ball bounces",
)


def clips(model: ddmi.Model, split: Split) -> Image.Image:
    """One uncurated clip for each of four texts: every other frame, and the middle row of all frames over time."""
    return sheet([over_time(model, model.sample(1, seed=0, condition=text)) for text in CLIPS])


def clip_reconstructions(model: ddmi.Model, split: Split) -> Image.Image:
    """A held-out clip of each kind above its field."""
    labels = split.held_out.labels.tolist()
    signal = split.held_out.batch([labels.index(label) for label in sorted(set(labels))])
    fields = model.reconstruct(signal)
    rows = []
    for number in range(len(fields)):
        rows += [strip(model.ground_truth(signal, number).array()), over_time(model, fields[number])]
    return sheet(rows)


def over_time(model: ddmi.Model, field: ddmi.Field) -> list[Image.Image]:
    """A strip of a clip's field."""
    return strip(model.render(field).array())


def strip(frames: np.ndarray) -> list[Image.Image]:
    """Every other frame of a clip `(T, H, W, 3)` in [-1, 1], and its middle row over time."""
    pixels = np.clip(frames * 127.5 + 128, 0, 255).astype(np.uint8)
    rows = pixels[:, pixels.shape[1] // 2]
    return [enlarged(Image.fromarray(shown), TILE // 2) for shown in (*pixels[::2], rows)]


def toy_cars(model: ddmi.Model, split: Split) -> Image.Image:
    """The first twenty-four cars of the source `cars`, without a model."""
    from ddmi_nerf.cameras.orbit import usual_camera
    from ddmi_nerf.data.cars import car
    from ddmi_nerf.data.cars.source import picture

    seen = [picture(car(number).model, usual_camera((TILE, TILE))) for number in range(24)]
    images = [Image.fromarray(pixels[..., :3] + (255 - pixels[..., 3:])) for pixels in seen]
    return sheet([images[start : start + 8] for start in (0, 8, 16)])


def cars(model: ddmi.Model, split: Split) -> Image.Image:
    """Sixteen uncurated samples, each in one view; below, the first four of them from four sides, two a row."""
    fields = model.sample(16, seed=0)
    once = [[over_white(model.render(field, TILE)) for field in row] for row in rows_of(fields, 8)]
    sides = [[over_white(view) for field in pair for view in turn(model, field, 4)] for pair in rows_of(fields[:4], 2)]
    return sheet(once + sides)


def over_white(picture: Any) -> Image.Image:
    """The colours of a view over white."""
    return Image.fromarray(picture.pixels())


def turn(model: ddmi.Model, field: ddmi.Field, count: int) -> list[Any]:
    """Views of one turn around a field."""
    from ddmi_nerf.cameras.orbit import orbit, usual_camera

    return [model.render(field, camera) for camera in orbit(usual_camera((TILE, TILE)), count)]


def car_reconstructions(model: ddmi.Model, split: Split) -> Image.Image:
    """Two views of eight held-out objects, unknown to the encoder, each above the same view of the reconstruction."""
    from ddmi_nerf.evaluation.metrics import views

    count = min(8, len(split.held_out))
    indices = [round(i * (len(split.held_out) - 1) / max(1, count - 1)) for i in range(count)]
    fields = model.decode(model.encode(split.held_out.batch(indices)).mean)
    signal = split.held_out.novel(indices)
    if signal.images.shape[1] < 2:
        raise SystemExit("two held-out views of each object are needed: domain.held_views")
    shown = [views(field, signal, number, model.renderer) for number, field in enumerate(fields)]
    rows = [part for view in range(2) for part in (signal.images[:, view], [images[view] for images in shown])]
    return sheet([[enlarged(as_image(image), TILE) for image in row] for row in rows])


def as_image(values: torch.Tensor) -> Image.Image:
    """Colours `(3, H, W)` in [-1, 1]."""
    return Image.fromarray((values.clamp(-1, 1) * 127.5 + 128).clamp(0, 255).byte().movedim(0, -1).numpy())


def car_orbit(model: ddmi.Model, split: Split) -> Image.Image:
    """Eight views of one turn around the first sample; below, their depths (near is dark) and normals."""
    views = turn(model, model.sample(1, seed=0), 8)
    normals = [Image.fromarray(view.normal_map()) for view in views]
    return sheet([[over_white(view) for view in views], depths(views), normals])


COMPLETED = (0, 40, 70)  # held-out objects


def car_completions(model: ddmi.Model, split: Split) -> Image.Image:
    """Three held-out objects, each with its one known view and two completions, from its camera and from behind."""
    from ddmi_core.completion.regions import columns, region
    from ddmi_nerf.cameras.orbit import turned

    labels, rows = model.sampler.labels, []
    for number in COMPLETED:
        signal = split.held_out.batch([number])
        whole = model.observations(signal, MOST_OF_RAYS)
        seen = whole.kept(region("view=0", model.domain.layout.axes, labels).holds(columns(whole, labels)))
        with torch.enable_grad():
            fields = model.complete(seen, 2, steps=24, noise=0.2)
        cameras = [signal.camera(0, 0).resized(TILE, TILE)]
        cameras.append(turned(cameras[0], 180))
        shown = [over_white(model.render(field, camera)) for field in fields for camera in cameras]
        rows.append([enlarged(as_image(signal.images[0, 0]), TILE), *shown])
    return sheet(rows)


def depths(views: Sequence[Any]) -> list[Image.Image]:
    """Depths from black to light grey over the common range of all views; white where nothing is visible."""
    seen = np.stack([view.opacity for view in views]) > 0.5
    depth = np.stack([view.depth for view in views])
    nearest, farthest = (depth[seen].min(), depth[seen].max()) if seen.any() else (0.0, 1.0)
    grey = np.where(seen, 220 * (depth - nearest) / max(farthest - nearest, 1e-6), 255).astype(np.uint8)
    return [Image.fromarray(one).convert("RGB") for one in grey]


Make = Callable[[ddmi.Model, Split], Image.Image]
PICTURES: dict[str, dict[str, Make]] = {  # by plugin of the run
    "image": {
        "first-look": first_look,
        "sizes": sizes,
        "reconstructions": reconstructions,
        "between": between,
        "emoji": emoji,
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
    "nerf": {
        "toy-cars": toy_cars,
        "cars": cars,
        "car-reconstructions": car_reconstructions,
        "car-orbit": car_orbit,
        "car-completions": car_completions,
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
    """One field drawn at one size and shown at another."""
    picture = model.parts.picture
    return enlarged(picture(model.render(field, (side, side))), shown or side)


def enlarged(image: Image.Image, side: int) -> Image.Image:
    """A resized picture; enlargement keeps pixels sharp."""
    grows = side >= image.width
    return image.resize((side, side), Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS)


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures of equal size, arranged in rows."""
    right, down = rows[0][0].width + GAP, rows[0][0].height + GAP
    whole = Image.new("RGB", (right * len(rows[0]) - GAP, down * len(rows) - GAP), "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            whole.paste(image, (x * right, y * down))
    return whole


def report(run: Path) -> None:
    """Take a screenshot of the upper part of the report in a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("Chromium not found: report.png is unchanged", file=sys.stderr)
        return
    options = ["--headless", "--disable-gpu", "--no-sandbox", "--hide-scrollbars", "--window-size=1200,1500"]
    page = (run / "report.html").resolve(strict=True).as_uri()
    subprocess.run([browser, *options, f"--screenshot={ASSETS / 'report.png'}", page], check=True, capture_output=True)


def main() -> None:
    """Draw all pictures, or those named on the command line."""
    run, wanted = Path(sys.argv[1]), sys.argv[2:]
    model = ddmi.load(run)
    split = load_data(model.parts, model.config.data)
    for name, make in PICTURES[model.domain.name].items():
        if wanted and name not in wanted:
            continue
        with torch.no_grad():
            make(model, split).save(ASSETS / f"{name}.png", optimize=True)
    if model.domain.name == "image" and not wanted and (run / "report.html").exists():
        report(run)


if __name__ == "__main__":
    main()
