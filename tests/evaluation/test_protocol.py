"""The sets of an evaluation, by default and by the protocol of a paper."""

from __future__ import annotations

import pytest

import formula_domains
from ddmi_core.api import PaperProtocol
from ddmi_core.errors import RequestError
from ddmi_core.evaluation.protocol import default_plan, paper_plan
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from variants import returning, variant

WAVE = formula_domains.WAVE
PARTS = build_parts(WAVE, formula_domains.WaveSettings(count=60))  # 50 training signals, 10 held out
SPLIT = load_data(PARTS, "")


def declared(**changes):
    """The domain with a protocol of a paper."""
    given = {"source": "arXiv 1", "samples": 1000, "reference": "training", "network": "inception", **changes}
    domain = variant(WAVE, paper_protocol=returning(PaperProtocol(**given)))
    return build_parts(domain, formula_domains.WaveSettings(count=60))


def test_by_default_both_sides_have_as_many_signals():
    plan = default_plan(7, SPLIT)
    assert (plan.samples, len(plan.held_out), len(plan.real)) == (7, 7, 7)
    assert plan.record(SPLIT) == {"reference": "7 held-out signals at random"}
    assert default_plan(7, SPLIT) == plan
    assert len({*plan.held_out}) == 7
    assert default_plan(128, SPLIT).samples == 10
    assert default_plan(128, SPLIT).record(SPLIT)["reference"] == "all 10 held-out signals"


def test_a_paper_may_compare_any_number_of_samples_with_all_training_signals():
    plan = paper_plan(declared(), SPLIT, ["plain", "inception"])
    assert (plan.samples, plan.against, len(plan.held_out)) == (1000, "training", 10)
    assert plan.record(SPLIT) == {"reference": "all 50 training signals"}
    assert plan.notes == ("protocol: arXiv 1",)
    assert paper_plan(declared(samples=0), SPLIT, ["inception"]).samples == 50


def test_what_is_not_followed_is_said():
    plan = paper_plan(declared(reference="held out", differences=("theirs is rounded",)), SPLIT, ["plain"])
    assert (plan.samples, plan.count, len(plan.held_out)) == (10, 10, 10)
    assert plan.notes == (
        "protocol: arXiv 1",
        "theirs is rounded",
        "no feature network 'inception' is given, so figures on its features are missing; give it by --network "
        "inception:PATH",
        "the protocol takes 1000 held-out signals and samples; the data hold out 10",
    )


def test_a_domain_without_a_paper_is_refused():
    with pytest.raises(RequestError, match=r"'wave' declares no protocol of a paper.*Waves.paper_protocol"):
        paper_plan(PARTS, SPLIT, ["plain"])
