"""What all tests share: few threads, and the formula domains."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("seeded", derandomize=True, deadline=None)
settings.load_profile("seeded")


@pytest.fixture(params=["wave", "block"])
def formula_domain(request: pytest.FixtureRequest):
    """The domain with one axis, and the one with three."""
    import formula_domains

    return {"wave": formula_domains.WAVE, "block": formula_domains.BLOCK}[request.param]


@pytest.fixture
def formula_config(formula_domain):
    """Its tiny configuration."""
    from ddmi_core.runs.settings import resolve

    return resolve(formula_domain)
