"""The D2C-VAE joins its parts: the field of a latent is the readout of the decoder's basis fields."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.autoencoder.config import DecoderConfig, EncoderConfig
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.autoencoder.decoder import PlaneDecoder
from ddmi_core.autoencoder.encoders import GridEncoder
from ddmi_core.fields.readout import ReadoutConfig
from plane_layouts import LAYOUTS


@pytest.mark.parametrize(("join", "count"), [("sum", 1), ("concatenate", 3)])
def test_widths_of_the_readout_follow_from_the_scales_and_the_joining_of_planes(join, count):
    torch.manual_seed(0)
    layout = LAYOUTS["tri-plane"]
    encoder = GridEncoder(lambda signal: signal, 2, layout, 3, EncoderConfig(widths=(8, 8)))
    decoder = PlaneDecoder(layout, 3, DecoderConfig(widths=(8, 8), basis=(5, 4)))
    model = D2CVAE(encoder, decoder, layout, 2, ReadoutConfig(width=8, planes=join))
    assert model.readout.embedding == (5 * count, 4 * count)
    posterior = model.encode(torch.randn(2, 2, 8, 6, 4))
    field = model.decode(posterior.mean)
    assert field.readout is model.readout
    assert [plane.shape[1] for scale in field.basis for plane in scale] == [5, 5, 5, 4, 4, 4]
    assert field(torch.zeros(2, 7, 3)).shape == (2, 7, 2)
