"""The training loop of both stages and all domains: optimisation, checkpoints, resuming and the learning rate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from math import cos, isfinite, pi
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ddmi_core.blocks import blocks
from ddmi_core.draws import BatchGenerator
from ddmi_core.errors import CheckpointError, ConfigError, Interrupted, TrainingError, counted
from ddmi_core.out_of_memory import lowering
from ddmi_core.progress import Pace
from ddmi_core.training import checkpoint, distributed
from ddmi_core.training.background import BackgroundWriter, Groups
from ddmi_core.training.checkpoint import FINAL, SETTINGS, SNAPSHOT, TrainedWith, load_into
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.ema import MovingAverage
from ddmi_core.training.log import Log
from ddmi_core.training.meter import Meter
from ddmi_core.training.muon import Muon
from ddmi_core.training.objective import Losses, Objective, StepContext, indices_for
from ddmi_core.training.precision import autocast, faster
from ddmi_core.training.read_ahead import Parts, Reader, ended
from ddmi_core.training.sharding import divided, gathered, shard, whole
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trackers import Moment


@frozen
class Report:
    """Progress after a step."""

    step: int
    steps: int
    loss: float
    seconds_left: float | None  # by the median time of recent steps; unknown after the first one
    signals_per_second: float
    waiting_percent: float  # of the time since the last report, for batches
    memory_gib: float

    @property
    def machine(self) -> str:
        """Throughput, waiting and memory, for people."""
        rate = self.signals_per_second
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
        return f"{speed} signals/s, {self.waiting_percent:.0f} % waiting for data, {self.memory_gib:.1f} GiB"


@frozen(eq=False)
class Stage:
    """A named training job: its folder, settings and surroundings."""

    name: str
    folder: Path
    config: TrainingConfig
    seed: int
    log: Log
    record: Mapping[str, Any] = field(factory=dict)  # facts stored with every checkpoint
    settings: Mapping[str, Any] = field(factory=dict)  # by dotted key: those that act on the weights, stored as well
    tensors: Mapping[str, Mapping[str, Tensor]] = field(factory=dict)  # groups stored beside the final weights
    stop: StopRequest = field(factory=StopRequest)
    progress: Callable[[Report], None] = lambda report: None  # called after each logged step
    stepped: Callable[[int, float | None], None] = lambda step, seconds_left: None  # called after each step
    # Called in the main process after each step, with the averaged weights, which it only reads; not with shards.
    preview: Callable[[int, Mapping[str, Tensor]], None] = lambda step, weights: None
    notice: Callable[[str], None] = lambda sentence: None
    logged: Callable[[Moment], None] = lambda moment: None  # called in the main process after each logged step
    resume_hint: str = "repeat the command with --resume"
    failure_hint: str = "lower the learning rate, or use precision fp32"
    memory_hint: str = "raise training.accumulation, or use gradient_checkpointing"


@frozen
class _StepFacts:
    """Facts of a step checkpoint that a resumed training goes on with."""

    step: int = field(validator=validators.ge(0))
    precision: str = field(default="", validator=validators.in_(("", "fp32", "bf16", "fp16")))


class _Optimized:
    """One objective with its reader, its optimiser and, for fp16, the scaler of its loss."""

    reader: Reader

    def __init__(self, name: str, objective: Objective, config: TrainingConfig, accelerator: Any) -> None:
        self.name, self.objective = name, objective
        self.sharded = config.shard and shard(objective, accelerator.device)
        self.optimiser = _optimiser(objective.trained, config)  # each step sets its rate
        for block in blocks(objective.trained):
            block.recomputes = config.gradient_checkpointing
            if config.compile:
                torch._dynamo.config.suppress_errors = True  # without a compiler, blocks run as they are
                torch._dynamo.config.cache_size_limit = 256  # blocks of one class differ in sizes
                block.compile()
        self.model = objective if self.sharded else accelerator.prepare(objective)
        if isinstance(self.model, DistributedDataParallel):
            # Buffers, such as statistics of batches, are the main process's in the end; no step requires equal ones.
            self.model.broadcast_buffers = False  # torch warns of the argument with this name
        self.scaler = torch.amp.GradScaler(accelerator.device.type, enabled=config.precision == "fp16")

    def state(self) -> dict[str, Tensor]:
        """Optimiser state as flat names `parameter.key`."""
        state = self.optimiser.state_dict()["state"]
        return {f"{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a stored optimiser state."""
        taken = self.optimiser.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        weights = list(self.objective.trained.parameters())
        for name, value in tensors.items():
            index, _, key = name.partition(".")
            moment = divided(value, weights[int(index)]) if int(index) < len(weights) and value.ndim else value
            state.setdefault(int(index), {})[key] = moment
        taken["state"] = state
        self.optimiser.load_state_dict(taken)

    def scaler_state(self) -> dict[str, Tensor]:
        """Scale of the loss and number of steps since its last change, for fp16; without the constants."""
        state = self.scaler.state_dict()
        return {name: torch.tensor(state[name]) for name in ("scale", "_growth_tracker")}

    def load_scaler_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a stored scale."""
        stored = {name: value.item() for name, value in tensors.items()}
        self.scaler.load_state_dict({**self.scaler.state_dict(), **stored})


def _optimiser(module: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """The optimiser of a module's parameters."""
    betas = (0.9, config.beta)
    if config.optimizer == "muon":
        return Muon(module, betas, config.weight_decay)
    # Fused takes a third of the time, and can skip a step without a host read.
    return torch.optim.AdamW(module.parameters(), betas=betas, weight_decay=config.weight_decay, fused=True)


