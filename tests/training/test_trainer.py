"""The training loop: any stop and resumption gives the same result to the bit, and faults lose nothing."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ddmi_core.autoencoder.config import AdversarialConfig
from ddmi_core.blocks import Block
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective
from ddmi_core.diffusion.latents import LatentShape
from ddmi_core.errors import CheckpointError, ConfigError, Interrupted, OutputError, TrainingError
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_diffusion
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL, SNAPSHOT, finished, load_final
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.ema import MovingAverage
from ddmi_core.training.log import Log
from ddmi_core.training.meter import OPERATING
from ddmi_core.training.objective import Losses, Objective, StepContext, generator_for, indices_for
from ddmi_core.training.shutdown import StopRequest
from ddmi_core.training.trainer import Stage, _mean, rate_factor, train

STEPS = 12
CONFIG = TrainingConfig(steps=STEPS, batch=3, rate=1e-2, warmup=2, ema=0.8, checkpoint=4, log=3, clip=0.5)


class Regression(Objective):
    """A tiny network that learns a fixed map from noisy inputs.

    Args:
        on_step: called at the start of each step.
        factor: of the loss at a step.
        start: as in `Objective`.
    """

    def __init__(
        self,
        on_step: Callable[[int], None] = lambda step: None,
        factor: Callable[[int], float] = lambda step: 1.0,
        start: int = 0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.trained = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 2))
        self.size, self.start = 7, start
        self.data = torch.randn(7, 4, generator=torch.Generator().manual_seed(4))
        self.on_step, self.factor = on_step, factor
        self.seen: list[StepContext] = []

    def forward(self, context: StepContext) -> Losses:
        self.seen.append(context)
        self.on_step(context.step)
        inputs = self.data[list(context.indices)]
        inputs = inputs + 0.1 * torch.randn(inputs.shape, generator=context.generator)
        loss = (self.trained(inputs) - inputs[:, :2]).square().mean() * self.factor(context.step)
        return Losses(loss, (("half", loss / 2),))


class Slopes(Objective):
    """One weight, zero at first, with the gradient 1, 3, 5, ... at the steps."""

    size = 1

    def __init__(self) -> None:
        super().__init__()
        self.trained = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.trained.weight)

    def forward(self, context: StepContext) -> Losses:
        return Losses((1.0 + 2 * context.step) * self.trained.weight.sum())


@frozen(eq=False)
class Final:
    """What a stage leaves behind."""

    files: dict[str, bytes]
    weights: dict[str, Tensor]
    records: list[dict]


def stage(folder: Path, config: TrainingConfig = CONFIG, **changes) -> Stage:
    folder.mkdir(parents=True, exist_ok=True)
    return Stage(
        name="regression", folder=folder / "stage", config=config, seed=5, log=Log(folder / "log.jsonl"), **changes
    )


def final(folder: Path, objective: Objective, log: Log) -> Final:
    place = folder / FINAL
    files = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
    weights = {name: tensor.clone() for name, tensor in objective.trained.state_dict().items()}
    records = [{k: v for k, v in r.items() if k not in OPERATING} for r in log.records()]
    return Final(files, weights, records)


def same(first: Final, second: Final) -> bool:
    weights = first.weights.keys() == second.weights.keys() and all(
        torch.equal(tensor, second.weights[name]) for name, tensor in first.weights.items()
    )
    return weights and first.files == second.files and first.records == second.records


def run_through(folder: Path, make=Regression, config: TrainingConfig = CONFIG) -> Final:
    job, objective = stage(folder, config), make()
    train(job, {"main": objective})
    return final(job.folder, objective, job.log)


def stop_after(step: int) -> tuple[StopRequest, Objective]:
    """A request that is made while this step runs, as a signal's handler would."""
    stop = StopRequest()

    def ask(now: int) -> None:
        if now == step:
            stop.signal_number = 15

    return stop, Regression(ask)


@pytest.mark.parametrize("step", range(STEPS))
def test_a_stop_at_any_step_and_resumption_give_the_same_bits(step, tmp_path):
    undisturbed = run_through(tmp_path / "undisturbed")
    folder = tmp_path / "stopped"
    stop, objective = stop_after(step)
    with pytest.raises(Interrupted, match=f"step {step + 1} of {STEPS} of stage 'regression'.*--resume") as caught:
        train(stage(folder, stop=stop), {"main": objective})
    assert caught.value.exit_status == 143
    assert next(path.name for path in checkpoint.steps(folder / "stage")) == f"step-{step + 1:08d}"
    assert not finished(folder / "stage")
    assert same(run_through(folder), undisturbed)


class Killed(BaseException):
    """Ends the program between two statements, as SIGKILL does."""


@pytest.mark.parametrize("step", range(STEPS))
def test_a_kill_at_any_step_and_resumption_give_the_same_bits(step, tmp_path):
    undisturbed = run_through(tmp_path / "undisturbed")

    def die(now: int) -> None:
        if now == step:
            raise Killed

    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        train(stage(folder), {"main": Regression(die)})
    assert same(run_through(folder), undisturbed)


