"""`ddmi run`: data, stage 1, latents, stage 2, samples, evaluation and report, each step once."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from rich.console import Console
from rich.markup import escape

from ddmi_core import record_files
from ddmi_core.allowance import limit_threads
from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Split
from ddmi_core.atomic import written_aside
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.conditions import text_network, vocabulary
from ddmi_core.diffusion.latent_diffusion import DenoisingObjective, LatentDiffusion, LatentSource
from ddmi_core.errors import DataError, DdmiError, Interrupted, OutputError, RequestError, TrainingError
from ddmi_core.evaluation import evaluate
from ddmi_core.evaluation.networks import check_networks
from ddmi_core.evaluation.networks.programs import check_programs, name_programs
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model import latent_cache, run_folder, run_results
from ddmi_core.model.build import (
    autoencoder_objectives,
    build_autoencoder,
    build_condition,
    build_diffusion,
    check_parts,
)
from ddmi_core.model.data import (
    DataSummary,
    absolute,
    fitting_condition,
    load_data,
    preset_source,
    source_name,
    summarize,
)
from ddmi_core.model.folder_lock import locked
from ddmi_core.model.initial import INITIAL, InitialWeights, kept
from ddmi_core.model.latent_store import Encoding
from ddmi_core.model.loading import assemble
from ddmi_core.model.memory import in_new_run
from ddmi_core.model.model import Model
from ddmi_core.model.provenance import NETWORK, load_stage
from ddmi_core.model.run_plugin import keep_file, recorded
from ddmi_core.out_of_memory import GENERAL, lowering
from ddmi_core.parts.domain_parts import AnyParts, build_parts
from ddmi_core.progress import doing
from ddmi_core.registry.extensions import part
from ddmi_core.registry.registry import argument
from ddmi_core.report.report import write_report
from ddmi_core.runs.generate import sample_files
from ddmi_core.runs.idle_settings import reading
from ddmi_core.runs.previews import Draw, Previews, Reconstructions, Samples
from ddmi_core.runs.rehearsal import check_denoiser, damaged, rehearse
from ddmi_core.runs.run_display import EVALUATION, PREPARATION, RunDisplay
from ddmi_core.settings.config import Export, RunConfig, Sampling, named_parts
from ddmi_core.settings.convert import flat, unstructure
from ddmi_core.settings.resolve import QUICK, resolve
from ddmi_core.steps import AUTOENCODER, DENOISER, LATENTS
from ddmi_core.training import distributed
from ddmi_core.training.checkpoint import finished, prune, steps
from ddmi_core.training.config import TrainingConfig
from ddmi_core.training.log import Log
from ddmi_core.training.shutdown import StopRequest, stop_requests
from ddmi_core.training.trackers import Observers
from ddmi_core.training.trainer import Stage, train


@frozen(eq=False)
class _Run:
    """Shared state of the steps of one run."""

    config: RunConfig
    parts: AnyParts
    folder: run_folder.RunFolder
    split: Split
    initial: InitialWeights | None  # from which stages that are not finished start; `None` for random ones
    vectors: latent_cache.Vectors | None  # of the condition, in the main process, before latents are encoded
    rehearsed: bool  # whether there was a trial before training
    log: Log
    observers: Observers
    display: RunDisplay
    stop: StopRequest

    @property
    def console(self) -> Console:
        return self.display.console

    @property
    def kept(self) -> str:
        """What of the run is saved, and how to continue it."""
        stages = (self.folder.autoencoder, self.folder.latents, self.folder.denoiser)
        done = any(finished(stage) or steps(stage) for stage in stages)
        return f"completed work is saved: {self.hint}" if done else f"nothing is trained yet: {self.hint}"

    @property
    def hint(self) -> str:
        out = shlex.quote(str(self.folder.path))
        return f"continue with: ddmi run --plugin {argument(self.parts.domain.name)} --out {out} --resume"

    def failure_hint(self, key: str, training: TrainingConfig) -> str:
        """The fix for values that are not finite; `key` is the table of the training's settings."""
        precision = "" if training.precision == "fp32" else f", or set {key}.precision=fp32"
        return (
            f"lower {key}.rate, which is {training.rate:g}{precision}. --resume keeps the settings, so start a new run "
            f"with another --out folder, or remove {self.folder.path}"
        )