def train(stage: Stage, objectives: Mapping[str, Objective]) -> None:
    """Train until the last step, or go on from the newest checkpoint in the stage's folder.

    The first objective's module is averaged; `final/` keeps the averaged weights, and an earlier snapshot of them if
    `training.snapshot` asks for it. On the CPU the result depends on the seed, the configuration and the number of
    processes alone, not on stops in between.

    Every process of a data-parallel run calls it. All share the stage's folder, and the main process writes it.

    A step reads nothing back from the device, and processes exchange gradients alone. A step with a loss or gradient
    that is not finite changes no weights. Every `log` steps and before a checkpoint, losses are read and the processes
    agree whether to end, because one was asked to stop or met such a value. A single process stops after each step.

    A thread of the main process writes the checkpoints of steps while the training goes on, see `BackgroundWriter`. An
    error in it ends the training at the next logged step or checkpoint.

    Args:
        stage: folder, settings, log, stop requests, progress.
        objectives: name to objective; they take turns in every step, in order, each with the whole batch.
            An objective's random numbers depend on its name.

    Raises:
        Interrupted: a stop was asked for; the state is saved.
        TrainingError: a loss or a gradient is not finite (the newest checkpoint is kept), or the program has created
            an `Accelerator` with other settings.
        ConfigError: the batch cannot be divided among the processes, or no network has blocks for a setting of them.
        DataError: a signal cannot be read; the message names it.
        CheckpointError: the stored state belongs to another model.
        OutputError: a checkpoint cannot be written.
        OutOfMemoryError: the memory does not suffice.
    """
    readers: list[Reader] = []
    with lowering(f"the stage {stage.name!r}", stage.memory_hint), ended(readers), BackgroundWriter() as writer:
        _train(stage, objectives, readers, writer)


