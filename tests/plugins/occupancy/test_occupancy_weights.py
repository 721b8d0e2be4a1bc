"""The weights that ship with the occupancy plugin: what their model card promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

import ddmi_core
from ddmi_core.errors import RequestError
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.run_folder import pretrained
from ddmi_core.parts import extract_surface
from ddmi_core.runs.generate import reconstruct_files
from ddmi_core.settings.config import Export
from ddmi_occupancy.data.furniture.attributes import measure
from ddmi_occupancy.data.furniture.building import build
from ddmi_occupancy.data.furniture.parameters import furniture
from ddmi_occupancy.data.furniture.prompt_adherence import adherence
from ddmi_occupancy.data.furniture.solids import distance
from ddmi_occupancy.evaluation.metrics import iou
from ddmi_occupancy.evaluation.prompt_adherence import occupied

PLUGIN = "occupancy"


@pytest.mark.slow
def test_held_out_shapes_are_reconstructed(model, split):
    signal = split.held_out.batch(range(0, len(split.held_out), 8))
    fields = model.reconstruct(signal)
    assert iou(fields, signal, model.renderer).mean() >= 0.9


def test_samples_have_what_their_text_says(model):
    """Twelve tables that are asked to be round and to have three legs; of the training's tables few are."""
    text = "a round table with three legs"
    found = [adherence(text, measure(occupied(field))) for field in model.sample(12, seed=0, condition=text)]
    for name in ("legs", "top"):
        assert sum(each[name] for each in found) >= 9, (name, found)


def test_samples_are_closed_meshes_mostly_of_one_part(model):
    for field in model.sample(3, seed=1):
        mesh = model.render(field, 48)
        assert len(mesh.faces) > 500
        assert mesh.volume > 0.01


def test_a_text_is_needed_to_be_one(model):
    with pytest.raises(RequestError):
        model.sample(1, condition=" ")


def test_the_folder_is_small_and_measured():
    folder = pretrained(ddmi_core.load(plugin="occupancy").domain).path
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 10e6
    measured = Evaluation.load(folder / "metrics.json")
    assert measured.value("reconstruction_iou") >= 0.9
    assert measured.value("prompt_adherence") >= 0.8


@pytest.mark.slow
def test_a_cube_is_unlike_furniture_and_a_chair_comes_back_in_its_place(model, tmp_path):
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "cube.stl")
    parts = build(furniture(6))
    chair = extract_surface(lambda p: -torch.from_numpy(distance(parts, p.numpy())), (64,) * 3, normals=False)
    places = chair.vertices * 40.0 + (100, 200, 300)
    trimesh.Trimesh(places, chair.faces, process=False).export(tmp_path / "chair.stl")
    figures = Evaluation.load(pretrained(model.domain).path / "metrics.json").figures
    inputs = [tmp_path / "cube.stl", tmp_path / "chair.stl"]
    cube, again = reconstruct_files(model, inputs, Export(out=tmp_path / "out", size=48, suffix=".ply"), figures)
    assert cube.unlike
    assert not again.unlike
    found = trimesh.load_mesh(again.path).bounds
    np.testing.assert_allclose(found, [places.min(axis=0), places.max(axis=0)], atol=2)
