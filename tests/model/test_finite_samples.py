"""Samples are made in parts, and what is not finite is told in a sentence and never written."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve

from ddmi_core.diffusion.paths import RectifiedFlow
from ddmi_core.diffusion.samplers import dpmpp_2m, euler
from ddmi_core.errors import NotFiniteError, RequestError
from ddmi_core.fields.planes import Planes
from ddmi_core.model import model as module
from ddmi_core.runs import generate
from ddmi_core.settings.config import Export, Sampling


@pytest.mark.parametrize("scale", [float("inf"), float("nan"), -1.0, 1e30, 100.1])
def test_a_guidance_without_finite_result_is_refused(scale, model):
    with pytest.raises(RequestError, match="must be from 0"):
        model.sample(1, guidance=scale)
    with pytest.raises(RequestError, match="must be from 0"):
        model.complete(None, guidance=scale)


@pytest.mark.parametrize("sampler", [euler, dpmpp_2m])
def test_sampling_stops_at_the_first_step_that_is_not_finite(sampler):
    steps, path = [], RectifiedFlow()

    def denoise(x, t):
        steps.append(float(t[0]))
        return x * (float("inf") if len(steps) == 3 else 0.5)

    with pytest.raises(NotFiniteError, match="after step 3 of 8"):
        sampler(denoise, path, torch.ones(2, 4), path.times(8))
    assert len(steps) == 3


def test_samples_before_the_one_that_is_not_finite_are_whole_and_it_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BATCH", 2)
    latents_of = module.Model.latents_of

    def spoilt(self, numbers, *given):
        return latents_of(self, numbers, *given) * (float("nan") if 2 in numbers else 1)

    monkeypatch.setattr(module.Model, "latents_of", spoilt)
    with pytest.raises(NotFiniteError, match="not finite"):
        generate.sample_files(model, 4, Sampling(steps=2), Export(out=tmp_path))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["sample-0000", "sample-0001"]


def test_values_that_leave_the_range_in_the_readout_are_not_written(model, tmp_path):
    field = model.sample(1, steps=1)[0]
    huge = evolve(field, basis=tuple(Planes(plane * 0 + 3e38 for plane in planes) for planes in field.basis))
    with pytest.raises(NotFiniteError):
        model.write(model.render(huge), tmp_path / f"a{model.suffix}")
    assert list(tmp_path.iterdir()) == []


def test_no_sample_is_made_before_those_of_earlier_parts_are_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BATCH", 2)
    latents_of, written = module.Model.latents_of, []

    def noted(self, numbers, *given):
        written.append(len(list(tmp_path.glob("sample-*"))))
        return latents_of(self, numbers, *given)

    monkeypatch.setattr(module.Model, "latents_of", noted)
    generate.sample_files(model, 5, Sampling(steps=1), Export(out=tmp_path))
    assert written == [0, 2, 4]