def _train(stage: Stage, objectives: Mapping[str, Objective], readers: list[Reader], writer: BackgroundWriter) -> None:
    """See `train`; `readers` receives the readers, which the caller ends."""
    from accelerate import Accelerator, DistributedDataParallelKwargs

    config = stage.config
    config.parts(distributed.count())
    main, *_ = objectives.values()
    of_blocks = {"gradient_checkpointing": config.gradient_checkpointing, "compile": config.compile}
    if (on := [name for name, value in of_blocks.items() if value]) and not any(True for _ in blocks(main.trained)):
        raise ConfigError(
            f"{stage.name}.training.{on[0]} = true has no effect: the networks of this stage have no blocks. Fix: set "
            "it to false, or derive parts of the networks from ddmi_core.api.Block"
        )
    # Mixed precision is set per stage, below: an accelerator's own is fixed for the whole process.
    try:
        handlers = [DistributedDataParallelKwargs(gradient_as_bucket_view=True)]
        on_cpu = distributed.default_device().type == "cpu"
        accelerator = Accelerator(mixed_precision="no", cpu=on_cpu, kwargs_handlers=handlers)
    except ValueError as error:
        raise TrainingError(
            "this program has created an accelerate.Accelerator with other settings than this training requires. Fix: "
            "create it with mixed_precision='no', or train in a process of its own"
        ) from error
    players = {name: _Optimized(name, objective, config, accelerator) for name, objective in objectives.items()}
    sharded = any(player.sharded for player in players.values())
    average = MovingAverage(main.trained, config.ema)
    step, recorded = distributed.main_first(lambda: _restore(stage, players, average))
    if len(found := set(distributed.from_all(lambda: step))) > 1:
        raise CheckpointError(
            f"the processes found different checkpoints in {stage.folder}, of the steps {sorted(found)}: all of "
            "them must see the same folder, so put --out where every machine can read it"
        )
    distributed.on_main(lambda: checkpoint.prune(stage.folder, keep=2, last=f"step-{step:08d}") if step else None)
    if lost := distributed.on_main(lambda: stage.log.rewind(stage.name, step)):
        stage.notice(f"{stage.log.path}: {counted(lost, 'damaged line')} left out")
    started, first, pace = time.monotonic(), step, Pace()
    watch, meter = _Watch(accelerator.device), Meter(readers, accelerator.device)
    if config.precision == "auto" and config.steps:
        config = evolve(config, precision=recorded or _chosen(stage, main, step, accelerator))
        stage = evolve(stage, config=config)
    each, rank, processes = config.parts(distributed.count()), accelerator.process_index, accelerator.num_processes
    for name, player in players.items():
        parts = Parts(player.objective, stage.seed, stage.name, name, config.batch, each, rank, processes)
        numbers = range(max(step, player.objective.start) * each, config.steps * each)
        player.reader = Reader(parts, numbers, config.workers, accelerator.device)
        readers.append(player.reader)
        if config.workers < 0 and player.reader.workers:
            stage.notice(f"{player.reader.workers} processes read batches of {name} ahead (training.workers)")

    def writing(folder: str, keep: int) -> Callable[[Groups], None]:
        facts = {**stage.record, "stage": stage.name, "step": step, "steps": config.steps}
        facts |= {"precision": config.precision, SETTINGS: dict(stage.settings)}

        def write(groups: Groups) -> None:
            checkpoint.save(stage.folder / folder, groups, facts)
            checkpoint.prune(stage.folder, keep, last="" if folder == FINAL else folder)

        return write

    def store_step() -> None:
        groups: dict[str, Mapping[str, Tensor]] = {"average": average.weights, **average.kept}
        for name, player in players.items():
            groups[name] = player.objective.trained.state_dict()
            groups[f"{name}-optimiser"] = player.state()
            if player.scaler.is_enabled():
                groups[f"{name}-scaler"] = player.scaler_state()
        held = gathered(groups) if sharded else groups
        distributed.on_main(lambda: writer.save(held, writing(f"step-{step:08d}", keep=2), owned=sharded))

    snapshot = max(1, round(config.snapshot * config.steps)) if config.snapshot else 0
    while step < config.steps:
        losses = {
            name: _advance(player, stage, step, accelerator, watch)
            for name, player in players.items()
            if step >= player.objective.start
        }
        average.update(main.trained, step)
        step += 1
        if step == snapshot:
            average.keep(SNAPSHOT)
        logs, stores = step % config.log == 0 or step == config.steps, step % config.checkpoint == 0
        now = time.monotonic()
        # A GPU lags behind until losses are read. The first step, which is slow, ends before the first mark.
        if logs or accelerator.device.type == "cpu" or step == first + 1:
            pace.mark(step, now)
        stage.stepped(step, left := pace.left(config.steps - step))
        if accelerator.is_main_process and not sharded:
            stage.preview(step, average.weights)
        if not (logs or stores or (accelerator.num_processes == 1 and stage.stop)):
            continue

        def seen() -> tuple[tuple[int, float, float] | None, dict[str, float], dict[str, float], int]:
            writer.check()
            return watch.read(), _named(losses), meter.read() if logs else {}, stage.stop.signal_number  # noqa: B023

        every = distributed.from_all(seen)
        if bad := [state for state, *_ in every if state is not None]:
            distributed.on_main(writer.wait)
            raise _not_finite(min(bad), stage)
        if logs:
            values = {name: fmean(each[name] for _, each, *_ in every if name in each) for name in every[0][1]}
            operating = {name: max(own[name] for *_, own, _ in every) for name in every[0][2]}
            speed = (step - first) / max(now - started, 1e-9)
            if accelerator.is_main_process:
                record = {**values, "steps_per_second": round(speed, 3), **operating}
                stage.log.write(stage.name, step, record)
                stage.logged(Moment(stage.name, step, config.steps, record, main.trained, stage.log.path.parent))
            rate = config.batch / (pace.seconds() or 1 / speed)
            stage.progress(Report(step, config.steps, values["loss"], left, rate, **operating))
        stopped = max(signal for *_, signal in every) if distributed.count() > 1 else stage.stop.signal_number
        if stopped:
            store_step()
            distributed.on_main(writer.wait)
            raise Interrupted(
                f"at step {step} of {config.steps} of stage {stage.name!r}; the state is saved: {stage.resume_hint}",
                stopped,
            )
        if stores and step < config.steps:
            store_step()
    distributed.on_main(writer.wait)
    final = {"weights": average.weights, **average.kept}
    held = gathered(final) if sharded else final
    distributed.on_main(lambda: writing(FINAL, keep=0)({**held, **stage.tensors}))