def execute(
    config: RunConfig,
    domain: Domain,
    out: Path,
    *,
    resume: bool,
    console: Console,
    trackers: Sequence[str] = (),
    callbacks: Sequence[str] = (),
    initial: InitialWeights | None = None,
) -> Path:
    """Run all steps that are not complete, and return the path of the report.

    In a data-parallel run every process calls it alike; all train, and the main one does the other steps and prints.

    Args:
        config: the resolved configuration.
        domain: the domain.
        out: the run folder.
        resume: continue the run in `out` with its stored configuration; a start that was interrupted before the
            configuration was stored is repeated.
        console: shows the progress.
        trackers: names of trackers that receive the log's records as well; see `Tracker`.
        callbacks: names of callbacks, called after each logged step; see `Moment`.
        initial: weights from which the run starts, with whose settings `config` is resolved; `None` for random ones. A
            resumed run has its own copy.

    Raises:
        RequestError: there is no such tracker or callback, or what it requires is not installed.
        Interrupted: SIGINT or SIGTERM was received; the state is saved.
        OutputError: a file cannot be written; completed work is saved. Or another process writes into the folder.
        DdmiError: see the steps.
    """
    limit_threads()
    console = console if distributed.is_main() else Console(quiet=True)
    with ExitStack() as held:
        report, result = _execute(config, domain, out, resume, console, trackers, callbacks, initial, held)
    for line in result.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    return report


def _execute(
    config: RunConfig,
    domain: Domain,
    out: Path,
    resume: bool,
    console: Console,
    trackers: Sequence[str],
    callbacks: Sequence[str],
    initial: InitialWeights | None,
    held: ExitStack,
) -> tuple[Path, Evaluation]:
    """Body of `execute`; `held` ends the display and the lock of the folder."""
    display = RunDisplay(console, out)
    held.enter_context(display.shown())
    observers = Observers(
        out,
        {name: part("trackers", name) for name in trackers},
        {name: part("callbacks", name) for name in callbacks},
        partial(_note, console),
    )
    place = run_folder.RunFolder(out)
    parts = build_parts(domain, config.domain)
    config = evolve(config, data=absolute(parts, config.data))
    if resume and distributed.on_main(lambda: run_folder.is_empty(place)):
        _note(console, f"there is no run in {out} yet; starting one with the requested settings")
        resume = False
    base = initial.settings.started() if initial else None
    name_programs(config, base)
    if resume:
        stored = run_folder.read_config(place, domain)
        check_programs(stored, out)
        held.enter_context(locked(out))
        run_folder.check_extensions(place, domain)
        run_results.check_stages(place)
        stored = evolve(stored, data=absolute(parts, stored.data))
        if ignored := _ignored(config, stored, base or resolve(domain, config.preset)):
            _note(console, f"the run continues with its stored settings; ignored settings: {', '.join(ignored)}")
        config = stored
        parts = build_parts(domain, config.domain)
        begun = config.weights and not finished(place.denoiser)
        initial = distributed.main_first(lambda: kept(place, domain, config.weights)) if begun else None
        base = initial.settings.started() if initial else None
    for key, training in (("autoencoder", config.autoencoder.training), ("diffusion", config.diffusion.training)):
        training.parts(distributed.count(), f"{key}.training")
    for _, kind, name in named_parts(config):
        part(kind, name, domain)  # one that cannot be imported ends the run before any training
    if config.diffusion.training.shard and callbacks:
        raise RequestError(
            "callbacks read the whole network, which no process has with diffusion.training.shard. Fix: leave out "
            f"--callback {callbacks[0]}, or set diffusion.training.shard=false"
        )
    if not (resume or config.data or initial):
        config = evolve(config, data=preset_source(parts, config.preset))
    if not finished(place.autoencoder):
        check_parts(parts, config)
    with display.step(PREPARATION), reading(config) as read:
        parts.preflight()
        check_networks(parts, config.evaluation)
        if not resume:
            distributed.on_main(lambda: run_folder.claim(place))
            held.enter_context(locked(out))
        split = distributed.main_first(lambda: load_data(parts, config.data))
        config = fitting_condition(parts, config, split, base)
        found = summarize(split, source_name(parts, config.data))
        for line in filter(None, (*found.head(), found.account.files_line())):
            console.print(f"[dim]data[/] {escape(line)}", highlight=False, soft_wrap=True)
        for remark in found.account.warnings:
            _note(console, remark.sentence())
        vectors = _vectors(config, parts, place, split)
        if rehearsed := not finished(place.latents):
            with doing("trial before training"):
                notes = distributed.on_main(lambda: rehearse(parts, config, split, vectors, read, initial))
            for note in (*(notes or ()), *(initial.notes(config, split) if initial else ())):
                _note(console, note)
    if resume:
        evaluate.check_data(place, split)
    else:
        distributed.on_main(lambda: _create(place, config, domain, found, initial))
        initial = initial and distributed.main_first(lambda: kept(place, domain, config.weights))
    distributed.on_main(lambda: keep_file(domain, place))
    known = distributed.peers() if distributed.count() > 1 else []
    with closing(observers), stop_requests() as stop:
        log = Log(place.log)
        state = _Run(config, parts, place, split, initial, vectors, rehearsed, log, observers, display, stop)
        try:
            return _steps(state)
        except OutputError as error:
            raise OutputError(f"{error}; {state.kept}") from error
        except RuntimeError as error:
            if not distributed.lost_process(error):
                raise
            raise DdmiError(
                f"the connection to another process of this run is lost: {distributed.ended(known)}. Its own message, "
                f"or the launcher's report, tells why; {state.kept}"
            ) from error


