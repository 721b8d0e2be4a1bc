"""Checks look at domains of rays and pictures, too, and see what breaks there."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pytest
import torch

from ddmi_core.registry.registry import domain_named
from ddmi_core.testing import ContractBroken, Subject, check_named
from ddmi_core.testing.subject import TINY
from ddmi_nerf import parts
from ddmi_nerf.cameras import orbit
from ddmi_nerf.rendering import export, mesh, renderer
from variants import returning, variant

LEAST = ("domain.count=8", "domain.size=8", "domain.views=2", "domain.held_views=0", "domain.shown=2")


class Stuck(parts.RaySampler):
    """Draws the same few rays, again and again."""

    def sample(self, signal, n, generator):
        return super().sample(signal, 4, torch.Generator().manual_seed(0))


def one_size(self, text):
    orbit.parse_view(text, self.settings)
    return orbit.parse_view("8", self.settings)


def the_first(self, signal, index):
    return renderer.ground_truth(signal, 0, self.renderer)


def write_nothing(artefact, path: Path) -> None:
    path.write_bytes(export.glb_of(mesh.ColouredMesh(*[torch.zeros(0, 3).numpy()] * 4)))


def write_notes(artefact, path: Path) -> None:
    export.write_png(artefact, path)
    export.cameras_path(path).with_suffix(".txt").write_text("a picture")


BROKEN = {
    "sampler_covers": ({"sampler": cached_property(lambda self: Stuck())}, "many draws have few different coordinates"),
    "render_sizes": ({"parse_view": one_size}, "another size than requested"),
    "original": ({"ground_truth": the_first}, "equal to the first 3"),
    "exporters": ({"exporters": returning({".glb": write_nothing})}, "it holds no vertices"),
}


def examined(changes) -> Subject:
    """The variant with these members."""
    presets = classmethod(lambda cls: parts.NerfParts.presets())
    return Subject(variant(domain_named("nerf"), presets=presets, **changes), settings=LEAST)


@pytest.fixture(scope="module")
def subject():
    with Subject("nerf", settings=LEAST) as subject:
        yield subject


def test_a_domain_may_say_what_is_tiny(subject):
    assert subject.preset == TINY
    assert subject.config.preset == TINY
    assert subject.config.domain.count == 8


@pytest.mark.parametrize("name", [*BROKEN, "observe"])
def test_a_sound_domain_of_pictures_passes(name, subject):
    check_named(name)(subject)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_seen(name):
    changes, told = BROKEN[name]
    with examined(changes) as subject, pytest.raises(ContractBroken, match=told):
        check_named(name)(subject)


def test_files_beside_are_those_of_other_exporters(subject):
    changes = {"exporters": returning({".png": write_notes})}
    with examined(changes) as subject, pytest.raises(ContractBroken, match=r"render\.txt"):
        check_named("exporters")(subject)
