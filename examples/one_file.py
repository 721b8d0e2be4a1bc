# --8<-- [start:file]
"""A domain in one file: heights of waves in a pond. Saved as `pond.py`, `ddmi run --plugin ./pond.py` trains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from attrs import frozen
from PIL import Image

from ddmi_core import Domain, Layout
from ddmi_core.api import Split
from ddmi_core.parts import GridArtefact, GridDomain, GridSet, GridSignal, damaged

QUICK = """
[autoencoder.training]
steps = 400

[diffusion.training]
steps = 600

[evaluation]
grid = ["dpmpp_2m:8", "dpmpp_2m:16"]
"""


@frozen
class PondSettings:
    """Cells along each axis, and how many ponds there are."""

    size: int = 32
    count: int = 256

    @property
    def native(self) -> tuple[int, int]:
        """Rows and columns."""
        return (self.size, self.size)


def waves(location: None, settings: PondSettings) -> Split:
    """Waves around two stones that fall into each pond, computed from a formula."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : 1j * settings.size, -1 : 1 : 1j * settings.size]
    stones = draw.uniform(-1, 1, (settings.count, 2, 2))
    distances = np.hypot(x - stones[..., 0, None, None], y - stones[..., 1, None, None])
    heights = (np.cos(9 * distances) * np.exp(-distances)).mean(axis=1, keepdims=True)
    names = [f"pond {number}" for number in range(settings.count)]
    return GridSet([heights.astype(np.float32)], names).split(0.1)


class Pond(GridDomain[PondSettings]):
    """What ponds have of their own; the rest is that of every domain on grids."""

    @classmethod
    def presets(cls) -> Mapping[str, Path | str]:
        """Few steps, which take a minute on two CPU cores."""
        return {"quick": QUICK}

    def sources(self) -> Mapping[str, Callable[..., Split]]:
        """The values of `--data`."""
        return {"waves": waves}

    def read(self, path: Path) -> GridSignal:
        """The heights in a grey picture."""
        with damaged(str(path), "a picture"):
            grey = np.array(Image.open(path).convert("L").resize(self.settings.native), dtype=np.float32)
        return GridSignal(torch.from_numpy(grey / 127.5 - 1)[None, None])

    def picture(self, artefact: GridArtefact) -> Image.Image:
        """Heights as grey values."""
        return Image.fromarray(((artefact.array()[..., 0].clip(-1, 1) + 1) * 127.5).astype(np.uint8))

    def exporters(self) -> Mapping[str, Callable[[GridArtefact, Path], None]]:
        """The type of files."""
        return {".png": lambda artefact, path: self.picture(artefact).save(path)}


POND = Domain(
    name="pond",
    summary="Heights of waves in a pond",
    layout=Layout(axes=("x", "y"), planes=(("x", "y"),)),
    values=("height",),
    implementation=Pond,
    api_version=1,
)
# --8<-- [end:file]

# --8<-- [start:main]
if __name__ == "__main__":
    import ddmi_core
    from ddmi_core.cli.main import main

    ddmi_core.register(POND)
    main()  # the arguments of the command line, or main(["run", "--plugin", "pond"])
# --8<-- [end:main]
