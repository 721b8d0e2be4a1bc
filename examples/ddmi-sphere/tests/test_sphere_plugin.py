"""The contract of both domains, the formulas, and fields without a seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ddmi_sphere.formula import places, temperature
from ddmi_sphere.parts import SphereSettings, coloured
from ddmi_sphere.plugin import PERIODIC, SPHERE, ddmi_domains

from ddmi_core.parts import StoredGrid
from ddmi_core.testing import Subject, checks

SETTINGS = ("domain.count=40", "domain.rows=16")


@pytest.fixture(scope="module", params=[SPHERE, PERIODIC], ids=lambda domain: domain.name)
def subject(request):
    with Subject(request.param, settings=SETTINGS) as subject:
        yield subject


@pytest.mark.parametrize("check", checks())
def test_contract(check, subject):
    check(subject)


def test_the_hook_gives_both_domains():
    assert ddmi_domains() == [SPHERE, PERIODIC]


def test_places_are_on_the_unit_sphere_with_the_north_in_the_last_row():
    found = places((8, 16))
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)
    assert found[-1, :, 2].min() > 0.9


@pytest.mark.parametrize("number", range(6))
def test_a_field_is_one_function_at_any_size_and_has_no_seam(number):
    fine, coarse = temperature(number, (96, 192)), temperature(number, (32, 64))
    np.testing.assert_allclose(fine[1::3, 1::3], coarse)
    assert np.abs(coarse).max() < 1
    change = np.abs(fine - np.roll(fine, 1, axis=1))
    assert change[:, 0].max() < 1.5 * np.abs(np.diff(fine, axis=1)).max()
    assert np.ptp(fine[-1]) < 0.3  # around the pole


def test_fields_have_no_seam_before_any_training(subject):
    """Values on both sides of the date line agree, at any distance from it."""
    lat = torch.linspace(-1, 1, 41)
    for gap, most in ((1e-4, 1e-2), (1e-6, 1e-4)):
        west, east = (torch.stack([torch.full_like(lat, x), lat], dim=1) for x in (gap - 1, 1 - gap))
        with torch.no_grad():
            values = subject.fields[0](torch.cat([west, east])[None])[0, :, 0]
        assert (values[:41] - values[41:]).abs().max() < most


def test_a_map_has_the_north_at_the_top_and_its_cells_as_pixels():
    values = np.linspace(-1, 1, 6, dtype=np.float32)[:, None, None].repeat(9, axis=1)
    drawn = np.asarray(coloured(StoredGrid(values=values, size=(6, 9), extent=(180.0, 360.0))))
    assert drawn.shape == (6, 9, 3)
    assert tuple(drawn[0, 0]) == (165, 28, 38)
    assert tuple(drawn[-1, 0]) == (33, 62, 138)


def test_settings_give_size_and_degrees():
    assert (SphereSettings(rows=8).native, SphereSettings().extent) == ((8, 16), (180.0, 360.0))
