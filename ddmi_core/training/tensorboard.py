"""The built-in tracker: TensorBoard, which needs the extra `tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ddmi_core.training.trackers import Tracker


class TensorBoard(Tracker):
    """Writes the figures to the folder `tensorboard` of the run, under `STAGE/NAME`."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self.writer = SummaryWriter(str(run / "tensorboard"))

    def record(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Add one scalar per figure."""
        for name, value in values.items():
            self.writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        """Write what is buffered."""
        self.writer.close()
