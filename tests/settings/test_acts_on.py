"""What settings declare to act on; that they do, `tests/domains/test_settings_act.py` tries out."""

from __future__ import annotations

import attrs
import pytest
from attrs import field, frozen

from ddmi_core.api import acts_on
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import keys, resolve
from ddmi_core.steps import AUTOENCODER, DENOISER, LATENTS, STEPS, declared, since

UNKNOWN = ("unknown",)


@frozen
class Inner:
    width: int = 8
    log: int = field(default=20, metadata=acts_on())


@frozen
class Settings:
    size: int = 48
    compared: int = field(default=4, metadata=acts_on("figures"))
    inner: Inner = field(default=Inner(), metadata=acts_on("samples", "report"))


def test_a_setting_acts_on_what_it_or_the_nearest_table_declares():
    assert {row.key: row.acts_on for row in keys(Settings())} == {
        "size": STEPS,
        "compared": ("figures",),
        "inner.width": ("samples", "report"),
        "inner.log": (),
    }


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match=r"no step 'sample'.*autoencoder, latents"):
        acts_on("sample")


def test_every_table_of_a_run_declares_what_it_acts_on():
    assert [row.name for row in attrs.fields(RunConfig) if declared(row.metadata, UNKNOWN) == UNKNOWN] == []


@pytest.mark.parametrize("name", ["image", "nerf", "occupancy", "video"])
def test_what_acts_on_a_stage_acts_on_all_that_is_made_from_it(name):
    for row in keys(resolve(domain_named(name))):
        stages = [step for step in row.acts_on if step in (AUTOENCODER, LATENTS, DENOISER)]
        assert not stages or row.acts_on == since(stages[0]), row.key
        assert row.key.split(".")[-1] not in ("workers", "log", "checkpoint") or row.acts_on == (), row.key
