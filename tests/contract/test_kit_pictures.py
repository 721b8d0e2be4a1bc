"""Checks look at domains of rays and pictures, too, and see what breaks there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attrs import evolve

from ddmi_core.registry.registry import domain_named
from ddmi_core.testing import ContractBroken, Subject, check_named
from ddmi_core.testing.subject import TINY
from ddmi_nerf import parts
from ddmi_nerf.cameras import orbit
from ddmi_nerf.rendering import export, mesh, renderer

LEAST = ("domain.count=8", "domain.size=8", "domain.views=2", "domain.held_views=0", "domain.shown=2")


class Stuck(parts.RaySampler):
    """Draws the same few rays, again and again."""

    def sample(self, signal, n, generator):
        return super().sample(signal, 4, torch.Generator().manual_seed(0))


def stuck(domain, settings):
    return Stuck()


def one_size(text, settings):
    orbit.parse_view(text, settings)
    return orbit.parse_view("8", settings)


def the_first(signal, index, drawing):
    return renderer.ground_truth(signal, 0, drawing)


def write_nothing(artefact, path: Path) -> None:
    path.write_bytes(export.glb_of(mesh.ColouredMesh(*[torch.zeros(0, 3).numpy()] * 4)))


def write_notes(artefact, path: Path) -> None:
    export.write_png(artefact, path)
    export.cameras_path(path).with_suffix(".txt").write_text("a picture")


BROKEN = {
    "sampler_covers": ({"sampler": "test_kit_pictures:stuck"}, "many draws have few different coordinates"),
    "render_sizes": ({"parse_view": "test_kit_pictures:one_size"}, "another size than requested"),
    "original": ({"ground_truth": "test_kit_pictures:the_first"}, "equal to the first 3"),
    "exporters": ({"exporters": {".glb": "test_kit_pictures:write_nothing"}}, "it holds no vertices"),
}


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
    with (
        Subject(evolve(domain_named("nerf"), **changes), settings=LEAST) as subject,
        pytest.raises(ContractBroken, match=told),
    ):
        check_named(name)(subject)


def test_files_beside_are_those_of_other_exporters(subject):
    changes = {"exporters": {".png": "test_kit_pictures:write_notes"}}
    with (
        Subject(evolve(domain_named("nerf"), **changes), settings=LEAST) as subject,
        pytest.raises(ContractBroken, match=r"render\.txt"),
    ):
        check_named("exporters")(subject)
