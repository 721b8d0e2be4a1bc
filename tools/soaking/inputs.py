"""Hostile inputs of users: files of data, tables, archives, captions, cameras, and texts of options and settings."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from soaking import seeds
from soaking.mutate import BINARY, JSON, TEXT, mutated, mutated_text
from soaking.trials import ERROR, GOOD, OK, Kind, Trial, Verdict, judged

REGIONS = ("x<0", "-0.5<y<0.5, x>=0", "t<-0.25", "z<=1e-1,x>-1", "part=2")
SIZES = ("64", "48x64", "16x32x48", "1024", "8@1", "24fps")
VIEWS = ("8@0.5", "30,20", "azimuth=30,elevation=10,size=16", "16x64x64@24", "24x48x48", "0.5", "64x64", "120:20:64")
SETS = (
    "autoencoder.training.rate=1e-3",
    "autoencoder.encoder.widths=[32, 64]",
    "domain.size=32",
    'domain.groups=["faces"]',
    "diffusion.denoiser.kind=unet",
    "diffusion.denoiser.heads=4",
    "sampling.guidance=2.5",
    "evaluation.samples=8",
    "evaluation.grid=['ddim:4']",
    "evaluation.networks=['inception:a.pt']",
    "seed=3",
    "data=folder:/tmp",
    "autoencoder.readout.width=32",
    "diffusion.path.kind=linear",
)
TOML = """preset = "quick"

[domain]
size = 16
multiples = [1, 2]

[autoencoder]
points = 256
kl = 1e-4

[autoencoder.training]
steps = 20
batch = 8
precision = "fp32"

[diffusion.denoiser]
width = 16
multipliers = [1, 2]

[sampling]
sampler = "ddim"
steps = 4