@pytest.mark.parametrize("write", range(1, 14))
def test_a_kill_at_any_write_or_rename_and_resumption_give_the_same_bits(write, tmp_path, monkeypatch):
    """Counts every file that is written, every rename and every removal of a checkpoint, and dies there."""
    undisturbed = run_through(tmp_path / "undisturbed")
    folder, count = tmp_path / "killed", [0]

    def dying(function):
        def call(*arguments, **options):
            count[0] += 1
            if count[0] == write:
                raise Killed
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_synced", dying(checkpoint.write_synced))
        patched.setattr(Path, "rename", dying(Path.rename))
        with pytest.raises(Killed):
            train(stage(folder), {"main": Regression()})
    assert same(run_through(folder), undisturbed)
    assert leftovers(folder / "stage") == [FINAL]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_stops_at_several_steps_in_a_row_change_nothing(tmp_path):
    undisturbed = run_through(tmp_path / "undisturbed")
    for step in (2, 3, 7, 11):
        stop, objective = stop_after(step)
        with pytest.raises(Interrupted):
            train(stage(tmp_path / "stopped", stop=stop), {"main": objective})
    assert same(run_through(tmp_path / "stopped"), undisturbed)


def test_random_numbers_depend_on_the_name_of_an_objective_and_not_on_its_class(tmp_path):
    class Renamed(Regression):
        pass

    undisturbed = run_through(tmp_path / "undisturbed")
    assert same(run_through(tmp_path / "renamed", Renamed), undisturbed)
    job, objective = stage(tmp_path / "other"), Regression()
    train(job, {"other": objective})
    assert not same(final(job.folder, objective, job.log), undisturbed)


@pytest.mark.parametrize("start", [0, 3, 6])
@pytest.mark.parametrize("step", [1, 4, 8])
def test_two_objectives_resume_together_even_before_the_second_joins(step, start, tmp_path):
    def both(main: Objective) -> dict[str, Objective]:
        return {"main": main, "second": Regression(start=start)}

    finals = {}
    for name in ("undisturbed", "stopped"):
        stop, objective = stop_after(step if name == "stopped" else STEPS)
        job = stage(tmp_path / name, stop=stop)
        objectives = both(objective)
        if name == "stopped":
            with pytest.raises(Interrupted):
                train(job, objectives)
            job, objectives = stage(tmp_path / name), both(Regression())
        train(job, objectives)
        finals[name] = [final(job.folder, o, job.log) for o in objectives.values()]
    assert all(same(a, b) for a, b in zip(finals["undisturbed"], finals["stopped"], strict=True))


def autoencoder_stage(domain, config, folder: Path, stop: StopRequest) -> tuple[Stage, dict[str, Objective]]:
    folder.mkdir(exist_ok=True)
    parts = build_parts(domain, config.domain)
    model, split = build_autoencoder(parts, config), load_data(parts, "")
    job = Stage(
        "autoencoder", folder / "stage", config.autoencoder.training, config.seed, Log(folder / "log"), stop=stop
    )
    return job, autoencoder_objectives(parts, config, model, split)


def denoiser_stage(domain, config, folder: Path, stop: StopRequest) -> tuple[Stage, dict[str, Objective]]:
    folder.mkdir(exist_ok=True)
    shape = LatentShape(config.autoencoder.latent_channels, [(4,) * len(plane) for plane in domain.layout.planes])
    latents = torch.randn(20, shape.length, generator=torch.Generator().manual_seed(0))
    model = build_diffusion(domain, config, shape, 2)
    job = Stage("denoiser", folder / "stage", config.diffusion.training, config.seed, Log(folder / "log"), stop=stop)
    return job, {"denoiser": DenoisingObjective(model, latents, torch.arange(20) % 2)}


