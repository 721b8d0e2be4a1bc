"""The weights that ship with the image plugin: what their model card promises."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.run_folder import pretrained
from ddmi_core.parts import psnr_db

PLUGIN = "image"


@pytest.fixture(scope="module")
def held_out(split):
    return split.held_out.batch(range(0, len(split.held_out), 4))


@pytest.fixture(scope="module")
def fields(model, held_out):
    return model.reconstruct(held_out)


def db(drawn, truth):
    return 10 * torch.log10(4 / (drawn - truth).square().flatten(1).mean(dim=1))


def drawn(model, fields, size):
    return torch.stack([torch.from_numpy(model.render(field, size).array()) for field in fields]).movedim(-1, 1)


def test_held_out_drawings_are_reconstructed(model, held_out, fields):
    assert psnr_db(fields, held_out, model.renderer).mean() >= 24


def test_large_drawing_is_closer_to_the_font_than_enlargement(model, held_out, fields):
    truth = held_out.levels()[-1].float() / 127.5 - 1
    native = held_out.values.shape[-1]
    assert truth.shape[-1] == 4 * native
    enlarged = F.interpolate(drawn(model, fields, native), scale_factor=4, mode="bicubic").clamp(-1, 1)
    large = drawn(model, fields, 4 * native)
    assert db(large, truth).mean() > db(enlarged, truth).mean() + 1
    assert (db(large, truth) > db(enlarged, truth)).float().mean() > 0.9


def test_samples_are_the_same_bits_for_a_seed_and_differ_between_seeds(model):
    first, again, other = (model.sample(2, seed=seed, steps=4).basis[0][0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_weights_are_small_and_their_figures_keep_the_promises(model):
    folder = pretrained(model.domain).path
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 10e6
    result = Evaluation.load(folder / "metrics.json")
    rows = {(row.sampler, row.steps): row.distance for row in result.samplers}
    own = model.config.sampling
    assert rows[own.sampler, own.steps] <= 1.1 * rows["ddim", 200]
    assert result.value("reconstruction_psnr_db") >= 24