[evaluation]
grid = ["dpmpp_2m:4", "ddim:4"]
"""
NETWORK = 'file = "network.onnx"\ntakes = "pictures"\nrange = [0, 1]\nsize = 224\nname = "mine"\n'


def of_files(
    read: Callable[[Path], object], files: dict[str, bytes], how: Sequence[Any], beside: dict[str, bytes] | None = None
) -> Trial:
    """A trial that mutates one of some files and reads it."""
    names = sorted(files)

    def trial(draw: random.Random, folder: Path) -> Verdict:
        seeds.put(folder, beside or {})
        name = draw.choice(names)
        path = folder / name
        path.write_bytes(mutated(files[name], draw, how))
        return judged(lambda: _nothing(read(path)), name)

    return trial


def of_folders(read: Callable[[Path], object], folders: dict[str, dict[str, bytes]], how: Sequence[Any]) -> Trial:
    """A trial that mutates one file of a folder and reads the folder; pictures are mutated seldom."""
    names = sorted(folders)

    def trial(draw: random.Random, folder: Path) -> Verdict:
        kind = draw.choice(names)
        files = dict(folders[kind])
        main = [name for name in files if not name.endswith(".png")]
        name = draw.choice(main if main and draw.random() < 0.95 else sorted(files))
        files[name] = mutated(files[name], draw, how)
        seeds.put(folder, files)
        return judged(lambda: _nothing(read(folder)), f"{kind}: {name}")

    return trial


def of_texts(read: Callable[[str], object], texts: Sequence[str], times: int = 100) -> Trial:
    """A trial that reads many mutations of texts, and ends at the first that is not refused well."""

    def trial(draw: random.Random, folder: Path) -> Verdict:
        before = {OK: 0, ERROR: 0}
        for left in reversed(range(times)):
            text = mutated_text(draw.choice(texts), draw)
            verdict = judged(lambda text=text: _nothing(read(text)), f"{text[:80]!r} of {len(text)} characters")
            if verdict.outcome not in GOOD:
                (folder / "text").write_bytes(text.encode("utf-8", "surrogateescape"))
            if verdict.outcome not in GOOD or not left:
                break
            before[verdict.outcome] += 1
        return evolve(verdict, refused=before[ERROR], taken=before[OK])

    return trial


def _nothing(_: object) -> None:
    """What a reader returns is valid, as far as a reader can tell."""


def _settings(name: str, **values: Any) -> Any:
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.settings.resolve import resolve

    return resolve(domain_named(name), overrides=[f"domain.{key}={value}" for key, value in values.items()]).domain


def _pictures(_: Path) -> Trial:
    from ddmi_image.folder import read

    settings = _settings("image", size=16, multiples=[1])
    return of_files(lambda path: read(path, settings), seeds.pictures(), BINARY)


def _meshes(_: Path) -> Trial:
    from ddmi_occupancy.data.folder import read

    settings = _settings("occupancy", resolution=16, points=64, surface=64)
    files = seeds.meshes()
    beside = {"a.bin": seeds.gltf_buffer()}
    texts = of_files(lambda path: read(path, settings), files, (*TEXT, *BINARY), beside)
    tree = of_files(lambda path: read(path, settings), {"a.gltf": files["a.gltf"]}, JSON, beside)
    return lambda draw, folder: (tree if draw.random() < 0.2 else texts)(draw, folder)


def _arrays(_: Path) -> Trial:
    from ddmi_core.parts.array_files import read_array

    return of_files(lambda path: read_array(path, (6, 5), 1), seeds.arrays((6, 5)), (*BINARY, *TEXT))


def _clouds(_: Path) -> Trial:
    from ddmi_occupancy.data.folder import read

    settings = _settings("occupancy", resolution=16, points=64, surface=64)
    return of_files(lambda path: read(path, settings), seeds.clouds(), (*BINARY, *TEXT))


def _clips(_: Path) -> Trial:
    from ddmi_video.folder import read

    settings = _settings("video", size=16, frames=4)
    return of_files(lambda path: read(path, settings), seeds.clips(), BINARY)


def _cameras(_: Path) -> Trial:
    from ddmi_nerf.data.folder import read

    settings = _settings("nerf", size=16, plane=16, points=32, shown=1)
    return of_folders(lambda path: read(path, settings), seeds.cameras(), (*JSON, *TEXT, *BINARY))


def _tables(_: Path) -> Trial:
    from ddmi_core.completion.tables import read_values
    from ddmi_core.registry.registry import domain_named

    domain = domain_named("image")
    files = seeds.tables(domain.layout.axes, domain.values)
    return of_files(lambda path: read_values(path, domain), files, (*TEXT, *BINARY))


def _archives(_: Path) -> Trial:
    from ddmi_image.folder import load_all

    settings = _settings("image", size=16, multiples=[1])
    return of_files(lambda path: load_all(path, settings), seeds.archives(), BINARY)


def _captions(_: Path) -> Trial:
    from ddmi_core.sources.captions import captions_beside

    names = [f"{number}.png" for number in range(4)]
    pictures = dict.fromkeys(names, b"")
    folders = {name: {**pictures, name: data} for name, data in seeds.captions().items()}
    return of_folders(lambda path: captions_beside(path, names, [".png"], "pictures"), folders, JSON)


def _sounds(_: Path) -> Trial:
    sys.path.append(str(Path(__file__).parents[2] / "examples" / "ddmi-audio"))  # which need not be installed
    from ddmi_audio.folder import read
    from ddmi_audio.settings import AudioSettings

    settings = AudioSettings()
    return of_files(lambda path: read(path, settings), seeds.sounds(), BINARY)


def _networks(_: Path) -> Trial:
    from ddmi_core.evaluation.networks.description import own

    return of_files(own, {"a.toml": NETWORK.encode()}, TEXT, {"network.onnx": b"not opened"})


def _configurations(_: Path) -> Trial:
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.settings.resolve import resolve

    domain = domain_named("image")
    return of_files(lambda path: resolve(domain, file=path), {"a.toml": TOML.encode()}, TEXT)


def _regions(_: Path) -> Trial:
    from ddmi_core.completion.regions import region

    return of_texts(lambda text: region(text, ("x", "y", "z", "t"), ("part",)), REGIONS)


def _sizes(_: Path) -> Trial:
    from ddmi_core.grids.sizes import parse_size

    return of_texts(parse_size, SIZES)


def _views(_: Path) -> Trial:
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.registry.registry import domain_named

    names = ("image", "occupancy", "video", "nerf")
    parts = {name: build_parts(domain_named(name), _settings(name)) for name in names}

    def read(text: str) -> None:
        for each in parts.values():
            for option in text, text.strip():
                judged_view(each.parse_view, option)

    return of_texts(read, VIEWS, 20)


def judged_view(parse: Callable[[str], object], text: str) -> None:
    """One domain refuses what another takes; only what is not refused well is raised."""
    verdict = judged(lambda: _nothing(parse(text)))
    if verdict.outcome not in GOOD:
        raise ValueError(verdict.said)


def _sets(_: Path) -> Trial:
    from ddmi_core.registry.registry import domain_named
    from ddmi_core.settings.resolve import resolve

    domain = domain_named("image")
    return of_texts(lambda text: resolve(domain, overrides=[text]), SETS, 20)


def _requests(_: Path) -> Trial:
    from ddmi_core.viewer.params import Query

    body = '{"n": 2, "seed": "5", "steps": 4, "condition": "fast", "guidance": 2, "channel": "show", "serial": 3}'
    url = "a=0123456789abcdef-1&b=0123456789abcdef-2&mix=0.25&through=noise&rows=24&bounds=-0.5,0.25&channel=a&serial=1"

    def of_json(text: str) -> None:
        query = Query.of_json(text.encode("utf-8", "surrogateescape"))
        query.samples()
        query.channel()

    def of_url(text: str) -> None:
        query = Query.of_url(text)
        query.mixture()
        query.channel()
        query.numbers("bounds", -1, 1)

    posted, asked = of_texts(of_json, [body]), of_texts(of_url, [url])
    return lambda draw, folder: (posted if draw.random() < 0.5 else asked)(draw, folder)


def _fields(folder: Path) -> Trial:
    import torch

    from ddmi_core.fields.config import ReadoutConfig
    from ddmi_core.fields.field import Field
    from ddmi_core.fields.layout import Layout
    from ddmi_core.fields.planes import Planes
    from ddmi_core.fields.readout import CoarseToFineReadout

    layout = Layout(axes=("x", "y"), planes=(("x", "y"),))
    torch.manual_seed(0)
    basis = (Planes((torch.randn(1, 4, 4, 4),)),)
    readout = CoarseToFineReadout((4,), 0, 1, ReadoutConfig(width=8, depth=1))
    path = folder / "seed.field"
    Field(basis, readout.eval(), layout).save(path)
    return of_files(Field.load, {"a.field": path.read_bytes()}, (*BINARY, *JSON))


MAKERS: dict[str, tuple[Callable[[Path], Trial], float]] = {
    "pictures": (_pictures, 1),
    "meshes": (_meshes, 2),
    "arrays": (_arrays, 1),
    "point clouds": (_clouds, 1),
    "cameras": (_cameras, 3),
    "tables of values": (_tables, 1),
    "archives": (_archives, 1),
    "captions": (_captions, 1),
    "sounds": (_sounds, 1),
    "clips": (_clips, 1),
    "descriptions of networks": (_networks, 0.5),
    "configuration files": (_configurations, 1),
    "field files": (_fields, 1),
    "regions": (_regions, 0.5),
    "sizes": (_sizes, 0.3),
    "views": (_views, 0.5),
    "settings as text": (_sets, 1),
    "requests of the page as text": (_requests, 0.5),
}
TEXTS = ("regions", "sizes", "views", "settings as text", "requests of the page as text")
KINDS = tuple(Kind(f"input: {name}", make, limit=30.0, share=share) for name, (make, share) in MAKERS.items())