@pytest.mark.parametrize(
    ("make", "kind"), [(autoencoder_stage, "small"), (autoencoder_stage, "patchgan"), (denoiser_stage, "small")]
)
def test_both_stages_of_the_formula_domains_resume_to_the_same_bits(
    make, kind, formula_domain, formula_config, tmp_path
):
    short = evolve(formula_config.autoencoder.training, steps=10, checkpoint=4, log=5, batch=4)
    adversarial = AdversarialConfig(start=3, width=4, kind=kind)
    autoencoder = evolve(formula_config.autoencoder, training=short, equivariance=0.1, adversarial=adversarial)
    if kind == "patchgan":
        side, further = (4,) * len(formula_domain.layout.axes), evolve(adversarial, axes=(1,), features=0.1)
        autoencoder = evolve(autoencoder, spectral=0.1, spectral_start=1.0, patch=side, adversarial=further)
    config = evolve(formula_config, autoencoder=autoencoder, diffusion=evolve(formula_config.diffusion, training=short))
    finals = {}
    for name, stops in (("undisturbed", ()), ("stopped", (1, 5))):
        for step in (*stops, None):
            stop = StopRequest()
            job, objectives = make(domain=formula_domain, config=config, folder=tmp_path / name, stop=stop)
            if step is None:
                train(job, objectives)
            else:
                stopping = evolve(job, progress=lambda report: None)
                main = next(iter(objectives.values()))
                main.register_forward_pre_hook(
                    lambda module, given, step=step, stop=stop: setattr(
                        stop, "signal_number", 2 if given[0].step == step else stop.signal_number
                    )
                )
                with pytest.raises(Interrupted) as caught:
                    train(stopping, objectives)
                assert caught.value.exit_status == 130
        finals[name] = [final(job.folder, o, job.log) for o in objectives.values()]
    assert all(same(a, b) for a, b in zip(finals["undisturbed"], finals["stopped"], strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("step", "kept"), [(2, "no checkpoint yet"), (9, "checkpoint of step 8 is kept")])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_keeps_the_last_checkpoint(value, step, kept, tmp_path):
    with pytest.raises(TrainingError, match=rf"loss of stage 'regression' is {value} at step {step}; .*{kept}.*rate"):
        train(stage(tmp_path), {"main": Regression(factor=lambda now: value if now == step else 1.0)})
    assert [int(path.name[5:]) for path in checkpoint.steps(tmp_path / "stage")] == [8, 4][: step // 4][:2]
    newest, _ = checkpoint.newest(tmp_path / "stage")
    if newest:
        assert all(torch.isfinite(tensor).all() for tensor in newest.tensors("main").values())


def test_the_first_of_several_bad_steps_is_named(tmp_path):
    bad = Regression(factor=lambda now: float("nan") if now < 2 else 1.0)
    with pytest.raises(TrainingError, match="loss of stage 'regression' is nan at step 0; there is no checkpoint yet"):
        train(stage(tmp_path), {"main": bad})


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(tmp_path):
    """The loss is finite at step 7, its gradient is not; step 8 would store the spoilt weights."""

    class Steep(Regression):
        def forward(self, context: StepContext) -> Losses:
            losses = super().forward(context)
            if context.step == 7:
                weight = self.trained[0].weight
                return Losses(losses.total + (weight - weight.detach()).square().sum().sqrt())
            return losses

    with pytest.raises(
        TrainingError, match="gradient of stage 'regression' is nan at step 7; the checkpoint of step 4"
    ):
        train(stage(tmp_path), {"main": Steep()})
    assert [path.name for path in checkpoint.steps(tmp_path / "stage")] == ["step-00000004"]


def test_a_finished_stage_keeps_its_final_weights_alone_and_they_are_the_averaged_ones(tmp_path):
    objective = Regression()
    tensors = {"statistics": {"mean": torch.arange(3.0)}}
    train(stage(tmp_path, tensors=tensors, record={"plugin": "wave"}), {"main": objective})
    assert leftovers(tmp_path / "stage") == [FINAL]
    fresh = Regression()
    stored = load_final(tmp_path / "stage", fresh.trained)
    assert stored.record["plugin"] == "wave"
    assert (stored.record["step"], stored.record["stage"]) == (STEPS, "regression")
    assert torch.equal(stored.tensors("statistics")["mean"], torch.arange(3.0))
    raw, averaged = objective.trained.state_dict(), fresh.trained.state_dict()
    assert not torch.equal(raw["0.weight"], averaged["0.weight"])
    assert torch.equal(raw["1.num_batches_tracked"], averaged["1.num_batches_tracked"])


def test_the_average_after_a_step_is_kept_as_it_would_be_the_last_one_there(tmp_path):
    config = evolve(CONFIG, schedule="constant", checkpoint=2)
    short = stage(tmp_path / "short", evolve(config, steps=5))
    job = stage(tmp_path / "long", evolve(config, snapshot=0.4))
    for each in (short, job):
        train(each, {"main": Regression()})
    ended = checkpoint.load(short.folder / FINAL).tensors("weights")
    stored = checkpoint.load(job.folder / FINAL)
    kept, last = stored.tensors(SNAPSHOT), stored.tensors("weights")
    assert kept.keys() == last.keys() == ended.keys()
    assert all(torch.equal(kept[name], ended[name]) for name in ended)
    assert not torch.equal(kept["0.weight"], last["0.weight"])
    assert not checkpoint.load(short.folder / FINAL).has(SNAPSHOT)
    train(brief := stage(tmp_path / "brief", evolve(config, steps=1, snapshot=0.1)), {"main": Regression()})
    assert checkpoint.load(brief.folder / FINAL).has(SNAPSHOT)


@pytest.mark.parametrize("step", [3, 4, 5, 9])
def test_a_kept_average_survives_a_stop_before_and_after_its_step(step, tmp_path):
    config = evolve(CONFIG, snapshot=0.4)
    whole = stage(tmp_path / "whole", config)
    train(whole, {"main": Regression()})
    stop, objective = stop_after(step)
    with pytest.raises(Interrupted):
        train(stage(tmp_path / "parts", config, stop=stop), {"main": objective})
    train(job := stage(tmp_path / "parts", config), {"main": Regression()})
    first, second = ((each.folder / FINAL / f"{SNAPSHOT}.safetensors").read_bytes() for each in (whole, job))
    assert first == second


def test_final_weights_of_another_architecture_are_refused_by_name(tmp_path):
    train(stage(tmp_path), {"main": Regression()})
    with pytest.raises(CheckpointError, match="does not fit the configured model"):
        load_final(tmp_path / "stage", nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_final(tmp_path / "elsewhere", nn.Linear(2, 2))


def interrupted(folder: Path, step: int = 9, **changes) -> None:
    stop, objective = stop_after(step)
    with pytest.raises(Interrupted):
        train(stage(folder, stop=stop, **changes), {"main": objective})


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_notice(tmp_path):
    undisturbed = run_through(tmp_path / "undisturbed")
    interrupted(tmp_path / "run")
    newest, older = checkpoint.steps(tmp_path / "run" / "stage")
    assert (newest.name, older.name) == ("step-00000010", "step-00000008")
    path = newest / "main.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    notices: list[str] = []
    job, objective = stage(tmp_path / "run", notice=notices.append), Regression()
    train(job, {"main": objective})
    assert len(notices) == 1
    assert "step-00000010" in notices[0]
    assert "truncated or altered" in notices[0]
    assert objective.seen[0].step == 8
    assert same(final(job.folder, objective, job.log), undisturbed)


def test_damaged_checkpoints_never_push_out_the_one_just_saved(tmp_path):
    interrupted(tmp_path, 10)
    for path in checkpoint.steps(tmp_path / "stage"):
        (path / "state.json").write_text("{")
    interrupted(tmp_path, 1)
    assert [path.name for path in checkpoint.steps(tmp_path / "stage")] == ["step-00000002"]
    objective = Regression()
    train(stage(tmp_path), {"main": objective})
    assert objective.seen[0].step == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": evolve(CONFIG, steps=13)}, "steps 12; this run has steps 13"),
        ({"name": "other"}, "stage 'regression'; this run has stage 'other'"),
        ({"record": {"plugin": "block"}}, "plugin 'wave'; this run has plugin 'block'"),
        ({"record": {"plugin": "wave", "grids": ((4, 4),)}}, r"grids \[\[2, 2\]\]; this run has grids \[\[4, 4\]\]"),
    ],
)
def test_a_checkpoint_of_another_job_is_refused(changes, message, tmp_path):
    interrupted(tmp_path, record={"plugin": "wave", "grids": ((2, 2),)})
    job = evolve(stage(tmp_path, record={"plugin": "wave", "grids": ((2, 2),)}), **changes)
    with pytest.raises(CheckpointError, match=message):
        train(job, {"main": Regression()})


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    interrupted(tmp_path)
    objective = Regression()
    objective.trained = nn.Linear(4, 2)
    with pytest.raises(CheckpointError, match="step-00000010 does not fit the configured model"):
        train(stage(tmp_path), {"main": objective})


def test_a_checkpoint_of_a_newer_version_is_not_passed_over(tmp_path):
    interrupted(tmp_path)
    state = checkpoint.steps(tmp_path / "stage")[0] / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"format": checkpoint.FORMAT + 1}))
    with pytest.raises(CheckpointError, match="install a newer ddmi"):
        train(stage(tmp_path), {"main": Regression()})
    assert len(checkpoint.steps(tmp_path / "stage")) == 2


