"""A finished run of each formula domain, and pages of their models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pages import Page, served
from viewed import DOMAINS, finished

import ddmi_core
from ddmi_core.model.model import Model
from ddmi_core.viewer.session import Session


@pytest.fixture(scope="package")
def runs(tmp_path_factory):
    """Folders of finished runs by domain."""
    with finished(tmp_path_factory.mktemp("viewed")) as folders:
        yield folders


@pytest.fixture(scope="package")
def models(runs) -> dict[str, Model]:
    return {name: ddmi_core.load(place, device="cpu") for name, place in runs.items()}


@pytest.fixture(params=DOMAINS)
def model(request, models) -> Model:
    return models[request.param]


@pytest.fixture
def session(model) -> Session:
    return Session(model, "tiny")


@pytest.fixture
def page(session) -> Iterator[Page]:
    yield from served(session)
