"""A file type for values on grids: NumPy arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddmi_core.parts import GridArtefact


def write_npy(artefact: GridArtefact, path: Path) -> None:
    """Write the values of an artefact: `(*size, V)`, float32, slowest axis first."""
    np.save(path, artefact.array())
