"""Plugins that use the freedoms of the interface keep the contract: the kit is not stricter than the interface."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from unusual import LINE, QUICK, UNUSUAL, Grids, domain, on_grid

from ddmi_core.api import Condition, TokenSequences
from ddmi_core.conditions.text import word_condition
from ddmi_core.errors import DataError, RequestError
from ddmi_core.registry import limit
from ddmi_core.scaffold.writing import write_plugin
from ddmi_core.testing import ContractBroken, Subject, TimeLimit, check_named, examine
from ddmi_core.testing.check_list import IN_A_FRESH_PROCESS, IN_THIS_PROCESS
from ddmi_core.testing.outcomes import FAILED, OK, SKIPPED, SLOW

# Checks that need what only some plugins have.
OPTIONAL = {"extra_columns", "conditions", "evaluations", "bad_folders", "weights"}
POINTS = {
    *("patches", "targets", "observe_agrees_with_render", "native_size", "render_sizes", "perceptual"),
    *("metrics", "files_read_back"),
}
# Further checks that do not apply, by plugin.
APART = {
    "points that are scattered": {"patches", "perceptual"},
    "another lattice": {"patches", "perceptual"},
    "artefacts of other axes": {
        *("observe_agrees_with_render", "native_size", "original", "metrics", "files_read_back", "render_sizes"),
    },
    "views of a class of its own": {"render_sizes"},
    "labels and logits": {"observe_agrees_with_render"},
    "no metrics and no conditions": {"metrics", "perceptual"},
    "values in other units": {"perceptual"},
    "points": POINTS,
    "ragged points with a mask": POINTS,
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_plugin_keeps_the_contract(name):
    with Subject(UNUSUAL[name]) as subject:
        found = examine(subject, IN_THIS_PROCESS)
    assert not found.failed, found.summary()
    skipped = {outcome.check for outcome in found.outcomes if outcome.state != OK}
    assert skipped <= OPTIONAL | APART.get(name, set())


def test_a_slow_import_and_variables_of_dependencies_are_allowed():
    with Subject(domain("slow", LINE, "fresh_parts:SlowToImport")) as subject:
        found = examine(subject, IN_A_FRESH_PROCESS)
    assert not found.failed, found.summary()
    (told,) = (outcome.found for outcome in found.outcomes if outcome.check == "global_state")
    assert told == "environment variables set by dependencies: DDMI_TEST_VARIABLE by fresh_dependency"
    assert 1 < subject.made["process_report"].imports["implementation"] < 8


@pytest.mark.parametrize(
    ("report", "check", "told"),
    [
        (
            {"heavy": (), "imports": {"description": 2.5, "implementation": 0.1}},
            "imports_are_quick",
            "importing the description takes too long (seconds 2.5, most 2)",
        ),
        (
            {"heavy": (), "imports": {"description": 0.1, "implementation": 9.0}},
            "imports_are_quick",
            "importing the implementation takes too long (seconds 9, most 8)",
        ),
        (
            {"changed": {}, "variables": {"MKL_X": "torch", "MINE": "unusual"}},
            "global_state",
            "it changed environment variables: MINE (in unusual)",
        ),
    ],
)
def test_imports_and_variables_of_the_plugin_itself_are_not(report, check, told):
    with Subject(domain("own", LINE, "unusual:Ready")) as subject:
        subject.made["process_report"] = SimpleNamespace(**report)
        with pytest.raises(ContractBroken) as caught:
            check_named(check)(subject)
    assert told in str(caught.value)


def test_an_import_is_measured_in_its_own_process(monkeypatch):
    monkeypatch.setenv(limit.VARIABLE, "0.1")
    with (
        Subject(domain("slow", LINE, "fresh_parts:SlowToImport")) as subject,
        pytest.raises(ContractBroken, match=r"importing the implementation takes too long \(seconds [1-9]") as caught,
    ):
        check_named("imports_are_quick")(subject)
    assert "DDMI_TIME_FACTOR=4" in caught.value.fix


def test_a_factor_raises_the_limits(monkeypatch):
    monkeypatch.setenv(limit.VARIABLE, "4")
    with Subject(domain("own", LINE, "unusual:Ready")) as subject:
        report = SimpleNamespace(heavy=(), imports={"description": 7.0, "implementation": 31.0})
        subject.made["process_report"] = report
        check_named("imports_are_quick")(subject)


def test_a_time_limit_is_no_broken_contract(monkeypatch):
    monkeypatch.setenv(limit.VARIABLE, "0.001")
    with Subject(domain("slow", LINE, "fresh_parts:SlowToImport")) as subject:
        found = examine(subject, [check_named("no_network"), check_named("nothing_is_left")])
    first, second = found.outcomes
    assert (first.state, second.state) == (SLOW, "skipped")
    assert "took longer than 0.3 s of CPU time" in first.found
    assert "DDMI_TIME_FACTOR=4" in first.found
    assert "slow no_network: a fresh process" in found.summary()
    with Subject(domain("slow", LINE, "fresh_parts:SlowToImport")) as subject, pytest.raises(TimeLimit):
        check_named("no_network")(subject)


def test_a_patch_may_cross_a_periodic_border_but_not_another():
    with Subject(UNUSUAL["a periodic axis"]) as subject:
        crossing = [seed for seed in range(40) if bool((subject.queries(seed, 8).coords.diff(dim=1) < 0).any())]
    assert crossing, "no patch crosses the border, so the check would not meet one"

    class Reversed(type(subject.parts.sampler)):
        def sample(self, signal, n, generator):
            queries = super().sample(signal, n, generator)
            return type(queries)(queries.coords.flip(1), queries.extra, queries.targets.flip(1), queries.patch)

    changed = on_grid(
        "ring",
        UNUSUAL["a periodic axis"].layout,
        (16,),
        Grids,
        sampler=property(lambda self: Reversed(self.domain.layout)),
    )
    with Subject(changed) as subject, pytest.raises(ContractBroken, match="a does not increase"):
        check_named("patches")(subject)


def test_one_error_is_reported_once():
    def encoder(self, config):
        raise ValueError("no such encoder")

    with Subject(on_grid("none", LINE, (16,), Grids, encoder=encoder)) as subject:
        found = examine(subject, IN_THIS_PROCESS)
    assert [outcome.check for outcome in found.failed] == ["encoder"]


def test_copies_keep_values_and_share_nothing():
    with Subject(UNUSUAL["one axis, an odd number of cells"]) as subject:
        before = subject.batch.values.clone()
        subject.batch.values.zero_()
        subject.fields.basis[0][0].zero_()
        assert torch.equal(subject.batch.values, before)
        assert float(subject.fields.basis[0][0].abs().max()) > 0


@pytest.mark.parametrize("frames", [6, 7, 16])
def test_patches_of_a_new_plugin_with_a_periodic_axis_pass_for_any_seed(frames, tmp_path, monkeypatch):
    folder = write_plugin(f"looped-{frames}", "xyt", tmp_path)
    module = folder / f"ddmi_looped_{frames}" / "plugin.py"
    axes = 'axes=("x", "y", "t"),'
    module.write_text(module.read_text().replace(axes, f'{axes} periodic=("t",),'))
    monkeypatch.syspath_prepend(folder)
    looped = import_module(f"ddmi_looped_{frames}.plugin").DOMAIN
    assert looped.layout.periodic == ("t",)
    crossing = 0
    with Subject(looped, settings=("domain.count=20", f"domain.frames={frames}")) as subject:
        for seed in range(50):
            queries = subject.queries(seed)
            with monkeypatch.context() as patched:
                patched.setattr(subject, "queries", lambda _, drawn=queries: drawn)
                check_named("patches")(subject)
            times = queries.coords.reshape(len(queries.coords), *queries.patch, 3)[:, :, 0, 0, 2]
            crossing += bool((times.diff(dim=1) < 0).any())
    assert crossing > 20


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["words", "text"], "the conditions `words` and `text` need captions, and the data have none"),
        (["words"], "the condition `words` needs captions, and the data have none"),
    ],
)
def test_conditions_without_captions_are_skipped_in_plain_words(names, words):
    class Named(Grids):
        def conditions(self):
            return dict.fromkeys(names, word_condition)

    with Subject(on_grid("silent", LINE, (16,), Named)) as subject:
        (outcome,) = examine(subject, [check_named("conditions")]).outcomes
    assert outcome.state == SKIPPED
    assert outcome.found == f"{words}; classes need no check"


def test_the_reason_names_the_file_that_read_refuses():
    class Choosy(Grids):
        def read(self, path):
            raise DataError(f"{path}: it is too quiet")

    with Subject(on_grid("choosy", LINE, (16,), Choosy)) as subject:
        suffix = next(iter(subject.parts.exporters()))
        (outcome,) = examine(subject, [check_named("files_read_back")]).outcomes
    assert outcome.state == SKIPPED
    assert outcome.found.startswith(f"read refuses the {suffix} file: original{suffix}: it is too quiet")


def test_a_condition_that_needs_captions_is_named_beside_those_that_were_examined():
    class Parity(Condition):
        length = 2

        def of(self, signals):
            return torch.ones(len(signals), 2)

        def parse(self, text):
            return torch.ones(2)

    class Mixed(Grids):
        def conditions(self):
            return {"words": word_condition, "parity": Parity}

    with Subject(on_grid("mixed", LINE, (16,), Mixed)) as subject:
        (outcome,) = examine(subject, [check_named("conditions")]).outcomes
    assert outcome.state == OK
    assert outcome.found.startswith("not examined: the condition `words` needs captions")


@pytest.mark.parametrize(
    ("token_length", "counts", "request_scale", "message"),
    [
        (3, (1, 4), 1.0, ""),
        (2, (1, 4), 1.0, "gives signals sequences of wrong lengths"),
        (3, (1,), 1.0, "gives signals sequences of wrong lengths"),
        (3, (1, 4), 1e6, "gives its own example 'x' tokens that are not finite in half precision"),
    ],
)
def test_sequences_of_a_condition_are_checked(token_length, counts, request_scale, message):
    """Signals have sequences of 1 and 4 tokens in turn; a wrong condition declares another length, or forgets some."""

    class Worded(Condition):
        length = 0

        def of(self, signals):
            sequences = [torch.ones(count, 3) for count in counts]
            rows = torch.arange(len(signals) if len(counts) > 1 else 1)[:, None] % 2
            return TokenSequences.listed(sequences, rows)

        def parse(self, text):
            return TokenSequences.listed([request_scale * torch.ones(2, 3)])

        def examples(self):
            return ("x",)

    Worded.token_length = token_length

    class Told(Grids):
        def conditions(self):
            return {"worded": Worded}

    with Subject(on_grid("told-in-words", LINE, (16,), Told)) as subject:
        (outcome,) = examine(subject, [check_named("conditions")]).outcomes
    assert outcome.state == (FAILED if message else OK)
    assert message in outcome.found


class Spoken(Grids):
    """Waves with captions of different lengths."""

    def sources(self):
        def spoken(location, settings):
            split = Grids.sources(self)["waves"](location, settings)
            for part in (split.train, split.held_out):
                part.captions = [("a wave " + "up and down " * (number % 3),) for number in part.numbers]
            return split

        return {"spoken": spoken}


CONDITIONED = [check_named(name) for name in ("conditions", "denoiser_learns", "samples_render")]


@pytest.mark.parametrize("condition", ["none", "words", "word-tokens"])
def test_a_plugin_is_examined_with_the_condition_of_the_settings(condition):
    settings = [f"diffusion.condition={condition}"]
    with Subject(on_grid("spoken", LINE, (16,), Spoken), settings=settings) as subject:
        found = examine(subject, CONDITIONED)
        model = subject.made["model"]
    assert [outcome.state for outcome in found.outcomes] == [OK] * 3, found.summary()
    assert model.diffusion.conditioned == (condition != "none")


def test_texts_that_a_preset_asks_for_give_way_to_classes_on_data_without_captions():
    class Preset(Grids):
        @classmethod
        def presets(cls):
            return {"quick": f"{QUICK}\ncondition = 'words'\n"}

    with Subject(on_grid("silent", LINE, (16,), Preset)) as subject:
        found = examine(subject, CONDITIONED[1:])
    assert [outcome.state for outcome in found.outcomes] == [OK] * 2, found.summary()


def test_a_condition_that_the_data_or_the_machine_cannot_serve_is_no_fault_of_the_plugin():
    def unpackaged():
        raise RequestError("it requires a package. Fix: install it")

    class Lacking(Spoken):
        def conditions(self):
            return {"words": word_condition, "packaged": unpackaged}

    for base, condition, words in (
        (Grids, "words", "the data have none; diffusion.condition is 'words'. Fix: add captions"),
        (Lacking, "packaged", "it requires a package. Fix: install it"),
    ):
        with Subject(on_grid("lacking", LINE, (16,), base), settings=[f"diffusion.condition={condition}"]) as subject:
            found = examine(subject, CONDITIONED[1:])
        assert [outcome.state for outcome in found.outcomes] == [SKIPPED] * 2, found.summary()
        assert all(words in outcome.found for outcome in found.outcomes)
