"""The mutations and trials of the soak test, `tools/soak.py`, for tests of a minute."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
