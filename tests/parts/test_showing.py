"""What consoles and notebooks show of models, fields, artefacts and figures, and their conversions."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image

import ddmi_core as ddmi
from ddmi_core.errors import RequestError
from ddmi_core.parts import Mesh, StoredGrid
from ddmi_core.parts.showing import GAP, MOST, SIDE
from variants import model_variant

LONGEST = 400  # characters of three lines


@pytest.fixture(scope="module", params=["image", "video", "occupancy", "nerf"])
def shown(request):
    """A shipped model, one of its samples, and the artefact of it."""
    model = ddmi.load(plugin=request.param, device="cpu")
    field = model.sample(1, seed=0, steps=2)
    return model, field, model.render(field, 16)


def picture(bundle) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))


def test_models_fields_artefacts_and_signals_have_texts_of_at_most_three_lines(shown):
    model, field, artefact = shown
    for item in (model, field, artefact, field.basis[0], model.ground_truth(model.parts.blank()), model.parts.blank()):
        text = repr(item)
        assert len(text) < LONGEST
        assert text.count("\n") < 3
        assert type(item).__name__ in text


def test_a_field_and_its_artefact_are_pictures_in_a_notebook(shown):
    _, field, artefact = shown
    for item in (field, artefact):
        bundle = item._repr_mimebundle_()
        assert bundle["text/plain"] == repr(item)
        drawn = picture(bundle)
        assert min(drawn.size) >= SIDE
        assert np.asarray(drawn.convert("L")).std() > 0


def test_what_moves_is_an_animation_in_a_notebook(shown):
    model, _, artefact = shown
    moving = not isinstance(model.parts.picture(artefact), Image.Image)
    assert ("data:image/webp;base64," in artefact._repr_mimebundle_().get("text/html", "")) == moving
    assert moving == (model.domain.name != "image")


def test_pictures_and_clips_are_pixels_of_the_files_and_arrays_of_bytes(shown, tmp_path):
    model, _, artefact = shown
    if model.domain.name == "occupancy":
        with pytest.raises(RequestError, match=r"a Mesh has no pixels. Fix: .*to_pil"):
            artefact.to_numpy()
        assert all(isinstance(frame, Image.Image) for frame in artefact.to_pil())
        return
    pixels, drawn = artefact.to_numpy(), artefact.to_pil()
    assert pixels.dtype == np.uint8
    assert np.array_equal(np.stack(drawn) if isinstance(drawn, list) else np.asarray(drawn), pixels)
    if ".png" in model.parts.exporters():
        model.write(artefact, tmp_path / "a.png")
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_meshes_are_those_of_trimesh(shown):
    model, _, artefact = shown
    if ".glb" not in model.parts.exporters():
        with pytest.raises(RequestError, match=f"domain '{model.domain.name}' writes no meshes; its files are "):
            artefact.to_trimesh()
        return
    mesh = artefact.to_trimesh()
    assert len(mesh.faces) > 0
    if isinstance(artefact, Mesh):
        assert np.array_equal(mesh.vertices, artefact.vertices)
        assert np.array_equal(mesh.faces, artefact.faces)
        assert mesh.is_watertight


def test_a_batch_is_shown_by_its_first_fields_side_by_side(model):
    one, many = (picture(model.sample(n, steps=1)._repr_mimebundle_()) for n in (2, MOST + 3))
    assert one.size[1] == many.size[1] == SIDE
    assert (many.width + GAP) * 2 == (one.width + GAP) * MOST


def test_grids_that_are_no_pictures_are_arrays_of_their_values(model):
    artefact = model.render(model.sample(1, steps=1))
    assert artefact.to_numpy().dtype == np.float32
    assert np.array_equal(artefact.to_numpy(), artefact.array())
    assert artefact.to_pil().size == model.parts.picture(artefact).size


def test_sounds_have_a_player(model):
    def wav(artefact, path) -> None:
        path.write_bytes(b"RIFF")

    heard = model_variant(model, exporters=lambda self: {".wav": wav})
    shown = heard.render(heard.sample(1, steps=1))._repr_mimebundle_()["text/html"]
    assert f'<audio controls src="data:audio/wav;base64,{base64.b64encode(b"RIFF").decode()}">' in shown


def test_fields_that_are_not_finite_are_told_instead_of_drawn(model):
    broken = model.sample(2, steps=1).map(lambda plane: torch.full_like(plane, torch.nan))
    assert "not finite" in broken._repr_mimebundle_()["text/html"]


def test_artefacts_and_fields_without_a_model_have_texts_alone():
    grid = StoredGrid(values=np.zeros((4, 4, 3), np.float32), size=(4, 4), extent=(2.0, 2.0))
    assert list(grid._repr_mimebundle_()) == ["text/plain"]
    with pytest.raises(RequestError, match=r"this StoredGrid does not know its domain. Fix: take it from model.render"):
        grid.to_pil()


def test_operations_on_fields_and_artefacts_keep_what_draws_them(model):
    fields = model.sample(2, steps=1)
    stacked = ddmi.Field.stack([fields, fields])
    for each in (fields[0], fields.to(torch.float16), stacked, model.render(fields[0])):
        assert each.shown_by == fields.shown_by
    assert evolve(fields, shown_by=None)._repr_mimebundle_() == {"text/plain": repr(fields)}


def test_figures_of_a_run_are_a_table(finished_run):
    found = ddmi.figures(finished_run)
    assert len(repr(found)) < LONGEST
    assert repr(found).startswith(f"Evaluation: {len(found.figures)} figures: {found.figures[0].name} ")
    assert all(figure.meaning.replace("'", "&#x27;") in found._repr_html_() for figure in found.figures[:3])
    with pytest.raises(RequestError, match="either a run folder or plugin=NAME"):
        ddmi.figures()


def test_the_table_of_a_model_names_its_domain(model):
    assert model.domain.name in model._repr_html_()
    assert f"{model.config.sampling.steps} steps" in model._repr_html_()
