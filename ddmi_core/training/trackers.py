"""Trackers and callbacks of training: what receives the figures of the log, isolated from the training itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen
from torch import nn

from ddmi_core.errors import TrainingError


@frozen(eq=False)
class Moment:
    """A logged step, as callbacks receive it.

    Args:
        stage: `autoencoder` or `denoiser`.
        step: number of completed steps.
        steps: total number of steps.
        values: the figures of the log: `loss`, its parts, `steps_per_second`, `waiting_percent` and `memory_gib`.
        model: the module in training, to read from; its mode, device and weights must stay as they are.
        run: folder of the run.
    """

    stage: str
    step: int
    steps: int
    values: Mapping[str, float]
    model: nn.Module
    run: Path


Callback = Callable[[Moment], None]


class Tracker(ABC):
    """Receives the figures of the training log. It is created at the first logged step, in the main process alone.

    Args:
        run: folder of the run; a tracker that writes files creates a subfolder of its own.

    Example:
        >>> class PrintTracker(Tracker):
        ...     def record(self, stage, step, values):
        ...         print(stage, step, *(f"{name}={value:.4g}" for name, value in values.items()))
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    @abstractmethod
    def record(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Take the figures of a logged step. A resumed run repeats the steps after its last checkpoint."""

    def close(self) -> None:  # noqa: B027 - most trackers need none
        """Finish; called once, however the run ends."""


class Observers:
    """The trackers and callbacks of a run. One that fails is reported once and left out; the training goes on.

    Args:
        run: folder of the run.
        trackers: functions that create a tracker, by name; called at the first logged step.
        callbacks: by name.
        notice: receives a sentence about one that failed.
    """

    def __init__(
        self,
        run: Path,
        trackers: Mapping[str, Callable[[Path], Tracker]] | None = None,
        callbacks: Mapping[str, Callback] | None = None,
        notice: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.run, self._notice = run, notice
        self._unopened = dict(trackers or {})
        self._trackers: dict[str, Tracker] = {}
        self._active: dict[str, Callback] = {f"callback {name!r}": call for name, call in (callbacks or {}).items()}

    def tell(self, moment: Moment) -> None:
        """Pass a logged step to all.

        Raises:
            TrainingError: if a tracker cannot be opened.
        """
        while self._unopened:
            self._open(*self._unopened.popitem())
        for label, call in list(self._active.items()):
            try:
                call(moment)
            except (Exception, SystemExit) as error:
                del self._active[label]
                self._tell_failure(label, error)

    def close(self) -> None:
        """Close all trackers."""
        for label, tracker in self._trackers.items():
            try:
                tracker.close()
            except (Exception, SystemExit) as error:
                self._tell_failure(label, error)
        self._trackers.clear()

    def _open(self, name: str, create: Callable[[Path], Tracker]) -> None:
        label = f"tracker {name!r}"
        try:
            tracker = create(self.run)
        except (Exception, SystemExit) as error:
            raise TrainingError(f"{label} cannot be opened: {type(error).__name__}: {error}") from error
        self._trackers[label] = tracker
        self._active[label] = lambda moment: tracker.record(moment.stage, moment.step, moment.values)

    def _tell_failure(self, label: str, error: BaseException) -> None:
        self._notice(f"{label} failed and is left out from here on: {type(error).__name__}: {error}")