def _advance(player: _Optimized, stage: Stage, step: int, accelerator: Any, watch: _Watch) -> Losses:
    """One optimiser step of a player, with the mean gradient of all parts; returns the mean losses of this process."""
    objective, config = player.objective, stage.config
    for group in player.optimiser.param_groups:
        group["lr"] = config.rate * objective.rate * rate_factor(step, config)
    parts, losses = config.parts(accelerator.num_processes), []
    for number in range(parts):
        # Processes exchange gradients once, after the last part.
        with accelerator.no_sync(player.model) if number < parts - 1 else nullcontext():
            losses.append(_accumulate(player, config, accelerator))
    mean = _mean(losses)
    player.scaler.unscale_(player.optimiser)
    norm = whole(nn.utils.clip_grad_norm_(objective.trained.parameters(), config.clip))
    if player.scaler.is_enabled():  # steps whose gradient is not finite are skipped, and the scale is lowered
        watch.look(step, mean.total, torch.zeros_like(norm))
    else:
        watch.look(step, mean.total, norm)
        player.optimiser.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]  # skips the step
    player.scaler.step(player.optimiser)
    player.scaler.update()
    player.optimiser.zero_grad()
    return mean


def _accumulate(player: _Optimized, config: TrainingConfig, accelerator: Any) -> Losses:
    """Add the gradient of the next part of a step, divided by the number of parts; returns its detached losses."""
    part, batch = player.reader.next()
    generator = player.reader.parts.generator(part, "draw", accelerator.device)
    parts = config.parts(accelerator.num_processes)
    with autocast(config.precision, accelerator.device):
        losses: Losses = player.model(StepContext(part.step, part.indices, generator, accelerator.device, batch))
    # The gradient of a loss that is not finite is NaN, so that all processes skip the step.
    seed = torch.where(losses.total.detach().isfinite(), torch.ones_like(losses.total), float("nan"))
    torch.autograd.backward(player.scaler.scale(losses.total / parts), seed)
    return Losses(losses.total.detach(), tuple((part, value.detach()) for part, value in losses.parts))


def _named(losses: Mapping[str, Losses]) -> dict[str, float]:
    """The losses of a step by name."""
    return {
        f"{name}.{part}" if number else part: float(value)
        for number, (name, loss) in enumerate(losses.items())
        for part, value in (("loss", loss.total), *loss.parts)
    }


def _mean(losses: Sequence[Losses]) -> Losses:
    """Mean of the losses of several parts; a part that is missing in some counts where it is present."""
    parts: dict[str, list[Tensor]] = {}
    for part, value in (pair for one in losses for pair in one.parts):
        parts.setdefault(part, []).append(value)
    total = torch.stack([one.total for one in losses]).mean()
    return Losses(total, tuple((part, torch.stack(values).mean()) for part, values in parts.items()))