def test_a_full_disk_ends_training_with_the_older_checkpoint_in_place(tmp_path, monkeypatch):
    undisturbed = run_through(tmp_path / "undisturbed")
    with monkeypatch.context() as patched:
        write, count = checkpoint.write_synced, [0]

        def full(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
            count[0] += 1
            if count[0] > 5:  # one checkpoint has three groups and a record
                raise OSError(28, "No space left on device")
            write(path, pieces)

        patched.setattr(checkpoint, "write_synced", full)
        with pytest.raises(OutputError, match=r"no space left.*step-00000008"):
            train(stage(tmp_path / "full"), {"main": Regression()})
    assert leftovers(tmp_path / "full" / "stage") == ["step-00000004"]
    assert same(run_through(tmp_path / "full"), undisturbed)


def test_the_log_has_each_step_once_after_a_resumption(tmp_path):
    interrupted(tmp_path, 10)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write(
            '{"stage": "regression", "step": 12, "loss": 1.0}\n{"stage": "other", "step": 99}\n{"stage": "regr'
        )
    train(stage(tmp_path), {"main": Regression()})
    records = list(Log(tmp_path / "log.jsonl").records())
    assert [(r["stage"], r["step"]) for r in records] == [
        ("regression", 3),
        ("regression", 6),
        ("regression", 9),
        ("other", 99),
        ("regression", 12),
    ]
    for record in records:
        if record["stage"] == "regression":
            assert record["half"] == pytest.approx(record["loss"] / 2)


def test_the_last_step_is_always_logged_and_reported(tmp_path):
    reports = []
    job = stage(tmp_path, evolve(CONFIG, steps=5, log=3), progress=reports.append)
    train(job, {"main": Regression()})
    assert [r["step"] for r in job.log.records()] == [3, 5]
    assert [(report.step, report.steps) for report in reports] == [(3, 5), (5, 5)]
    assert reports[0].seconds_left > 0 == reports[1].seconds_left


@pytest.mark.parametrize("precisions", [("fp32", "bf16"), ("bf16", "fp32"), ("fp16", "bf16")])
def test_stages_of_one_program_may_differ_in_precision(precisions, tmp_path):
    for number, precision in enumerate(precisions):
        train(stage(tmp_path / str(number), evolve(CONFIG, steps=2, precision=precision)), {"main": Regression()})


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_matrices_are_multiplied_in_the_precision_of_the_settings(precision, dtype, tmp_path):
    seen = set()

    class Watching(Regression):
        def forward(self, moment):
            seen.add(self.trained[0](torch.zeros(1, 4)).dtype)
            return super().forward(moment)

    objective = Watching()
    train(stage(tmp_path, evolve(CONFIG, steps=2, precision=precision)), {"main": objective})
    assert seen == {dtype}
    assert objective.trained[0].weight.dtype == torch.float32


def test_an_accelerator_of_the_program_with_other_settings_is_named(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from accelerate import Accelerator\n"
        "Accelerator(mixed_precision='bf16', cpu=True)\n"
        "from test_trainer import CONFIG, Regression, stage\n"
        "from ddmi_core.errors import TrainingError\n"
        "from ddmi_core.training.trainer import train\n"
        "try: train(stage(Path(sys.argv[2]), CONFIG), {'main': Regression()})\n"
        "except TrainingError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "mixed_precision='no'" in done.stdout


def test_fp16_skips_a_step_whose_gradient_overflows(tmp_path):
    class Overflowing(Regression):
        def forward(self, moment):
            losses = super().forward(moment)
            return evolve(losses, total=losses.total * 1e38) if moment.step == 20 else losses

    weights = []
    objective = Overflowing()
    job = stage(
        tmp_path,
        evolve(CONFIG, steps=24, precision="fp16", log=1),
        progress=lambda report: weights.append(objective.trained[0].weight.detach().clone()),
    )
    train(job, {"main": objective})
    assert torch.equal(weights[19], weights[20])
    assert not torch.equal(weights[18], weights[19])
    assert not torch.equal(weights[20], weights[23])


@pytest.mark.parametrize("step", [0, 3, 6, 9])
def test_fp16_resumes_with_the_scale_that_it_had(step, tmp_path):
    """The first scale, 65536, is too large here: a resumed run that began with it would skip steps again."""
    config = evolve(CONFIG, precision="fp16")

    def steep(on_step: Callable[[int], None] = lambda now: None) -> Regression:
        return Regression(on_step, factor=lambda now: 30.0)

    undisturbed = run_through(tmp_path / "undisturbed", steep, config)
    stop = StopRequest()
    ask = lambda now: setattr(stop, "signal_number", 15 if now == step else 0)  # noqa: E731
    with pytest.raises(Interrupted):
        train(stage(tmp_path / "stopped", config, stop=stop), {"main": steep(ask)})
    kept = checkpoint.load(checkpoint.steps(tmp_path / "stopped" / "stage")[0])
    assert kept.tensors("main-scaler")["scale"] < 65536
    assert same(run_through(tmp_path / "stopped", steep, config), undisturbed)
    assert not torch.equal(undisturbed.weights["0.weight"], Regression().trained.state_dict()["0.weight"])


def test_only_fp16_stores_a_scale(tmp_path):
    interrupted(tmp_path)
    assert not checkpoint.load(checkpoint.steps(tmp_path / "stage")[0]).has("main-scaler")


class Fixed(Objective):
    """A regression without noise, in double precision: its loss is a mean over the signals of the batch."""

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.trained = nn.Linear(4, 2, dtype=torch.float64)
        for number, weight in enumerate(self.trained.parameters()):
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(number))
        self.size, self.start = 25, start
        self.data = torch.randn(25, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        self.seen: list[StepContext] = []

    def forward(self, context: StepContext) -> Losses:
        self.seen.append(context)
        inputs = self.data[list(context.indices)]
        loss = (self.trained(inputs) - inputs[:, :2].sin()).square().mean()
        return Losses(loss, (("half", loss / 2),))


@pytest.mark.parametrize("accumulation", [1, 2, 3, 6])
def test_the_parts_of_a_batch_are_one_batch(accumulation, tmp_path):
    whole, parts = ({"main": Fixed(), "second": Fixed(start=4)} for _ in range(2))
    job = stage(tmp_path / "whole", evolve(CONFIG, batch=6))
    train(job, whole)
    split = stage(tmp_path / "split", evolve(CONFIG, batch=6, accumulation=accumulation))
    train(split, parts)
    for name in whole:
        for a, b in zip(whole[name].trained.parameters(), parts[name].trained.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)
    assert [c.step for c in parts["main"].seen] == [step for step in range(STEPS) for _ in range(accumulation)]
    assert [i for c in parts["main"].seen for i in c.indices] == [i for c in whole["main"].seen for i in c.indices]
    for a, b in zip(job.log.records(), split.log.records(), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["half"] == pytest.approx(b["half"], rel=1e-6)


def test_parts_of_a_step_draw_different_numbers(tmp_path):
    objective = Regression()
    train(stage(tmp_path, evolve(CONFIG, batch=6, accumulation=3)), {"main": objective})
    states = {context.generator.initial_seed() for context in objective.seen}
    assert len(states) == len(objective.seen) == 3 * STEPS


@pytest.mark.parametrize("step", [0, 5, 9])
def test_accumulating_training_resumes_to_the_same_bits(step, tmp_path):
    config = evolve(CONFIG, batch=6, accumulation=2)
    undisturbed = run_through(tmp_path / "undisturbed", config=config)
    stop, objective = stop_after(step)
    with pytest.raises(Interrupted):
        train(stage(tmp_path / "stopped", config, stop=stop), {"main": objective})
    assert same(run_through(tmp_path / "stopped", config=config), undisturbed)


def test_a_bad_loss_of_the_first_of_several_parts_ends_the_step(tmp_path):
    calls = itertools.count()

    class Spoilt(Fixed):
        def forward(self, context: StepContext) -> Losses:
            losses = super().forward(context)
            return Losses(losses.total * float("nan")) if next(calls) == 10 else losses

    with pytest.raises(TrainingError, match="loss of stage 'regression' is nan at step 5; the checkpoint of step 4"):
        train(stage(tmp_path, evolve(CONFIG, batch=6, accumulation=2)), {"main": Spoilt()})


def test_the_global_random_state_is_left_alone_and_not_used(tmp_path):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = run_through(tmp_path / "first")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(run_through(tmp_path / "second"), first)


def test_the_rate_warms_up_linearly_and_falls_along_a_cosine():
    config = TrainingConfig(steps=110, warmup=10)
    factors = [rate_factor(step, config) for step in range(110)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert factors[4] == pytest.approx(0.5)
    assert factors[60] == pytest.approx((1 + 0.01) / 2, abs=1e-6)
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert 0 < factors[-1] < 0.02


def test_without_a_gradient_weights_shrink_by_the_rate_times_the_weight_decay_alone(tmp_path):
    config, objective = evolve(CONFIG, weight_decay=0.7), Regression(factor=lambda step: 0.0)
    before = [weight.detach().clone() for weight in objective.trained.parameters()]
    train(stage(tmp_path, config), {"main": objective})
    kept = math.prod(1 - config.rate * rate_factor(step, config) * 0.7 for step in range(STEPS))
    assert kept < 0.96
    for weight, old in zip(objective.trained.parameters(), before, strict=True):
        torch.testing.assert_close(weight.detach(), kept * old)


def test_a_constant_rate_follows_the_warm_up():
    config = TrainingConfig(steps=20, warmup=4, schedule="constant")
    assert [rate_factor(step, config) for step in range(20)] == [0.25, 0.5, 0.75, *[1.0] * 17]


def test_beta_is_the_decay_of_the_squared_gradients(tmp_path):
    """With momenta of both of AdamW's means at hand, two steps of one weight are known in closed form."""
    objective = Slopes()
    train(
        stage(tmp_path, TrainingConfig(steps=2, rate=0.1, warmup=0, schedule="constant", beta=0.75, clip=99.0)),
        {"main": objective},
    )
    # Gradients 1 and 3: means 0.1 and 0.39, of squares 0.25 and 2.4375, divided by 1 - 0.9^n and 1 - 0.75^n.
    second = (0.39 / (1 - 0.9**2)) / (2.4375 / (1 - 0.75**2)) ** 0.5
    assert objective.trained.weight.item() == pytest.approx(-0.1 * (1 + second), rel=1e-5)


def slopes_trained(folder, **changes) -> float:
    objective = Slopes()
    for name, value in changes.pop("objective", {}).items():
        setattr(objective, name, value)
    given = {"steps": 2, "rate": 0.1, "warmup": 0, "schedule": "constant", "beta": 0.75, "clip": 99.0, **changes}
    train(stage(folder, TrainingConfig(**given)), {"main": objective})
    return objective.trained.weight.item()


def test_longer_gradients_are_clipped_to_the_limit(tmp_path):
    """Gradients 1 and 3 become 1 and 1: AdamW then takes two whole steps of the rate."""
    assert slopes_trained(tmp_path / "clipped", clip=1.0) == pytest.approx(-0.2, rel=1e-4)
    assert slopes_trained(tmp_path / "short", clip=3.1) == slopes_trained(tmp_path / "whole")


def test_an_objective_has_a_rate_relative_to_the_configured_one(tmp_path):
    whole, part = slopes_trained(tmp_path / "whole"), slopes_trained(tmp_path / "part", objective={"rate": 0.25})
    assert part == pytest.approx(0.25 * whole, rel=1e-5)


def test_the_time_left_follows_from_the_median_of_recent_steps_so_a_slow_first_step_does_not_count(
    tmp_path, monkeypatch
):
    clock, reports, steps = itertools.chain([0.0], itertools.count(90.0, 2.0)), [], []
    monkeypatch.setattr("ddmi_core.training.trainer.time.monotonic", lambda: next(clock))
    job = stage(
        tmp_path,
        evolve(CONFIG, steps=6, log=2),
        progress=reports.append,
        stepped=lambda step, left: steps.append((step, left)),
    )
    train(job, {"main": Regression()})
    assert steps == [(1, None), (2, 8.0), (3, 6.0), (4, 4.0), (5, 2.0), (6, 0.0)]
    assert [report.seconds_left for report in reports] == [8.0, 4.0, 0.0]
    assert [report.signals_per_second for report in reports] == [CONFIG.batch / 2] * 3
    assert [record["steps_per_second"] for record in job.log.records()] == [0.022, 0.042, 0.06]


def test_the_speed_of_a_resumed_training_counts_its_own_steps(tmp_path, monkeypatch):
    interrupted(tmp_path, 3)
    clock = itertools.count(100.0, 2.0)
    monkeypatch.setattr("ddmi_core.training.trainer.time.monotonic", lambda: next(clock))
    job = stage(tmp_path)
    train(job, {"main": Regression()})
    assert [record["steps_per_second"] for record in job.log.records()][1:] == [0.5] * 3


def test_losses_of_several_batches_are_averaged_part_by_part_where_they_are_present():
    one, two, three = (torch.tensor(float(number)) for number in (1, 2, 6))
    mean = _mean([Losses(one, (("a", one),)), Losses(two, (("a", three), ("b", two)))])
    assert mean.total == 1.5
    assert dict(mean.parts) == {"a": 3.5, "b": 2.0}


def test_callbacks_get_each_logged_step_with_its_figures(tmp_path):
    moments = []
    objective = Regression()
    job = stage(tmp_path, logged=moments.append)
    train(job, {"main": objective})
    assert [(m.stage, m.step, m.steps) for m in moments] == [("regression", n, STEPS) for n in (3, 6, 9, 12)]
    assert moments[0].model is objective.trained
    assert moments[0].run == tmp_path
    for moment, record in zip(moments, job.log.records(), strict=True):
        assert {"stage": moment.stage, "step": moment.step, **moment.values} == record


class InBlocks(Regression):
    """A network of one block that counts how often it is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.trained, self.computed = Counted(self.trained), 0
        self.trained.register_forward_pre_hook(lambda block, inputs: setattr(self, "computed", self.computed + 1))


class Counted(Block):
    def __init__(self, inner: nn.Sequential) -> None:
        super().__init__()
        self.inner = nn.Sequential(inner[0], *inner[2:])  # without statistics of batches, which a second call changes

    def forward(self, inputs: Tensor) -> Tensor:
        return self.inner(inputs)


def test_gradient_checkpointing_computes_blocks_again_and_gives_the_same_files(tmp_path):
    finals = []
    for again in (False, True):
        folder, objective = tmp_path / str(again), InBlocks()
        job = stage(folder, evolve(CONFIG, gradient_checkpointing=again))
        train(job, {"main": objective})
        assert objective.computed == (1 + again) * STEPS
        finals.append(final(job.folder, objective, job.log))
    assert same(*finals)


@pytest.mark.parametrize("name", ["gradient_checkpointing", "compile"])
def test_settings_of_blocks_without_blocks_are_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=rf"regression.training.{name} = true.*no blocks.*api.Block"):
        train(stage(tmp_path, evolve(CONFIG, **{name: True})), {"main": Regression()})


def compile_by(backend: Callable, monkeypatch) -> None:
    """Compile modules by a backend, and forget what other tests compiled, or could not compile."""
    torch._dynamo.reset()
    compiled = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled(module, backend=backend))


def test_blocks_that_cannot_be_compiled_run_as_they_are(tmp_path, monkeypatch):
    def backend(graph, inputs):
        raise RuntimeError("no compiler")

    compile_by(backend, monkeypatch)
    finals = []
    for compiles in (False, True):
        folder, objective = tmp_path / str(compiles), InBlocks()
        job = stage(folder, evolve(CONFIG, compile=compiles))
        train(job, {"main": objective})
        finals.append(final(job.folder, objective, job.log))
    assert same(*finals)


@pytest.mark.parametrize("again", [False, True])
def test_blocks_are_compiled_if_asked_for(again, tmp_path, monkeypatch):
    """By a backend that counts calls, instead of a compiler."""
    called = []

    def backend(graph, inputs):
        return lambda *given: (called.append(len(given)), graph(*given))[1]

    compile_by(backend, monkeypatch)
    finals = []
    for compiles in (False, True):
        folder, objective = tmp_path / str(compiles), InBlocks()
        objective.trained._forward_pre_hooks.clear()
        job = stage(folder, evolve(CONFIG, compile=compiles, gradient_checkpointing=again))
        assert not called
        train(job, {"main": objective})
        finals.append(final(job.folder, objective, job.log))
    assert len(called) == STEPS * (1 + again)
    assert same(*finals)


def test_an_objective_without_a_loss_cannot_be_made():
    with pytest.raises(TypeError, match="forward"):
        type("Partial", (Objective,), {})()
    assert (Regression().start, Regression().rate) == (0, 1.0)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 100), (10, 10), (5, 0)])
def test_the_rate_is_positive_for_any_lengths(steps, warmup):
    assert all(0 < rate_factor(step, TrainingConfig(steps=steps, warmup=warmup)) <= 1 for step in range(steps))


sizes = st.integers(1, 23)


@settings(deadline=None)
@given(sizes, st.integers(1, 21), st.integers(0, 99))
def test_each_epoch_is_a_permutation(size, batch, seed):
    steps = -(-3 * size // batch)
    drawn = [index for step in range(steps) for index in indices_for(seed, step, size, batch)]
    assert len(drawn) == steps * batch
    for epoch in range(3):
        assert sorted(drawn[epoch * size : (epoch + 1) * size]) == list(range(size))


@settings(deadline=None)
@given(sizes, st.integers(1, 21))
def test_every_item_is_drawn_equally_often(size, batch):
    counts = [0] * size
    for step in range(size):  # as many epochs as the batch has signals
        for index in indices_for(0, step, size, batch):
            counts[index] += 1
    assert counts == [batch] * size


def test_orders_differ_between_epochs_and_seeds():
    epochs = {indices_for(seed, step, 20, 20) for seed in range(3) for step in range(3)}
    assert len(epochs) == 9


def test_generators_depend_on_seed_and_purpose_alone():
    def draw(*purpose) -> float:
        return torch.rand((), generator=generator_for(*purpose)).item()

    assert draw(1, "a", 2) == draw(1, "a", 2)
    assert len({draw(1, "a", 2), draw(2, "a", 2), draw(1, "b", 2), draw(1, "a", 3), draw(1, "a"), draw(1)}) == 6


def test_the_moving_average_equals_its_closed_form():
    module = nn.Linear(3, 2)
    average = MovingAverage(module, decay=0.9)
    expected = module.weight.detach().clone()
    for step in range(120):
        with torch.no_grad():
            module.weight.copy_(torch.randn(2, 3, generator=torch.Generator().manual_seed(step)))
        average.update(module, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.weight.detach()
    torch.testing.assert_close(average.weights["weight"], expected, atol=1e-6, rtol=1e-5)


def test_the_moving_average_of_constant_weights_is_these_weights():
    module = nn.Linear(3, 2)
    average = MovingAverage(module, decay=0.999)
    with torch.no_grad():
        module.weight.fill_(2.0)
    for step in range(200):
        average.update(module, step)
    torch.testing.assert_close(average.weights["weight"], torch.full((2, 3), 2.0), atol=1e-4, rtol=0)


def test_a_stored_average_replaces_the_present_one_and_is_a_copy():
    module = nn.Linear(3, 2)
    average, stored = MovingAverage(module, decay=0.9), {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    average.load(stored)
    stored["weight"].zero_()
    assert average.weights["weight"].eq(1).all()
    assert average.weights["bias"].eq(0).all()


def test_the_moving_average_does_not_follow_by_itself():
    module = nn.Linear(3, 2)
    average = MovingAverage(module, decay=0.0)
    with torch.no_grad():
        module.weight.fill_(7.0)
    assert not average.weights["weight"].eq(7).any()
    assert not average.weights["weight"].requires_grad
    average.update(module, 0)  # a decay of 0 keeps the newest weights
    assert average.weights["weight"].eq(7).all()


def test_weights_of_two_names_are_averaged_under_both():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    module[1].weight = module[0].weight
    module[0].weight.data.zero_()
    average = MovingAverage(module, decay=0.5)
    module[0].weight.data.fill_(1.0)
    average.update(module, 98)
    assert average.weights["0.weight"].tolist() == average.weights["1.weight"].tolist() == [[0.5, 0.5]] * 2


def test_buffers_are_copied_and_not_averaged():
    module = nn.BatchNorm1d(2)
    module.running_mean.fill_(torch.inf)  # would stay in an average
    average = MovingAverage(module, decay=0.9)
    module.num_batches_tracked.fill_(41)
    module.running_mean.fill_(3)
    average.update(module, 50)
    assert average.weights["num_batches_tracked"] == 41
    assert average.weights["running_mean"].tolist() == [3, 3]
