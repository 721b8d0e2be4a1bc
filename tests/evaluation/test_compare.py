"""Comparison of runs by their stored figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddmi_core.api import Figure
from ddmi_core.errors import CheckpointError, RequestError
from ddmi_core.evaluation import compare
from ddmi_core.evaluation.compare import compare_runs
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.run_results import PAPER_FIGURES

PROTOCOL = {
    "data": "abc",
    "n": 64,
    "reference": "all 64 held-out signals",
    "sampler": "ddim",
    "steps": 50,
    "network": {"name": "net", "sha256": "12", "file": "net.pt", "versions": {"torch": "2.1"}},
    "versions": {"torch": "2.1"},
}


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Stores figures as those of a run without weights, and returns its folder."""

    def own(folder, name):
        return Evaluation.load(folder.paper_metrics if name == PAPER_FIGURES else folder.metrics)

    monkeypatch.setattr(compare, "own_figures", own)

    def store(name, value=0.5, interval=(0.4, 0.6), file="metrics.json", figure="kid_net", **changes):
        kid = Figure(figure, value, {**PROTOCOL, **changes}, "lower is better", interval)
        (tmp_path / name).mkdir(exist_ok=True)
        Evaluation((kid,)).save(tmp_path / name / file)
        return tmp_path / name

    return store


def test_figures_of_one_protocol_are_side_by_side_with_intervals(stored, monkeypatch, tmp_path):
    stored("a")
    stored("b", 0.25, None)
    monkeypatch.chdir(tmp_path)
    assert compare_runs([Path("a"), Path("b")]).lines() == [
        "         a                 b",
        "kid_net  0.5 [0.4 to 0.6]  0.25",
        "",
        "kid_net  lower is better",
    ]


def test_versions_and_names_of_files_may_differ(stored):
    network = {**PROTOCOL["network"], "file": "other.pt", "versions": {"torch": "2.9"}}
    found = compare_runs([stored("a"), stored("b", versions={"torch": "2.9"}, network=network)])
    assert found.differing == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 128}, "n is 64 in .*a, 128 in .*b"),
        ({"reference": "all 9 training signals"}, "reference is all 64 held-out signals in"),
        ({"network": {"name": "net", "sha256": "13"}}, "network is name net, sha256 12"),
        (
            {"steps": 10, "sampler": "euler"},
            "sampler is ddim .* euler .*; steps is 50 .* 10 .*--across sampler --across",
        ),
        ({"drawn": "size 32"}, "drawn is absent in .*a, size 32 in .*b"),
    ],
)
def test_figures_of_different_protocols_are_refused_with_the_entries(stored, changes, words):
    with pytest.raises(RequestError, match=f"different protocols cannot be compared: .*{words}"):
        compare_runs([stored("a"), stored("b", **changes)])


def test_entries_that_may_differ_are_rows_of_the_table(stored):
    found = compare_runs([stored("a"), stored("b", steps=10), stored("c")], across=["steps"])
    assert found.differing == {"steps": (50, 10, 50)}
    assert [line.split() for line in found.lines() if line.startswith("steps")] == [["steps", "50", "10", "50"]]
    printed = json.loads(found.to_json())
    assert printed["differing"] == {"steps": [50, 10, 50]}
    assert [run["figures"][0]["interval"] for run in printed["runs"]] == [[0.4, 0.6]] * 3


def test_a_figure_that_one_run_lacks_is_a_gap(stored):
    a, b = stored("a"), stored("b")
    more = Figure("recall_net", 0.75, PROTOCOL, "higher is better")
    Evaluation((*Evaluation.load(b / "metrics.json").figures, more)).save(b / "metrics.json")
    rows = [line.split() for line in compare_runs([a, b]).lines()]
    assert ["recall_net", "-", "0.75"] in rows


def test_figures_of_the_paper_are_compared_apart(stored):
    runs = [stored("a", 1.0, file="metrics-paper.json"), stored("b", 2.0, file="metrics-paper.json")]
    assert [figures["kid_net"].value for figures in compare_runs(runs, paper=True).figures] == [1.0, 2.0]
    with pytest.raises(CheckpointError, match="write it with ddmi evaluate"):
        compare_runs(runs)


def test_runs_without_a_common_figure_are_refused(stored):
    with pytest.raises(RequestError, match="no figure in common"):
        compare_runs([stored("a"), stored("b", figure="fid_net")])
