"""`ddmi tune`: choose guidance, its interval and the sampler by the distance of samples to training signals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

from attrs import evolve, frozen
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.api.signals import Split
from ddmi_core.bounds import MOST_LEVELS
from ddmi_core.diffusion.samplers import evaluations, most_steps
from ddmi_core.errors import DataError, NotFiniteError, RequestError
from ddmi_core.evaluation.distances import copying, kid, kid_difference
from ddmi_core.evaluation.evaluate import load_checked
from ddmi_core.evaluation.feature_sets import describe_latents, describe_signals
from ddmi_core.evaluation.networks import DomainFeatures, feature_networks
from ddmi_core.evaluation.protocol import common_protocol, random_signals
from ddmi_core.evaluation.set_figures import OF_KERNEL
from ddmi_core.evaluation.tuning import BETTER, COPIES, FAILED, NO_BETTER, STORED, Trial, Tuning
from ddmi_core.model import tuned
from ddmi_core.model.folder_lock import locked
from ddmi_core.model.model import Model
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.model.run_results import TUNING, record
from ddmi_core.out_of_memory import lowering
from ddmi_core.progress import doing
from ddmi_core.settings.config import Sampling

SEED = 2000  # other noise than that of evaluations, so that their figures confirm a choice or do not
SAMPLES = 512  # of each trial
LEAST, MOST = 16, 1024  # samples of a trial; more would be compared in subsets
REFERENCE = 2048  # training signals, or held-out ones, at most
LEVEL = 0.05  # probability that any of the intervals of a tuning misses

AUTOGUIDANCE = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
GUIDANCE = (1.0, 1.5, 2.0, 3.0, 5.0)
INTERVALS = ((0.0, 1.0), (0.0, 0.8), (0.0, 0.6), (0.2, 1.0), (0.2, 0.8))
SAMPLERS = ("dpmpp_2m", "unipc", "heun", "ddim", "euler", "ancestral")


@frozen(kw_only=True)
class Budget:
    """How much a tuning tries.

    Args:
        samples: of each trial, from 16 to 1024.
        tries: options that are tried at most besides those of the run; all planned ones if `None`.
        minutes: no trial begins if it would probably end later; no limit if `None`. With a limit that ends the search,
            the choice depends on the speed of the machine.
        calls: calls of the denoiser of a sample, without those that guidance adds; as many as the run's own sampler and
            steps make if `None`.
        seed: of the noise that all trials begin with.

    Raises:
        RequestError: if a number is out of its range.
    """

    samples: int = SAMPLES
    tries: int | None = None
    minutes: float | None = None
    calls: int | None = None
    seed: int = SEED

    def __attrs_post_init__(self) -> None:
        """Check the numbers."""
        if not LEAST <= self.samples <= MOST:
            raise RequestError(f"samples={self.samples} must be from {LEAST} to {MOST}")
        if self.tries is not None and self.tries < 1:
            raise RequestError(f"tries={self.tries} must be at least 1")
        if self.minutes is not None and not self.minutes > 0:
            raise RequestError(f"minutes={self.minutes:g} must be above 0")
        if self.calls is not None and not 1 <= self.calls <= MOST_LEVELS:
            raise RequestError(f"calls={self.calls} must be from 1 to {MOST_LEVELS}")


def tune(
    run: str | Path,
    *,
    samples: int = SAMPLES,
    tries: int | None = None,
    minutes: float | None = None,
    calls: int | None = None,
    seed: int = SEED,
    network: str = "",
    plugin: str | None = None,
) -> Tuning:
    """Choose the options of sampling of a finished run, and store them in its `run.toml`: `ddmi tune`.

    `load` then gives a model that samples with them. An interrupted or failed tuning stores what it has found before
    the exception goes on.

    Args:
        run: the run folder.
        samples, tries, minutes, calls, seed: see `Budget`.
        network: feature network of the distances, as in `evaluation.networks`; by default the domain's own features.
        plugin: as for `load` with a run.

    Raises:
        RequestError: if a number is out of its range.
        CheckpointError: if the run is not finished.
        DataError: if its data are missing or have changed, no signal is held out, or there are fewer than four training
            signals; or the network cannot be used.
        ConfigError: if the network does not fit the domain.
        PluginError: if an extension that it uses is missing.
        OutputError: if another process writes into the folder, or it cannot be written.
        OutOfMemoryError: if the memory does not suffice.

    Example:
        >>> import ddmi_core as ddmi
        >>> found = ddmi.tune("runs/faces", calls=8, minutes=10)  # doctest: +SKIP
        >>> found.chosen["autoguidance"]  # doctest: +SKIP
        1.5
    """
    budget = Budget(samples=samples, tries=tries, minutes=minutes, calls=calls, seed=seed)
    folder = RunFolder(Path(run))
    model, split = load_checked(folder, plugin, [network] if network else ())
    if not network:
        model = evolve(model, config=evolve(model.config, evaluation=evolve(model.config.evaluation, networks=())))
    with locked(folder.path), lowering("the tuning", "lower --samples"):
        networks = feature_networks(model)
        if network and len(networks) == 1:
            raise RequestError(f"{network} compares pairs, and has no features. Fix: give another network")
        search = Search(model, split, budget, networks[-1])
        try:
            search.run()
        finally:
            if search.trials:
                result = search.result()
                if result.chosen != result.before:
                    tuned.apply(folder, result.chosen)
                result.save(folder.tuning)
                record(folder, TUNING, [folder.tuning], model.config)
    return result


def reset(run: str | Path) -> dict[str, Any]:
    """Store the options of sampling from before the first tuning again: `ddmi tune --reset`.

    Returns:
        these options.

    Raises:
        RequestError: if there was no tuning that changed them.
        CheckpointError: if the folder is no run, or `run.toml` is damaged.
        OutputError: if another process writes into the folder, or it cannot be written.
    """
    folder = RunFolder(Path(run))
    tuned.untuned(folder)  # is it a run?
    with locked(folder.path):
        before = tuned.restore(folder)
        folder.tuning.unlink(missing_ok=True)
    return before


class Search:
    """The search of a tuning: one option after the other, each value against the best options so far.

    A value is taken if the interval of the difference lies below zero, and samples do not copy: their distance to the
    nearest training signal, over that of held-out signals, is not below 1 by more than its standard error; or not below
    what it was at first, if that is less.

    Args:
        model: the model.
        split: its data.
        budget: how much is tried.
        network: describes samples and signals; the domain's own features by default.

    Attributes:
        trials: so far.

    Raises:
        DataError: if no signal is held out, or there are fewer than four training signals.
        RequestError: if the run's own sampler makes more calls in one step than the budget allows.

    Example:
        >>> search = Search(model, split, Budget(calls=8))  # doctest: +SKIP
        >>> search.run()  # doctest: +SKIP
        >>> print(*search.result().lines(), sep="\\n")  # doctest: +SKIP
    """

    def __init__(self, model: Model, split: Split, budget: Budget, network: FeatureNetwork | None = None) -> None:
        if len(split.train) < OF_KERNEL or not len(split.held_out):
            raise DataError(
                f"a tuning needs {OF_KERNEL} training signals and one held-out signal; the data have "
                f"{len(split.train)} and {len(split.held_out)}"
            )
        self.trials: list[Trial] = []
        self._model, self._budget, self._split = model, budget, split
        self._network = network or DomainFeatures(model.parts)
        self._before = tuned.options_of(model.config.sampling)
        own, steps = self._before["sampler"], self._before["steps"]
        self._calls = budget.calls or evaluations(own, steps)
        self._best = dict(self._before)
        if budget.calls:
            if not (fitting := most_steps(own, budget.calls)):
                raise RequestError(f"the sampler {own!r} makes more than {budget.calls} calls in one step")
            self._best["steps"] = fitting
        self._groups = list(self._plan())
        self.planned = min(sum(map(len, self._groups)), budget.tries or MOST)
        self._ended = "interrupted"
        self._began = 0.0

    def run(self) -> None:
        """Try all values that the budget allows."""
        self._began = time.monotonic()
        with doing("tuning", self.planned + 1) as part:
            self._reference()
            self._first()
            part.advance()
            for values in self._values():
                if self._spent():
                    return
                self._try({**self._best, **values})
                part.advance()
        self._ended = ""

    def result(self) -> Tuning:
        """What was found so far."""
        protocol = {
            **common_protocol(self._model, self._split, "tuning"),
            "reference": self._words,
            "n": self._budget.samples,
            "network": {"name": self._network.name, **self._network.record},
            "seed": self._budget.seed,
            "calls": self._calls,
        }
        return Tuning(self._before, self._best, tuple(self.trials), self.planned, self._ended, protocol)

    def _reference(self) -> None:
        """Features of training signals, and of held-out ones."""
        train, held_out = self._split.train, self._split.held_out
        chosen = random_signals("training", train, REFERENCE)
        whole = len(chosen) == len(train)
        self._words = f"all {len(train)} training signals" if whole else f"{len(chosen)} training signals at random"
        self._training = describe_signals(self._network, train, chosen)
        self._held_out = describe_signals(self._network, held_out, random_signals("held out", held_out, REFERENCE))

    def _first(self) -> None:
        """Samples with the options of the run, or with the requested number of calls."""
        started = time.monotonic()
        self._rows = self._samples(self._best)
        copied, _ = self._copying(self._rows)
        self._least = 1.0 if copied is None else min(1.0, copied)
        seconds = time.monotonic() - started
        distance = kid(self._rows, self._training).value
        self.trials.append(Trial(dict(self._best), STORED, distance, None, copied, seconds))

    def _try(self, options: Mapping[str, Any]) -> None:
        started = time.monotonic()
        try:
            rows = self._samples(options)
        except NotFiniteError:
            self.trials.append(Trial(options, FAILED, seconds=time.monotonic() - started))
            return
        found = kid_difference(rows, self._rows, self._training, len(rows) // self._budget.samples)
        half = NormalDist().inv_cdf(1 - LEVEL / 2 / self.planned) * found.error
        difference = (found.value, found.value - half, found.value + half)
        copied, error = self._copying(rows)
        verdict = NO_BETTER
        if difference[2] < 0:
            verdict = COPIES if copied is not None and copied + error < self._least else BETTER
        distance = kid(rows, self._training).value
        self.trials.append(Trial(options, verdict, distance, difference, copied, time.monotonic() - started))
        if verdict == BETTER:
            self._best, self._rows = dict(options), rows

    def _copying(self, rows: Tensor) -> tuple[float | None, float]:
        """See `copying`, with its standard error; `None` if half of the held-out signals equal training signals."""
        found = copying(rows, self._training, self._held_out)
        return (found.value, found.error) if isfinite(found.value) else (None, 0.0)

    def _samples(self, options: Mapping[str, Any]) -> Tensor:
        """Features of samples; all trials begin with the same noise, and have the same conditions."""
        config = self._model.config
        model = evolve(self._model, config=evolve(config, sampling=evolve(config.sampling, **options)))
        flat = model.sample_latents(self._budget.samples, Sampling(seed=self._budget.seed))
        return describe_latents(self._network, model, flat)

    def _values(self) -> Iterator[dict[str, Any]]:
        """Values to try, in their order; intervals only if a guidance acts."""
        for group in self._groups:
            for values in group:
                if "guidance_from" not in values or self._guided():
                    yield values

    def _plan(self) -> Iterator[list[dict[str, Any]]]:
        """Values other than the first ones, by option: scales of guidance, their interval, and samplers."""
        model, now = self._model, self._best
        auto = [{"autoguidance": scale} for scale in AUTOGUIDANCE if model.weak is not None]
        drops = model.diffusion.conditioned and model.config.diffusion.drop_condition > 0
        free = [{"guidance": scale} for scale in GUIDANCE if drops]
        acts = bool(auto or free) or self._guided()
        intervals = [{"guidance_from": low, "guidance_to": high} for low, high in INTERVALS if acts]
        steps = {name: most_steps(name, self._calls) for name in SAMPLERS}
        samplers = [{"sampler": name, "steps": count} for name, count in steps.items() if count]
        for group in (auto, free, intervals, samplers):
            yield [values for values in group if any(now[key] != value for key, value in values.items())]

    def _guided(self) -> bool:
        return any(self._best[name] != 1 for name in ("guidance", "autoguidance"))

    def _spent(self) -> bool:
        """Whether the budget is spent; notes why."""
        tried, limit = len(self.trials) - 1, self._budget.minutes
        if tried >= self.planned:
            self._ended = f"tries={self._budget.tries}"
            return True
        usual = median(trial.seconds for trial in self.trials)
        if limit is not None and time.monotonic() - self._began + usual > 60 * limit:
            self._ended = f"minutes={limit:g}"
            return True
        return False
