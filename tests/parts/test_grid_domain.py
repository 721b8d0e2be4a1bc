"""The ready implementation on grids: right for one to three axes, and clear about what it needs."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from attrs import frozen
from PIL import Image

import ddmi_core.parts
from ddmi_core.api import Domain, Field, Layout, Observations, Planes
from ddmi_core.errors import PluginError
from ddmi_core.grids.sizes import LARGEST
from ddmi_core.parts import (
    AutoencoderConfig,
    CoarseToFineReadout,
    DecoderConfig,
    EncoderConfig,
    GridDomain,
    GridSignal,
    ReadoutConfig,
    StoredGrid,
    grid_features,
    native_grid,
    psnr_db,
)
from ddmi_core.parts.raster_domain import LARGEST_VIEW

LAYOUTS = {
    1: Layout(axes=("t",), planes=(("t",),)),
    2: Layout(axes=("x", "y"), planes=(("x", "y"),)),
    3: Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("y", "t"), ("x", "t"))),
}
NATIVE = {1: (16,), 2: (8, 12), 3: (4, 8, 8)}


@frozen
class Settings:
    native: tuple[int, ...]


@frozen
class Measured(Settings):
    extent: tuple[float, ...]


@frozen
class Nothing:
    """Settings that say no size."""


class Things(GridDomain[Settings]):
    def sources(self):
        return {}

    def read(self, path):
        raise NotImplementedError

    def exporters(self):
        return {}

    def picture(self, artefact):
        raise NotImplementedError


def parts(axes, settings=None, cls=Things):
    domain = Domain(
        api_version=1,
        name="thing",
        summary="Of tests.",
        layout=LAYOUTS[axes],
        values=("u", "v"),
        implementation=cls,
    )
    return cls(domain, settings or Settings(NATIVE[axes]))


def fields(axes, batch=2):
    torch.manual_seed(axes)
    basis = (Planes([torch.randn(batch, 4, *[5] * len(plane)) for plane in LAYOUTS[axes].planes]),)
    readout = CoarseToFineReadout((4,), extra=0, values=2, config=ReadoutConfig(width=8))
    return Field(basis=basis, readout=readout, layout=LAYOUTS[axes])


def signal(axes, batch=2):
    torch.manual_seed(10 + axes)
    return GridSignal(torch.rand(batch, 2, *NATIVE[axes]) * 2 - 1)


def renderer(axes):
    return parts(axes).renderer


def test_every_public_name_can_be_imported():
    for name in ddmi_core.parts.__all__:
        assert getattr(ddmi_core.parts, name) is not None


@pytest.mark.parametrize("axes", LAYOUTS)
def test_the_default_parts_work_together(axes):
    subject = parts(axes)
    config = AutoencoderConfig(
        latent_channels=3,
        encoder=EncoderConfig(widths=(8, 8), blocks=1),
        decoder=DecoderConfig(widths=(8, 8), blocks=1, basis=(6, 5)),
    )
    encoder, decoder = subject.encoder(config), subject.decoder(config)
    queries = subject.sampler.sample(signal(axes), 10, torch.Generator().manual_seed(0))
    basis = decoder(encoder(signal(axes)).mean)
    readout = CoarseToFineReadout(decoder.channels, extra=0, values=2, config=ReadoutConfig(width=8))
    field = Field(basis=basis, readout=readout, layout=LAYOUTS[axes])
    drawing = renderer(axes)
    assert drawing.observe(field, queries).shape == queries.targets.shape == (2, queries.coords.shape[1], 2)
    assert drawing.render(field[0]).size == NATIVE[axes]


def test_the_renderer_takes_the_extent_of_the_settings_if_they_have_one():
    assert renderer(2).extent == (2.0, 2.0)
    assert parts(2, Measured((8, 12), (0.5, 4.0))).renderer.extent == (0.5, 4.0)


@pytest.mark.parametrize("build", [lambda own: own.renderer, lambda own: own.report_views(), lambda own: own.native])
def test_settings_without_a_native_size_are_told_what_to_give(build):
    with pytest.raises(PluginError, match=r"Nothing\.native: add a property .*slowest first \(y, x\)"):
        build(parts(2, Nothing()))


@pytest.mark.parametrize("native", [(8,), (8, 8, 8), ()])
def test_a_native_size_that_does_not_fit_the_layout_is_told(native):
    with pytest.raises(PluginError, match=r"one number for each axis, slowest first: y, x") as caught:
        _ = parts(2, Settings(native)).native
    assert f"Settings.native is {native}" in str(caught.value)


def test_a_native_size_may_be_a_list():
    assert parts(2, Settings([8, 12])).native == (8, 12)


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ((16,), [(16,), (32,), (64,), (128,)]),
        ((48, 48), [(48, 48), (96, 96), (192, 192), (384, 384)]),
        ((8, 12), [(8, 12), (16, 24), (32, 48), (64, 96)]),
        ((4, 8, 8), [(4, 8, 8), (8, 16, 16), (16, 32, 32), (32, 64, 64)]),
        ((16, 32, 32), [(8, 16, 16), (16, 32, 32), (32, 64, 64), (64, 128, 128)]),  # 2^20 cells at most
        ((256, 256), [(128, 128), (256, 256), (512, 512), (1024, 1024)]),
        ((4096, 4096), [(512, 512), (1024, 1024), (2048, 2048), (4096, 4096)]),
        ((1, 1), [(1, 1), (2, 2), (4, 4), (8, 8)]),
        ((1, 4096, 4096), [(1, 512, 512), (1, 1024, 1024), (1, 2048, 2048), (1, 4096, 4096)]),
        ((16384,), [(8192,), (16384,), (32768,), (65536,)]),
    ],
)
def test_views_double_to_eight_times_the_native_size_or_what_is_still_handy(native, expected):
    found = parts(len(native), Settings(native)).report_views()
    assert [size for _, size in found] == expected
    assert [label for label, _ in found] == [" x ".join(map(str, size)) for size in expected]


@pytest.mark.parametrize("axes", LAYOUTS)
def test_every_view_can_be_rendered(axes):
    for length in (1, 3, 50, 777, 20000, LARGEST):
        own = parts(axes, Settings((length,) * axes))
        sizes = [size for _, size in own.report_views()]
        assert all(own.renderer.render(fields(axes)[0], size).size == size for size in sizes)
        assert prod(sizes[-1]) <= max(LARGEST_VIEW, length**axes)


@pytest.mark.parametrize("axes", LAYOUTS)
def test_an_original_has_the_values_of_its_signal_in_the_form_of_a_render(axes):
    own = parts(axes, Measured(NATIVE[axes], (3.0,) * axes))
    original, render = own.ground_truth(signal(axes), 1), own.renderer.render(fields(axes)[0])
    assert original.array().dtype == render.array().dtype
    assert (original.size, original.extent, original.channels) == (render.size, render.extent, render.channels)
    np.testing.assert_array_equal(original.array(), signal(axes).values[1].movedim(0, -1).numpy())


def test_bytes_at_the_native_size_are_values():
    kept = GridSignal(torch.tensor([[[0, 255]]], dtype=torch.uint8))
    assert native_grid(kept).tolist() == [[[-1, 1]]]
    assert parts(1, Settings((2,))).ground_truth(kept, 0).array().tolist() == [[-1], [1]]


@pytest.mark.parametrize("axes", LAYOUTS)
@pytest.mark.parametrize("error", [0.1, 0.02])
def test_psnr_of_a_known_error_is_the_closed_form(axes, error):
    drawn = renderer(axes).native_values(fields(axes))
    other = GridSignal(drawn + error * torch.tensor([1.0, 2.0]).view(-1, *[1] * (axes + 1)))
    expected = [20 * np.log10(2 / error), 20 * np.log10(1 / error)]  # the range 2 over the error
    np.testing.assert_allclose(psnr_db(fields(axes), other, renderer(axes)), expected, rtol=1e-4)


def test_psnr_of_equal_grids_is_100():
    same = GridSignal(renderer(2).native_values(fields(2)))
    assert psnr_db(fields(2), same, renderer(2)).tolist() == pytest.approx([100, 100])


@pytest.mark.parametrize("axes", LAYOUTS)
def test_one_function_of_grids_describes_fields_and_signals(axes):
    class Largest(Things):
        def features(self, values):
            return values.flatten(2).amax(dim=2)

    own = parts(axes, cls=Largest)
    drawn = own.renderer.native_values(fields(axes))
    assert torch.equal(own.field_features(fields(axes)), drawn.flatten(2).amax(dim=2))
    assert torch.equal(own.signal_features(GridSignal(drawn)), drawn.flatten(2).amax(dim=2))


@pytest.mark.parametrize("axes", LAYOUTS)
def test_the_plain_description_is_the_same_for_a_field_and_the_signal_that_it_draws(axes):
    same = GridSignal(renderer(axes).native_values(fields(axes)))
    torch.testing.assert_close(parts(axes).field_features(fields(axes)), parts(axes).signal_features(same))


@pytest.mark.parametrize("size", [(1,), (3,), (100,), (1, 1), (5, 9), (64, 48), (2, 3, 4), (16, 16, 16), (1, 7, 2)])
def test_plain_features_are_few_and_finite(size):
    features = grid_features(torch.rand(3, 2, *size))
    assert features.ndim == 2
    assert len(features) == 3
    assert features.isfinite().all()
    assert features.shape[1] <= 2 * (1 + len(size)) * 4 ** len(size)


def test_plain_features_of_a_ramp_are_its_means_and_its_slope():
    ramp = torch.arange(16.0).view(1, 1, 16) / 8 - 1
    expected = [-0.8125, -0.3125, 0.1875, 0.6875, *[0.125] * 4]
    torch.testing.assert_close(grid_features(ramp)[0], torch.tensor(expected))


@pytest.mark.parametrize("axes", LAYOUTS)
def test_plain_features_tell_place_roughness_and_direction(axes):
    size = (8,) * axes
    stripes = torch.ones(8)
    stripes[1::2] = -1
    along = [stripes.view(-1, *[1] * (axes - 1 - axis)).expand(size) for axis in range(axes)]
    half = torch.cat([torch.ones(4, *size[1:]), -torch.ones(4, *size[1:])])
    grids = torch.stack([torch.zeros(size), half, -half, *along])[:, None]
    distances = torch.cdist(grid_features(grids), grid_features(grids))
    assert (distances + torch.eye(len(grids)) > 0.5).all()


def test_a_contact_sheet_of_originals_with_other_axes_leaves_the_observed_values_out():
    drawn = []

    class Profiles(Things):
        def ground_truth(self, signal, index):
            values = native_grid(signal)[index].mean(dim=-1).T.contiguous().numpy()
            return StoredGrid(values=values, size=values.shape[:-1], extent=(2.0,))

        def picture(self, artefact):
            drawn.append(artefact)
            return Image.new("1", (1, 1))

    seen = Observations.at(torch.zeros(1, 2), torch.zeros(1, 2))
    for cls, shown in ((Profiles, 2), (type("Grids", (Things,), {"picture": vars(Profiles)["picture"]}), 3)):
        drawn.clear()
        rows = parts(2, cls=cls).contact_sheet(signal(2), seen, None, ["completion"])
        assert list(rows) == (["original", "observed", "completions"] if shown == 3 else ["original", "completions"])
        assert len(drawn) == shown
        assert drawn[-1] == "completion"


def test_a_contact_sheet_of_animations_has_four_frames_of_each_in_a_row_of_its_own():
    class Moving(Things):
        def picture(self, artefact):
            return [Image.new("L", (1, 1), shade) for shade in range(10)]

    seen = Observations.at(torch.zeros(1, 2), torch.zeros(1, 2))
    rows = parts(2, cls=Moving).contact_sheet(signal(2), seen, None, ["one", "two"])
    assert list(rows) == ["original", "observed", "completion 0", "completion 1"]
    assert [frame.getpixel((0, 0)) for frame in rows["observed"]] == [0, 3, 6, 9]
