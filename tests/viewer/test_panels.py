"""Ready panels show the part of a field that is asked for, and a domain may bring its own."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from viewed import sheet

import formula_domains
from ddmi_core.api import Look, Panel, Shown
from ddmi_core.errors import PluginError
from ddmi_core.parts import GridPanel, MeshPanel, PicturePanel, Window
from ddmi_core.settings.config import Sampling
from ddmi_core.viewer.session import Session
from variants import model_variant, returning


def pixels(shown: Shown) -> np.ndarray:
    assert shown.kind == "image/png"
    return np.asarray(Image.open(io.BytesIO(shown.data)))


@pytest.fixture
def field(model):
    return model.sample(1, seed=4, steps=2)


@pytest.fixture
def panel(model) -> Panel:
    return model.parts.panel()


def test_grids_are_zoomed_with_sliders_for_the_axes_beyond_two(models):
    panels = {name: model.parts.panel() for name, model in models.items()}
    assert {name: (panel.gesture, panel.axes, panel.sliders) for name, panel in panels.items()} == {
        "wave": ("zoom", ("t",), ()),
        "block": ("zoom", ("y", "x"), ("z",)),
    }


def test_a_slice_of_three_axes_is_that_of_the_whole_grid_at_its_place(models):
    model = models["block"]
    field, panel = model.sample(1, seed=4, steps=2), GridPanel(model.domain.layout, model.renderer, model.parts.picture)
    native, *_ = model.renderer.native
    whole = model.render(field).array()
    for number in (0, 3, native - 1):
        place = (2 * number + 1) / native - 1
        shown = pixels(panel.show(field, Look(size=(native, native), at=(place,))))
        expected = ((whole[number, ..., 0].clip(-1, 1) + 1) * 127.5).astype(np.uint8)
        assert np.abs(shown.astype(int) - expected).max() <= 1


def test_a_part_is_drawn_from_the_field_and_not_enlarged(models):
    model = models["block"]
    field, panel = model.sample(1, seed=4, steps=2), GridPanel(model.domain.layout, model.renderer, model.parts.picture)
    bounds = ((-0.3, -0.29), (0.5, 0.51))
    shown = pixels(panel.show(field, Look(size=(24, 32), bounds=bounds, at=(0.25,))))
    (native, *_), middle = model.renderer.native, 0.25
    window = Window((1, 24, 32), ((middle - 1 / native, middle + 1 / native), *bounds))
    expected = ((model.render(field, window).array()[0, ..., 0].clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    assert shown.shape == (24, 32)
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_a_part_of_a_line_has_enough_cells_however_small_it_is(models):
    model = models["wave"]
    drawn = []

    def picture(artefact):
        drawn.append(artefact)
        return Image.new("RGB", (1, 1))

    panel = GridPanel(model.domain.layout, model.renderer, picture)
    panel.show(model.sample(1, steps=2), Look(bounds=((0.1, 0.1001),)))
    (artefact,) = drawn
    assert artefact.size == (1024,)
    assert artefact.bounds == ((0.1, 0.1001),)


def test_the_ends_of_a_slider_show_the_outer_cells(panel, field, model):
    for place in (-1.0, 1.0):
        assert pixels(panel.show(field, Look(at=(place,) * len(panel.sliders)))).size


def test_a_look_of_the_wrong_number_of_axes_is_refused(panel, field):
    with pytest.raises(ValueError, match="bounds have 3 intervals"):
        panel.show(field, Look(bounds=((-1, 1),) * 3))
    with pytest.raises(ValueError, match="at has 2 places"):
        panel.show(field, Look(at=(0.0, 0.0)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"bounds": ((0.5, 0.5),)},
        {"bounds": ((-1.5, 0.5),)},
        {"bounds": ((math.nan, 0.5),)},
        {"at": (1.5,)},
        {"at": (math.nan,)},
        {"size": (0, 5)},
        {"size": (5, 5000)},
        {"size": (5,)},
        {"distance": 0.0},
    ],
)
def test_a_look_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Look(**wrong)


def turned(models):
    """The model of three axes, with a renderer of its own and files of meshes."""
    return sheet(models["block"])


def test_meshes_are_turned_and_are_as_fine_as_the_view_at_rest(models):
    model = turned(models)
    panel = model.parts.panel()
    assert isinstance(panel, MeshPanel)
    assert panel.gesture == "turn"
    field = model.sample(1, steps=2)

    def size(**look) -> float:
        shown = panel.show(field, Look(**look))
        assert shown.kind == "model/gltf-binary"
        return float(np.frombuffer(shown.data[-36:], "<f4").max())

    native = model.settings.size
    assert [size(), size(view=(8, 8, 8)), size(view=(8, 8, 8), rest=False)] == [native, 8, native]


def test_what_is_neither_a_grid_nor_a_mesh_is_shown_by_its_picture(models):
    model = turned(models)
    panel = model_variant(model, exporters=returning({".npy": formula_domains.write})).parts.panel()
    assert isinstance(panel, PicturePanel)
    native = model.settings.size
    assert pixels(panel.show(model.sample(1, steps=2), Look())).shape == (native, native)


class Seen(Panel):
    """Tells what it was asked for."""

    gesture = "orbit"

    def show(self, field, look) -> Shown:
        return Shown("text/plain", f"{look.azimuth:g} {look.elevation:g} {look.distance:g} {look.rest}".encode())


def test_a_domain_brings_its_own_panel(models):
    model = model_variant(models["wave"], panel=returning(Seen()))
    session = Session(model, "own")
    assert session.about()["panel"]["gesture"] == "orbit"
    assert session.panel.thumbnail(model.sample(1, steps=2)).data == b"0 0 1 True"


def test_something_else_in_its_place_is_told(models):
    model = model_variant(models["wave"], panel=returning("no panel"))
    with pytest.raises(PluginError, match=r"panel returned a str\. Fix: return a ddmi_core\.api\.Panel"):
        Session(model, "own")


def test_no_gradients_are_kept(models):
    session = Session(models["wave"], "tiny")
    from ddmi_core.viewer.params import Mixture, Sample, SampleRequest

    (name,) = session.sample(SampleRequest(n=1, sampling=Sampling(steps=2)), lambda step, steps: None)
    batch, _, number = name.partition("-")
    field = session.field(Mixture(Sample(batch, int(number))))
    assert not any(plane.requires_grad for planes in field.basis for plane in planes)
    assert torch.is_grad_enabled()
