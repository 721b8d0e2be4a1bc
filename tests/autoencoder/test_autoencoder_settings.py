"""Settings of the D2C-VAE: their limits. What cannot act is tested beside the part that it belongs to."""

from __future__ import annotations

import pytest

from ddmi_core.autoencoder.config import (
    AdversarialConfig,
    AutoencoderConfig,
    DecoderConfig,
    EncoderConfig,
    PerceptualConfig,
)

COUNTS = [
    (EncoderConfig, "blocks", 1),
    (EncoderConfig, "point_width", 0),
    (EncoderConfig, "point_blocks", 1),
    (DecoderConfig, "blocks", 1),
    (AdversarialConfig, "start", 0),
    (AdversarialConfig, "width", 1),
    (AutoencoderConfig, "latent_channels", 1),
    (AutoencoderConfig, "points", 1),
    (AutoencoderConfig, "kl_anneal", 0),
]
NOT_NEGATIVE = [
    (PerceptualConfig, "weight"),
    (AdversarialConfig, "weight"),
    (AdversarialConfig, "features"),
    (AutoencoderConfig, "kl"),
    (AutoencoderConfig, "spectral"),
    (AutoencoderConfig, "spectral_start"),
    (AutoencoderConfig, "equivariance"),
]
LENGTHS = [
    (EncoderConfig, "widths", False),
    (EncoderConfig, "patch", True),
    (EncoderConfig, "attention", True),
    (DecoderConfig, "widths", False),
    (DecoderConfig, "basis", False),
    (DecoderConfig, "attention", True),
    (AdversarialConfig, "axes", True),
    (AutoencoderConfig, "patch", True),
]


@pytest.mark.parametrize(("kind", "name", "least"), COUNTS)
def test_counts_have_a_least_value(kind, name, least):
    assert getattr(kind(**{name: least}), name) == least
    with pytest.raises(ValueError, match=name):
        kind(**{name: least - 1})


@pytest.mark.parametrize(("kind", "name"), NOT_NEGATIVE)
def test_weights_are_not_negative(kind, name):
    assert getattr(kind(**{name: 0.0}), name) == 0
    with pytest.raises(ValueError, match=name):
        kind(**{name: -1e-6})


def test_a_rate_is_positive():
    assert AdversarialConfig(rate=1e-9).rate == 1e-9
    with pytest.raises(ValueError, match="rate"):
        AdversarialConfig(rate=0.0)


@pytest.mark.parametrize(("kind", "name", "empty"), LENGTHS)
def test_each_of_several_numbers_is_at_least_one(kind, name, empty):
    assert getattr(kind(**{name: (1, 2, 4)}), name) == (1, 2, 4)
    with pytest.raises(ValueError, match=name):
        kind(**{name: (2, 1, 0)})
    if empty:
        assert getattr(kind(**{name: ()}), name) == ()
    else:
        with pytest.raises(ValueError, match=name):
            kind(**{name: ()})


@pytest.mark.parametrize("kind", [EncoderConfig, DecoderConfig])
@pytest.mark.parametrize("attending", [{"middle": True}, {"joined": True}, {"attention": (1,)}])
def test_heads_act_on_every_kind_of_attention(kind, attending):
    assert kind(heads=2, **attending).heads == 2
    assert kind(heads=1).heads == 1
    with pytest.raises(ValueError, match="heads"):
        kind(heads=0, **attending)


def test_a_transformer_has_heads_and_layers_of_planes():
    config = EncoderConfig(kind="transformer", widths=(8,), head_width=4, plane_blocks=0)
    assert (config.head_width, config.plane_blocks, config.middle) == (4, 0, False)
    for name in ("head_width", "plane_blocks"):
        with pytest.raises(ValueError, match=name):
            EncoderConfig(kind="transformer", widths=(8,), **{name: -1})


def test_nothing_beyond_the_paper_s_parts_is_on_unless_asked_for():
    encoder, decoder, whole = EncoderConfig(), DecoderConfig(), AutoencoderConfig()
    for sizes in (encoder, decoder):
        assert not any((sizes.middle, sizes.joined, sizes.attention, sizes.wide_heads))
    assert not any((encoder.factorised, whole.spectral, whole.spectral_start, whole.equivariance))
    assert (whole.adversarial.start, whole.adversarial.features) == (0, 0)
