"""Metrics and descriptions of pictures, against independent computations."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ddmi_core.api import Field, Planes
from ddmi_core.parts import (
    CoarseToFineReadout,
    GridSignal,
    ReadoutConfig,
    psnr_db,
    ssim,
    structural_similarity,
)
from ddmi_image.features import features
from ddmi_image.openmoji import load
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings

SETTINGS = ImageSettings(size=24, multiples=(1, 2), groups=("faces",))
PARTS = ImageParts(IMAGE, SETTINGS)
RENDERER = PARTS.renderer


@pytest.fixture(scope="module")
def fields():
    torch.manual_seed(0)
    readout = CoarseToFineReadout((8, 6), extra=1, values=3, config=ReadoutConfig(width=16))
    basis = (Planes([torch.randn(3, 8, 6, 6)]), Planes([torch.randn(3, 6, 12, 12)]))
    return Field(basis=basis, readout=readout, layout=IMAGE.layout)


@pytest.fixture(scope="module")
def signal():
    return load(None, SETTINGS).train.batch([3, 4, 5])


def test_equal_pictures_have_the_best_values(fields):
    same = GridSignal(RENDERER.native_values(fields))
    assert psnr_db(fields, same, RENDERER).tolist() == pytest.approx([100] * 3)
    assert ssim(fields, same, RENDERER).tolist() == pytest.approx([1] * 3)


def oracle_ssim(x, y, data_range=2.0):
    """Wang et al. with scipy's Gaussian filter, cut to windows inside the picture."""
    values = []
    for a, b in zip(x.astype(np.float64), y.astype(np.float64), strict=True):
        mean = lambda v: gaussian_filter(v, 1.5, radius=5)[5:-5, 5:-5]  # noqa: E731
        ma, mb = mean(a), mean(b)
        va, vb, c = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
        c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        values.append(np.mean((2 * ma * mb + c1) * (2 * c + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))))
    return np.mean(values)


def test_ssim_equals_an_independent_computation(fields, signal):
    drawn = RENDERER.native_values(fields).numpy()
    expected = [oracle_ssim(d, s) for d, s in zip(drawn, signal.values.numpy(), strict=True)]
    np.testing.assert_allclose(ssim(fields, signal, RENDERER), expected, atol=1e-5)


def test_ssim_works_on_pictures_smaller_than_its_window():
    assert structural_similarity(*[torch.rand(2, 3, 8, 8)] * 2).tolist() == pytest.approx([1, 1])


def test_descriptions_have_the_same_form_for_fields_and_signals(fields, signal):
    by_field, by_signal = PARTS.field_features(fields), PARTS.signal_features(signal)
    assert by_field.shape == by_signal.shape == (3, 84)
    assert by_field.isfinite().all()
    torch.testing.assert_close(by_field, features(RENDERER.native_values(fields)))


def test_description_tells_colours_and_directions():
    plain = features(torch.full((1, 3, 48, 48), 0.5))[0]
    torch.testing.assert_close(plain[:48], torch.full((48,), 0.5))
    assert plain[48:].abs().max() < 1e-3
    stripes = torch.sin(torch.arange(48) * 0.8).expand(1, 3, 48, 48)
    upright = features(stripes)[0, 48:].view(4, 9).mean(1)
    lying = features(stripes.mT)[0, 48:].view(4, 9).mean(1)
    assert upright.argmax() == 0
    assert lying.argmax() == 2
    torch.testing.assert_close(upright[0], lying[2])


def test_descriptions_of_two_sizes_of_a_picture_are_close():
    parts = [load(None, ImageSettings(size=size, multiples=(1,), groups=("faces",))).train for size in (48, 96)]
    one, other = (features(part.batch(range(40)).values) for part in parts)
    nearest = torch.cdist(one, other).argmin(dim=1)
    assert (nearest == torch.arange(40)).float().mean() > 0.95


def test_views_double_and_grow():
    assert [size for _, size in ImageParts(IMAGE, ImageSettings()).report_views()] == [
        (n, n) for n in (48, 96, 192, 384)
    ]
    assert ImageParts(IMAGE, ImageSettings(size=256)).report_views()[-1] == ("1024 x 1024", (1024, 1024))


def test_sampler_draws_from_all_levels_of_a_signal(signal):
    source = torch.Generator().manual_seed(0)
    seen = {PARTS.sampler.sample(signal, 64, source).extra.unique().item() for _ in range(20)}
    assert seen == {0.0, -1.0}
