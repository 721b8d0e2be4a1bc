"""The built-in trackers: TensorBoard, Weights & Biases, MLflow and Trackio, by the classes of `accelerate`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import frozen

from ddmi_core.training.trackers import Tracker

PROJECT = "ddmi"  # of all runs, unless the environment names another one


@frozen
class _Service:
    """A service: the module that it needs, its class in `accelerate.tracking`, and the arguments for a run."""

    module: str
    tracker: str
    arguments: Callable[[Path], Mapping[str, Any]]


_SERVICES = {
    "tensorboard": _Service(
        "torch.utils.tensorboard", "TensorBoardTracker", lambda run: {"run_name": "tensorboard", "logging_dir": run}
    ),
    "wandb": _Service(
        "wandb",
        "WandBTracker",
        lambda run: {"run_name": os.environ.get("WANDB_PROJECT", PROJECT), "name": run.name, "dir": str(run)},
    ),
    "mlflow": _Service("mlflow", "MLflowTracker", lambda run: {"experiment_name": PROJECT, "run_name": run.name}),
    "trackio": _Service("trackio", "TrackioTracker", lambda run: {"run_name": PROJECT, "name": run.name}),
}


class ServiceTracker(Tracker):
    """Passes the figures on to a service, under `STAGE/NAME`.

    Args:
        run: folder of the run; its name is that of the run in the service.
        service: `tensorboard`, `wandb`, `mlflow` or `trackio`.
    """

    def __init__(self, run: Path, service: str) -> None:
        from accelerate import tracking

        super().__init__(run)
        chosen = _SERVICES[service]
        self._tracker = getattr(tracking, chosen.tracker)(**chosen.arguments(run.resolve()))
        self._tracker.start()

    def record(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Pass on the figures of a logged step."""
        figures = {f"{stage}/{name}": value for name, value in values.items()}
        if self._tracker.name == "wandb":  # its own steps must not start anew with the second stage
            self._tracker.tracker.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
            self._tracker.log({**figures, f"{stage}/step": step})
        else:
            self._tracker.log(figures, step=step)

    def close(self) -> None:
        """Send what is left."""
        self._tracker.finish()


def __getattr__(name: str) -> Callable[[Path], Tracker]:
    """The tracker of a service, by its name; its package is imported, so that a missing one is told at once."""
    if name not in _SERVICES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(_SERVICES[name].module)
    return partial(ServiceTracker, service=name)
