"""A description: a wrong one is refused at once, and an implementation that cannot be used is named."""

from __future__ import annotations

import pytest

from bare_domain import bare_domain as domain
from ddmi_core.errors import PluginError
from ddmi_core.parts import GridDomain
from ddmi_core.parts.domain_parts import implementation
from formula_domains import WAVE, WaveSettings
from variants import variant


@pytest.mark.parametrize("wrong", ["nowhere", "no where:Part", 7, "nowhere:", "a:b/c"])
def test_an_implementation_in_another_form_is_refused(wrong):
    with pytest.raises(ValueError, match=f"implementation={wrong!r} is neither a class nor a reference"):
        domain(implementation=wrong)


@pytest.mark.parametrize("reference", ["nowhere:Parts", "ddmi_core.parts:Nothing"])
def test_what_cannot_be_imported_is_named(reference):
    with pytest.raises(PluginError, match=f"'tiny': its implementation '{reference}' cannot be imported"):
        domain(implementation=reference).load()


def test_what_is_not_a_class_of_parts_is_refused():
    with pytest.raises(PluginError, match="is a function"):
        domain(implementation="ddmi_core.parts:psnr_db").load()
    with pytest.raises(PluginError, match=r"not derived from ddmi_core\.parts\.DomainParts"):
        implementation(domain(implementation=dict))


def test_missing_methods_and_settings_are_named():
    class Unfinished(GridDomain[WaveSettings]):
        """Neither sources nor a picture."""

    with pytest.raises(PluginError, match="does not define picture, sources"):
        implementation(domain(implementation=Unfinished))
    with pytest.raises(PluginError, match="names no attrs class of settings"):
        implementation(variant(WAVE, settings_type=dict))


def test_a_sampler_that_is_a_method_is_refused_where_it_is_defined():
    with pytest.raises(TypeError, match=r"Called\.sampler is a method\. Fix: decorate it with functools"):

        class Called(GridDomain[WaveSettings]):
            def sampler(self):
                return None
