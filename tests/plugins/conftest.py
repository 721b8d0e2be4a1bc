"""The shipped weights of the plugin that a test module names as PLUGIN."""

from __future__ import annotations

import pytest

import ddmi_core
from ddmi_core.api import Split
from ddmi_core.model.data import load_data


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> ddmi_core.Model:
    """The model of the shipped weights."""
    return ddmi_core.load(plugin=request.module.PLUGIN)


@pytest.fixture(scope="module")
def split(model: ddmi_core.Model) -> Split:
    """The data that the weights were trained on."""
    return load_data(model.parts, model.config.data)
