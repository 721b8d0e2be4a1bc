"""Code that pages show in full, so that it can be read in the Markdown files: it runs, and does what the page says."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image
from test_docs import DOCS, ROOT

from ddmi_core.api import Domain, Figure, Layout, Split, Trained, per_row
from ddmi_core.parts import Evaluation, GridSet, MultiScaleTerm, PerceptualConfig, cell_centres
from ddmi_core.registry.registry import register, unregister
from ddmi_core.testing import Subject, check_named, examine


def code(page: str, name: str, **known: object) -> dict[str, object]:
    """The names that a tested block of a page defines."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- tested: {name} -->\n```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {"__name__": f"page_{name.replace('-', '_')}", **known}
    exec(compile(f"from __future__ import annotations\n{block}", f"{page}:{name}", "exec"), names)
    return names


def states(domain: Domain, *checks: str) -> dict[str, str]:
    """States of checks of the contract, except `ok`."""
    with Subject(domain) as subject:
        outcomes = examine(subject, [check_named(name) for name in checks]).outcomes
    return {outcome.check: f"{outcome.state}: {outcome.found}" for outcome in outcomes if outcome.state != "ok"}


@pytest.fixture(scope="module")
def flows() -> dict[str, object]:
    return code("how-to/own-loss.md", "own-loss")


@pytest.fixture(scope="module")
def tides() -> Domain:
    found = code("reference/fields.md", "periodic")["TIDES"]
    assert isinstance(found, Domain)
    return found


def vectors(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A rotation and an expansion, `(1, 2, rows, columns)`."""
    y, x = cell_centres(rows)[:, None].expand(rows, columns), cell_centres(columns).expand(rows, columns)
    return torch.stack([-y, x])[None], torch.stack([x, y])[None]


def test_the_term_sees_divergence_alone(flows):
    options = PerceptualConfig()
    term, plain = flows["DivergenceTerm"](options, (12, 20), share=0.1), MultiScaleTerm(options)
    rotation, expansion = vectors(12, 20)
    for field, divergence in ((rotation, 0.0), (expansion, 2.0)):
        nothing = torch.zeros_like(field)
        more = term(field, nothing) - plain(field, nothing)
        assert float(more) == pytest.approx(0.1 * divergence, abs=1e-5)
    row = rotation[:, :, :1]
    assert float(term(row, 0 * row)) == float(plain(row, 0 * row))


def test_the_loss_does_not_depend_on_the_direction_of_the_axes(flows):
    parts = flows["FlowParts"]
    draw = torch.Generator().manual_seed(0)
    error, angle = torch.randn(2, 5, 2, generator=draw), 0.7
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).float()
    nothing = torch.zeros_like(error)
    torch.testing.assert_close(parts.loss(None, error @ turn, nothing), parts.loss(None, error, nothing))


def test_the_flows_keep_the_contract_of_losses(flows):
    class Whole(flows["FlowParts"]):
        def sources(self):
            def swirls(location: None, settings) -> Split:
                rotation, expansion = vectors(*settings.native)
                shares = torch.linspace(0, 1, 20)[:, None, None, None]
                values = (0.9 * (shares * rotation + (1 - shares) * expansion)).numpy()
                return GridSet([values], [str(number) for number in range(20)]).split(0.2)

            return {"swirls": swirls}

        def picture(self, artefact):
            return Image.new("L", (8, 8))

    domain = Domain(
        api_version=1,
        name="flows",
        summary="Flows",
        layout=Layout(axes=("x", "y"), planes=(("x", "y"),)),
        values=("u", "v"),
        implementation=Whole,
    )
    assert (
        states(domain, "loss", "loss_is_least_at_the_target", "likelihood", "perceptual", "gradients_reach_weights")
        == {}
    )


def test_the_periodic_domain_keeps_the_contract(tides):
    checks = ("data_load", "values", "encoder", "queries", "targets", "observe", "native_size", "pictures", "describe")
    assert states(tides, *checks) == {}


def test_fields_of_the_periodic_domain_have_no_seam(tides):
    with Subject(tides) as subject:
        field = subject.fields
        place = torch.tensor([[[1.2, 0.3]]]).expand(len(field), -1, -1)
        again = place - torch.tensor([2.0, 0.0])
        torch.testing.assert_close(field(place), field(again), atol=1e-5, rtol=1e-5)


def test_a_mirrored_vector_field_changes_the_sign_of_one_component():
    mirrored = code("reference/domain.md", "mirrored", torch=torch, per_row=per_row)["mirrored"]
    rotation, expansion = vectors(8, 8)
    level = torch.cat([rotation, expansion]).repeat(20, 1, 1, 1)
    (found,) = mirrored((level.clone(),), torch.arange(40), torch.Generator().manual_seed(0))
    turned = (found[::2] != level[::2]).flatten(1).any(dim=1)  # mirrored rotations turn the other way
    assert 0 < turned.sum() < 20
    torch.testing.assert_close(found[::2][turned], -level[::2][turned])
    torch.testing.assert_close(found[1::2], level[1::2])  # mirrored expansions stay as they are


def test_times_of_steps_are_a_row_of_the_table(monkeypatch, capsys):
    for folder in (ROOT / "examples", ROOT / "benchmarks"):
        monkeypatch.syspath_prepend(folder)
    register(importlib.import_module("own_parts").WAVES)
    try:
        importlib.import_module("step_times").main("waves", "autoencoder.training.batch=2")
    finally:
        unregister("waves")
    (row,) = capsys.readouterr().out.splitlines()
    name, cells, latent, first, second, steps, _ = (cell.strip() for cell in row.strip("|").split("|"))
    assert (name, cells, steps) == ("`waves autoencoder.training.batch=2`", "64", "300 and 20")
    assert int(latent) > 0
    assert float(first) > 0
    assert float(second) > 0


def test_the_evaluation_measures_its_figure(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    program = importlib.import_module("own_parts")
    known = {"Waves": program.Waves, "Evaluation": Evaluation, "Figure": Figure, "Trained": Trained}
    names = code("how-to/own-metric.md", "evaluations", **known)
    domain = evolve(program.WAVES, name="contrasted-waves", implementation=names["ContrastedWaves"])
    assert states(domain, "evaluations") == {}
