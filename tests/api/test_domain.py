"""A description: what it lacks or contradicts is told at once, and deprecated parts are warned about."""

from __future__ import annotations

import pytest

from bare_domain import PART
from bare_domain import bare_domain as domain
from ddmi_core.errors import PluginError


def test_a_description_on_grids_needs_no_parts_of_its_own():
    subject = domain()
    ready = (
        "encoder",
        "decoder",
        "sampler",
        "renderer",
        "loss",
        "field_features",
        "signal_features",
        "report_views",
        "ground_truth",
        "panel",
    )
    for part in ready:
        reference = getattr(subject, part)
        assert reference.startswith("ddmi_core.parts:")
        assert callable(subject.resolve(reference))


def test_a_default_source_that_is_not_among_the_sources_is_refused():
    with pytest.raises(ValueError, match="default_source='birds' is not among the sources: folder, fish"):
        domain(sources={"folder": PART, "fish": PART}, default_source="birds")
    with pytest.raises(ValueError, match="default_source='folder' is not among the sources: none"):
        domain(sources={})


def test_a_description_without_the_quick_preset_is_refused():
    with pytest.raises(ValueError, match="presets has no 'quick'"):
        domain(presets={"base": "nowhere:base.toml"})


@pytest.mark.parametrize(
    "field", ["encoder", "report_views", "ground_truth", "picture", "panel", "settings", "contact_sheet"]
)
@pytest.mark.parametrize("wrong", ["nowhere", "no where:part", 7, "nowhere:"])
def test_a_reference_in_another_form_is_refused_by_name(field, wrong):
    with pytest.raises(ValueError, match=f"{field}={wrong!r} is not a reference"):
        domain(**{field: wrong})


@pytest.mark.parametrize("field", ["presets", "sources", "metrics", "exporters", "perceptual", "conditions"])
def test_a_reference_in_a_table_is_checked_too(field):
    with pytest.raises(ValueError, match=f"{field}='nowhere' is not a reference"):
        domain(**{field: {"quick": PART, "folder": "nowhere"}})


@pytest.mark.parametrize("name", ["none", "class"])
def test_a_condition_with_a_name_of_the_core_is_refused(name):
    with pytest.raises(ValueError, match=f"conditions names '{name}'"):
        domain(conditions={name: PART})


@pytest.mark.parametrize("reference", ["nowhere:part", "ddmi_core.parts:nothing"])
def test_what_cannot_be_imported_is_told_with_the_reference(reference):
    with pytest.raises(PluginError, match=f"'tiny' refers to '{reference}'"):
        domain().resolve(reference)
