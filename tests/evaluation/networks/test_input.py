"""What networks see of pictures and clips: 8 bits, sizes and filters, ranges, and the order of channels."""

import numpy as np
import pytest
import torch
from PIL import Image

from ddmi_core.evaluation.networks.input import Input, tensorflow_bilinear

NAMES = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def bytes_of(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def values_of(bits):
    return bits.float() / 127.5 - 1


def test_8_bit_pictures_keep_their_bytes_and_others_are_rounded_to_them():
    taken = Input(takes="pictures", range=(0, 255), whole=True, size=0)
    bits = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(taken(values_of(bits)), bits)
    found = taken(torch.tensor([-3.0, 0.0, 0.003, 0.9, 3.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5))
    assert found.dtype == torch.uint8
    assert found[0, 0, 0].tolist() == [0, 128, 128, 242, 255]


@pytest.mark.parametrize("size", [(20, 31), (90, 70)])
@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_filters_are_those_of_pillow(name, size):
    bits = bytes_of(1, 3, *size)
    picture = Image.fromarray(bits[0].movedim(0, -1).numpy())
    expected = np.asarray(picture.resize((40, 40), NAMES[name])).astype(int)
    found = Input(takes="pictures", range=(0, 255), size=40, filter=name)(values_of(bits))[0].movedim(0, -1)
    assert np.abs(found.numpy() - expected).max() <= 1


def test_the_shorter_side_is_resized_and_the_middle_cut_out():
    bits = bytes_of(1, 3, 30, 61)
    picture = Image.fromarray(bits[0].movedim(0, -1).numpy()).resize((40, 20), Image.Resampling.BICUBIC)
    expected = np.asarray(picture)[:, 10:30].astype(int)
    taken = Input(takes="pictures", range=(0, 255), size=20, filter="bicubic", crop=True)
    assert np.abs(taken(values_of(bits))[0].movedim(0, -1).numpy() - expected).max() <= 1


@pytest.mark.parametrize("size", [(5, 9), (30, 12)])
def test_the_filter_of_tensorflow_starts_at_the_corner(size):
    rows, columns = 11, 17
    frames = bytes_of(2, 3, *size).float()
    found = tensorflow_bilinear(frames, (rows, columns))
    for row, column in ((0, 0), (3, 4), (10, 16), (10, 2)):
        y, x = row * size[0] / rows, column * size[1] / columns
        top, left = int(y), int(x)
        bottom, right = min(top + 1, size[0] - 1), min(left + 1, size[1] - 1)
        upper = frames[..., top, left] * (1 - (x - left)) + frames[..., top, right] * (x - left)
        lower = frames[..., bottom, left] * (1 - (x - left)) + frames[..., bottom, right] * (x - left)
        expected = upper * (1 - (y - top)) + lower * (y - top)
        torch.testing.assert_close(found[..., row, column], expected, atol=1e-3, rtol=0)


def test_means_deviations_and_order_of_channels():
    bits = bytes_of(2, 3, 8, 8)
    mean, deviation = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    plain = Input(takes="pictures", range=(0, 1), size=0, mean=mean, deviation=deviation)
    expected = (bits.double() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(deviation).view(3, 1, 1)
    torch.testing.assert_close(plain(values_of(bits)), expected.float())
    turned = Input(takes="pictures", range=(-1, 1), size=0, channels="bgr")(values_of(bits))
    torch.testing.assert_close(turned, values_of(bits).flip(1), atol=1e-5, rtol=0)


def test_frames_of_a_clip_are_pictures():
    clip = bytes_of(2, 3, 5, 12, 16)
    whole = Input(takes="clips", range=(0, 1), size=24, filter="bicubic")(values_of(clip))
    single = Input(takes="pictures", range=(0, 1), size=24, filter="bicubic")
    assert whole.shape == (2, 3, 5, 24, 24)
    for number in range(5):
        assert torch.equal(whole[:, :, number], single(values_of(clip[:, :, number])))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"range": (1, 0)}, "lower end first"),
        ({"mean": (0.5, 0.5, 0.5)}, "three numbers each"),
        ({"deviation": (1.0, 1.0, 0.0), "mean": (0.5, 0.5, 0.5)}, "above 0"),
        ({"whole": True}, "whole values have the range"),
    ],
)
def test_inputs_that_cannot_be_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Input(**{"takes": "pictures", "range": (0, 1), "size": 0, **change})
