"""Presets `paper`: the authors' diffusion, `configs/ldm/*.yaml` and `diffusion/ddpm.py` of their code."""

from __future__ import annotations

import pytest

from ddmi_core.diffusion.config import PathConfig
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve


@pytest.mark.parametrize("name", ["image", "video", "occupancy", "nerf"])
def test_paper_presets_have_the_authors_path_and_target(name):
    diffusion = resolve(domain_named(name), "paper").diffusion
    assert diffusion.path == PathConfig("variance_preserving", "scaled_linear", 1000, 0.0015, 0.0195)
    assert diffusion.target == "noise"
    assert diffusion.mixed
    assert (diffusion.latents, diffusion.copies) == ("fresh", 1)