def _create(
    place: run_folder.RunFolder, config: RunConfig, domain: Domain, found: DataSummary, initial: InitialWeights | None
) -> None:
    """Write the copy of the weights, `run.toml`, and the account of the data, with the changes of each signal."""
    if initial:
        initial.copy(place)
    begun = initial.begun() if initial else None
    run_folder.create(place, config, recorded(domain, place), found.fingerprint, begun)
    with written_aside(place.data) as aside:
        aside.write_text(record_files.to_json(json.loads(found.to_json())), encoding="utf-8")


def _vectors(
    config: RunConfig, parts: AnyParts, place: run_folder.RunFolder, split: Split
) -> latent_cache.Vectors | None:
    """Vectors of the condition, computed before training, so that errors of the captions are reported at once."""
    found: list[latent_cache.Vectors] = []

    def find() -> None:
        condition = None if finished(place.latents) else build_condition(parts, config)
        if condition is not None:
            found.append(latent_cache.vectors_of(condition, split.train))

    distributed.on_main(find)
    return found[0] if found else None


def _steps(run: _Run) -> tuple[Path, Evaluation]:
    for stage in filter(finished, (run.folder.autoencoder, run.folder.denoiser)):
        distributed.on_main(partial(prune, stage, keep=0))  # those that a kill after the last step has left
    autoencoder, weights = _autoencoder(run)
    encoded = _latents(run, autoencoder, weights)
    model = _denoiser(run, autoencoder, weights, encoded)
    distributed.on_main(lambda: _samples(run, model))
    result = _evaluation(run, model)
    distributed.on_main(lambda: _report(run, model, result))
    return run.folder.report, result


def _report(run: _Run, model: Model, result: Evaluation) -> None:
    if not _up_to_date(run, run_results.REPORT):
        with _step(run, run_results.REPORT):
            write_report(run.folder, model, run.split, result)


def _autoencoder(run: _Run) -> tuple[D2CVAE, str]:
    """The trained autoencoder, and the digest of its weights."""
    model = build_autoencoder(run.parts, run.config)
    place = run.folder.autoencoder
    if not finished(place):
        training, facts = run.config.autoencoder.training, {}
        if run.initial:
            facts[INITIAL] = run.initial.load_autoencoder(model, run.config)
        objectives = autoencoder_objectives(run.parts, run.config, model, run.split)
        draw = Reconstructions(run.parts, run.config, run.split)
        with _stage(run, AUTOENCODER, place, "autoencoder.training", training, draw, facts) as stage:
            try:
                train(stage, objectives)
            except TrainingError as error:
                if name := damaged(run.split.train):
                    raise DataError(
                        f"signal {name!r} has values that are not finite, so the loss is not. Fix: remove or repair it"
                    ) from error
                raise
    weights = load_stage(run.parts.domain, place, model).digest("weights")
    return model.eval().cpu(), weights


def _latents(run: _Run, autoencoder: D2CVAE, weights: str) -> latent_cache.Latents:
    """The encoded training signals; every process encodes its share."""
    place, fingerprint = run.folder.latents, run.split.fingerprint()
    if not distributed.on_main(lambda: finished(place)):
        with _step(run, LATENTS):
            diffusion, device = run.config.diffusion, distributed.default_device()
            latent_cache.store(
                place,
                autoencoder.to(device),
                run.split.train,
                Encoding(diffusion.copies, run.config.seed, diffusion.latents == "fresh", diffusion.stored),
                device,
                fingerprint,
                weights,
                run.vectors,
                run_results.acting(run.folder, run.config, LATENTS),
            )
    found: list[latent_cache.Latents] = []
    distributed.from_all(lambda: found.append(latent_cache.load(place, fingerprint, weights)))
    return found[0]


