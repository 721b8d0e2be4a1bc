"""The state of a run that is not finished, read from its folder for the page of `ddmi view`; nothing is written."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ddmi_core.errors import RequestError
from ddmi_core.model.folder_lock import Writer
from ddmi_core.model.run_folder import RunFolder, read_head, resume_command
from ddmi_core.progress import duration
from ddmi_core.report.charts import Line, chart
from ddmi_core.steps import AUTOENCODER, DENOISER, LATENTS
from ddmi_core.training.checkpoint import finished
from ddmi_core.training.log import Log

POINTS = 300  # of a curve
STAGES = {AUTOENCODER: "Stage 1 of 2: autoencoder", DENOISER: "Stage 2 of 2: denoiser"}
SECTIONS = {AUTOENCODER: "autoencoder", DENOISER: "diffusion"}  # of the settings
SHOWN = {AUTOENCODER: "signals above their reconstructions", DENOISER: "samples"}
LARGEST = 1 << 26  # bytes of a picture


class Following:
    """Tells what a run does, until both stages are trained.

    Args:
        folder: of the run.
        clock: seconds since the epoch.

    Raises:
        CheckpointError: if the folder is no run, or its `run.toml` is damaged.
    """

    def __init__(self, folder: RunFolder, clock: Callable[[], float] = time.time) -> None:
        self.folder, self._clock = folder, clock
        self._plugin, self._resume = read_head(folder).plugin, resume_command(folder)
        self._writer = Writer(folder.path)
        table = tomllib.loads(folder.toml.read_text(encoding="utf-8"))
        self._steps = {stage: _steps(table, section) for stage, section in SECTIONS.items()}
        self._log: tuple[Any, dict[str, list[dict[str, Any]]]] = None, {}

    @property
    def finished(self) -> bool:
        """Whether both stages are trained, so that the model can be loaded."""
        return finished(self.folder.autoencoder) and finished(self.folder.denoiser)

    def state(self) -> dict[str, Any]:
        """What the page shows, as JSON values.

        `state` is `running`, `stopped` or `finished`; `sentence` says it for people; `stages` have their name, title,
        completed and total steps, share in [0, 1], loss, curve as SVG, and the step of their newest picture.
        """
        records = self._records()
        stages = [self._stage(name, records.get(name, [])) for name in STAGES]
        state = "finished" if self.finished else "running" if self._writer.alive() else "stopped"
        begun = [stage for stage in stages if stage["step"] and not stage["done"]]
        step = self._where(stages)
        return {
            "title": self.folder.path.resolve().name,
            "plugin": self._plugin,
            "state": state,
            "sentence": self._sentence(state, step),
            "command": self._resume if state == "stopped" else "",
            "facts": self._facts(begun[-1], records[begun[-1]["name"]][-1], state) if begun else "",
            "stages": stages,
        }

    def picture(self, stage: str, step: str) -> bytes:
        """A preview as PNG.

        Raises:
            RequestError: if there is no such picture.
        """
        shown = self.folder.previews_of(stage) if stage in STAGES else {}
        path = shown.get(int(step)) if step.isascii() and step.isdigit() and len(step) < 13 else None
        with suppress(OSError):
            if path is not None and path.stat().st_size <= LARGEST:
                return path.read_bytes()
        raise RequestError(f"there is no picture of stage {stage[:40]!r} after {step[:12]!r} steps")

    def _records(self) -> dict[str, list[dict[str, Any]]]:
        """Records of the log by stage, read again if the log has changed."""
        with suppress(OSError):
            now = self.folder.log.stat()
            mark = now.st_mtime_ns, now.st_size
            if mark != self._log[0]:
                found: dict[str, list[dict[str, Any]]] = {}
                for record in Log(self.folder.log).records():
                    found.setdefault(record["stage"], []).append(record)
                self._log = mark, found
        return self._log[1]

    def _stage(self, name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
        done, steps = finished(getattr(self.folder, name)), self._steps[name]
        step = steps if done else records[-1]["step"] if records else 0
        losses = [(record["step"], record["loss"]) for record in records if "loss" in record]
        every = max(1, -(-len(losses) // POINTS))
        points = (*losses[:-1:every], *losses[-1:])
        previews = [*self.folder.previews_of(name)]
        return {
            "name": name,
            "title": STAGES[name],
            "done": done,
            "step": step,
            "steps": steps,
            "share": min(1.0, step / steps) if steps else 0.0,
            "curve": chart([Line("loss", points)], "step", f"loss of the {name}", log_y=True) if points else "",
            "preview": previews[-1] if previews else 0,
            "alt": f"{SHOWN[name]} after {previews[-1]} steps" if previews else "",
        }

    def _where(self, stages: list[dict[str, Any]]) -> str:
        first, second = stages
        if not first["done"]:
            return self._share(first)
        if not finished(self.folder.latents):
            return f"between the stages: {LATENTS}, the encoding of the training signals"
        return self._share(second)

    @staticmethod
    def _share(stage: dict[str, Any]) -> str:
        """The stage and its progress in tenths, which a screen reader announces when it changes."""
        tenths = int(10 * stage["share"])
        return f"{stage['title'].lower()}, " + (f"{10 * tenths} % done" if stage["step"] else "before its first record")

    def _sentence(self, state: str, where: str) -> str:
        if state == "finished":
            return "Both stages are trained. The page of the model opens."
        if state == "running":
            return f"The run is in progress: {where}."
        return f"No process works on this run. It stopped in {where.removeprefix('between the stages: ')}."

    def _facts(self, stage: dict[str, Any], record: dict[str, Any], state: str) -> str:
        parts = [f"step {stage['step']:,} of {stage['steps']:,}", f"{stage['share']:.1%}"]
        if "loss" in record:
            parts.append(f"loss {record['loss']:.4f}")
        age = max(0.0, self._clock() - (self._log[0] or (0, 0))[0] / 1e9)
        rate = record.get("steps_per_second", 0.0)
        if state == "running" and rate > 0:
            left = (stage["steps"] - stage["step"]) / rate - age
            parts.append(f"{duration(max(left, 1.0))} left in this stage")
        parts.append(f"last record {duration(age).removeprefix('about ')} ago")
        return ", ".join(parts)


def _steps(table: dict[str, Any], section: str) -> int:
    """Steps of a stage in `run.toml`; 0 if it does not tell."""
    found: Any = table
    for key in (section, "training", "steps"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, int) else 0