class _Watch:
    """The first step whose loss or gradient is not finite, kept on the device until it is read."""

    def __init__(self, device: torch.device) -> None:
        self.first = torch.tensor([-1.0, 0.0, 0.0], device=device)  # step, loss, norm of the gradient

    def look(self, step: int, loss: Tensor, norm: Tensor) -> None:
        """Remember a step, if it is the first one of its kind."""
        now = torch.stack([torch.full_like(loss, step), loss, norm.to(loss)]).to(self.first)
        keep = (self.first[0] >= 0) | now.isfinite().all()
        self.first = torch.where(keep, self.first, now)

    def read(self) -> tuple[int, float, float] | None:
        """Step, loss and norm, or `None` if all were finite."""
        step, loss, norm = self.first.tolist()
        return (int(step), loss, norm) if step >= 0 else None


def _not_finite(found: tuple[int, float, float], stage: Stage) -> TrainingError:
    step, loss, norm = found
    what, value = ("gradient", norm) if isfinite(loss) else ("loss", loss)
    newest, _ = checkpoint.newest(stage.folder)
    kept = f"the checkpoint of step {newest.record['step']} is kept" if newest else "there is no checkpoint yet"
    return TrainingError(
        f"the {what} of stage {stage.name!r} is {value} at step {step}; {kept}. Fix: {stage.failure_hint}"
    )


def _chosen(stage: Stage, objective: Objective, step: int, accelerator: Any) -> str:
    """The precision that `auto` becomes: the faster one in the main process, for a part of a step."""
    config, device = stage.config, accelerator.device
    size = config.batch // (config.parts(accelerator.num_processes) * accelerator.num_processes)
    indices = indices_for(stage.seed, step, objective.size, config.batch)[:size]
    batch = objective.read(step, indices, BatchGenerator(0, stage.seed, "precision"))

    def loss() -> Tensor:
        generator = BatchGenerator(0, stage.seed, "precision", device=device)
        losses: Losses = objective(StepContext(step, indices, generator, device, batch))
        return losses.total

    precision, ratio = distributed.from_all(lambda: faster(objective, loss, device))[0]
    why = f"bf16 is {ratio:.2g} times as fast as fp32 here" if ratio else "this processor has no bf16"
    stage.notice(f"stage {stage.name!r} trains in {precision}: {why}")
    return precision


def _restore(stage: Stage, players: Mapping[str, _Optimized], average: MovingAverage) -> tuple[int, str]:
    """Take over the newest checkpoint: its step and precision, or 0 and an empty text without one."""
    stored, passed_over = checkpoint.newest(stage.folder)
    for reason in passed_over:
        stage.notice(f"passed over: {reason}")
    if stored is None:
        return 0, ""
    facts = {**stage.record, "stage": stage.name, "steps": stage.config.steps, **stage.settings}
    known = {**stored.record, **stored.facts(TrainedWith).settings}
    for name, value in json.loads(json.dumps(facts)).items():
        if (found := known.get(name, value)) != value:
            raise CheckpointError(
                f"checkpoint {stored.folder} has {name} {found!r}; this run has {name} {value!r}. To train the stage "
                f"anew, remove the folder {stage.folder}"
            )
    for name, player in players.items():
        current = player.objective.trained.state_dict()
        weights = {key: divided(value, current.get(key, value)) for key, value in stored.tensors(name).items()}
        load_into(player.objective.trained, weights, stored.folder)
        player.load_state(stored.tensors(f"{name}-optimiser"))
        if player.scaler.is_enabled():
            player.load_scaler_state(stored.tensors(f"{name}-scaler"))
    average.load(stored.tensors("average"))
    if stored.has(SNAPSHOT):
        average.keep(SNAPSHOT, stored.tensors(SNAPSHOT))
    at = stored.facts(_StepFacts)
    if stored.folder.name != f"step-{at.step:08d}":
        raise CheckpointError(
            f"checkpoint {stored.folder} records step {at.step}: it was edited or renamed. Fix: remove this folder"
        )
    return at.step, at.precision


def rate_factor(step: int, config: TrainingConfig) -> float:
    """Share of the peak rate at a step: linear warm-up, then constant, or a cosine that ends near zero."""
    warmup = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return warmup
    progress = max(0.0, step - config.warmup) / max(1, config.steps - config.warmup)
    return warmup * (0.01 + 0.99 * 0.5 * (1 + cos(pi * min(1.0, progress))))