def _denoiser(run: _Run, autoencoder: D2CVAE, weights: str, encoded: latent_cache.Latents) -> Model:
    place = run.folder.denoiser
    if not finished(place):
        lengths = latent_cache.lengths_of(encoded.vectors)
        latents: LatentSource = latent_cache.CachedLatents(encoded)
        if run.config.diffusion.latents == "fresh":
            latents = latent_cache.FreshLatents(autoencoder, run.split.train, encoded)
        facts = {**latent_cache.describe(encoded), AUTOENCODER: weights}
        tensors = {"normalisation": {"mean": encoded.normalisation.mean, "std": encoded.normalisation.std}}
        if any(lengths):
            tensors["condition"] = latent_cache.group_of(latent_cache.kept_vectors(encoded))
            facts[NETWORK] = text_network.digest(run.config.diffusion.condition)
            facts |= vocabulary.facts_of(run.split.train.captions)
        given = encoded.vectors if any(lengths) else encoded.labels

        def diffusion() -> LatentDiffusion:
            return build_diffusion(run.parts.domain, run.config, encoded.shape, len(encoded.classes), *lengths)

        def objective() -> DenoisingObjective:
            built = diffusion()
            if run.initial:
                facts[INITIAL] = run.initial.load_denoiser(built, run.config, encoded.classes)
            return DenoisingObjective(built, latents, given)

        if not run.rehearsed:
            distributed.on_main(lambda: check_denoiser(objective(), run.config))
        denoiser, training = objective(), run.config.diffusion.training
        draw = Samples(run.parts, run.config, autoencoder, encoded, diffusion)
        with _stage(run, DENOISER, place, "diffusion.training", training, draw, facts, tensors) as stage:
            train(stage, {"denoiser": denoiser})
    return assemble(run.parts, run.config, autoencoder, weights, place, distributed.default_device())


def _samples(run: _Run, model: Model) -> None:
    if not _up_to_date(run, run_results.SAMPLES):
        with _step(run, run_results.SAMPLES):
            export = Export(out=run.folder.samples, overwrite=True)
            files = sample_files(model, run.config.sampling.count, Sampling(seed=run.config.seed), export)
            run_results.record(run.folder, run_results.SAMPLES, files, run.config)
        run.display.wrote(files[-1])


def _evaluation(run: _Run, model: Model) -> Evaluation:
    """The figures; every process draws its share of the samples."""
    if distributed.on_main(lambda: _up_to_date(run, run_results.FIGURES)):
        return distributed.on_main(lambda: Evaluation.load(run.folder.metrics))
    with _step(run, EVALUATION):
        result = evaluate.measure(model, run.split, folder=run.folder)
    return distributed.on_main(lambda: evaluate.keep(result, run.folder.metrics, run.folder, run.config))


def _up_to_date(run: _Run, name: str) -> bool:
    """Whether a result need not be made; a note says why one that exists is made again."""
    found = run_results.status(run.folder, name)
    if found.state in ("stale", "damaged"):
        _note(run.console, f"{name}: {found.reason}; made again")
    return found.state == "up to date"


@contextmanager
def _stage(
    run: _Run,
    name: str,
    place: Path,
    key: str,
    training: TrainingConfig,
    draw: Draw,
    record: dict[str, Any] | None = None,
    tensors: dict[str, Any] | None = None,
) -> Iterator[Stage]:
    """A training stage with its progress."""
    note = partial(_note, run.console)
    if run.config.previews and training.shard and distributed.count() > 1:
        note(f"stage {name!r} has no previews, because no process has its whole weights ({key}.shard)")
    with run.display.stage(name, training.steps) as row:
        yield Stage(
            name=name,
            folder=place,
            config=training,
            seed=run.config.seed,
            log=run.log,
            record={"plugin": run.parts.domain.name, **(record or {})},
            settings=run_results.acting(run.folder, run.config, name),
            tensors=tensors or {},
            stop=run.stop,
            progress=partial(run.display.trained, row),
            stepped=partial(run.display.stepped, row),
            preview=Previews(run.folder, name, run.config.previews, draw, run.display.wrote, note),
            notice=note,
            logged=run.observers.tell,
            resume_hint=run.hint,
            failure_hint=run.failure_hint(key, training),
            memory_hint=in_new_run(key.partition(".")[0], training),
        )


@contextmanager
def _step(run: _Run, name: str) -> Iterator[None]:
    """A step with its progress; a stop request ends it at once, because its files are written atomically."""
    if run.stop:
        raise _stopped(run, f"before the step {name!r}")
    try:
        with run.display.step(name), lowering(f"the step {name!r}", GENERAL), run.stop.at_once():
            yield
    except KeyboardInterrupt as error:
        raise _stopped(run, f"in the step {name!r}") from error


def _stopped(run: _Run, place: str) -> Interrupted:
    return Interrupted(f"{place}; {run.kept}", run.stop.signal_number)


def _note(console: Console, sentence: str) -> None:
    console.print(f"[yellow]note[/] {escape(sentence)}", highlight=False)


def _ignored(asked: RunConfig, stored: RunConfig, base: RunConfig) -> list[str]:
    """Keys that the request sets, beyond its preset or weights, to other values than the stored ones."""
    values, used = flat(unstructure(asked)), flat(unstructure(stored))
    known = flat(unstructure(base)) | {"preset": base.preset if asked.weights else QUICK}
    return [key for key, value in values.items() if value not in (known.get(key), used.get(key))]
