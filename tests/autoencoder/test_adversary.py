"""Discriminators: what a logit sees, what they are told, slices of patches, and feature matching."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.autoencoder.adversary import Discriminators, PatchDiscriminator, feature_matching, sliced
from ddmi_core.autoencoder.config import AdversarialConfig
from ddmi_core.errors import ConfigError


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seen(network: PatchDiscriminator, axes: int, side: int) -> list[int]:
    """Cells along each axis that have a gradient of the middle logit; layers of normalisation as in use."""
    network = network.double().eval()
    patch = random(1, 1, *[side] * axes).double().requires_grad_()
    logits = network(patch, patch[:, :0])[-1]
    logits[(0, 0, *(size // 2 for size in logits.shape[2:]))].backward()
    touched = patch.grad[0, 0] != 0
    cells = [torch.nonzero(touched)[:, axis].unique() for axis in range(axes)]
    assert all(int(c[-1] - c[0]) + 1 == len(c) for c in cells)
    return [len(c) for c in cells]


@pytest.mark.parametrize("axes", [1, 2])
def test_a_logit_of_patchgan_sees_70_cells_along_each_axis(axes):
    torch.manual_seed(0)
    assert seen(PatchDiscriminator(axes, 1, 2, kind="patchgan"), axes, 160) == [70] * axes


@pytest.mark.parametrize("axes", [1, 2])
def test_a_logit_of_the_small_kind_sees_17_cells_along_each_axis_but_for_the_normalisation(axes):
    torch.manual_seed(0)
    network = PatchDiscriminator(axes, 1, 2)
    network.layers = torch.nn.Sequential(*(x for x in network.layers if not isinstance(x, torch.nn.GroupNorm)))
    assert seen(network, axes, 60) == [17] * axes


def test_the_small_kind_doubles_its_channels_twice_and_normalises_whole_patches():
    network = PatchDiscriminator(2, 3, 8, extra=2)
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 4]
    assert shapes == [(8, 3, 3, 3), (16, 8, 3, 3), (32, 16, 3, 3), (1, 32, 3, 3)]
    assert [layer.num_groups for layer in network.layers if isinstance(layer, torch.nn.GroupNorm)] == [1, 1]


@pytest.mark.parametrize("kind", ["small", "patchgan"])
def test_features_follow_each_activation_whose_slope_below_zero_is_a_fifth(kind):
    torch.manual_seed(0)
    network, patch = PatchDiscriminator(1, 1, 4, kind=kind), random(2, 1, 40)
    *features, logits = network(patch, patch[:, :0])
    assert len(features) == (3 if kind == "small" else 4)
    first = network.layers[0](patch)
    torch.testing.assert_close(features[0], torch.where(first > 0, first, first / 5))
    torch.testing.assert_close(network.layers(patch), logits)


def test_patchgan_starts_with_small_weights():
    torch.manual_seed(0)
    network = PatchDiscriminator(2, 3, 64, kind="patchgan")
    for layer in network.layers:
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(layer.weight.mean().item()) < 1e-3
        elif isinstance(layer, torch.nn.BatchNorm1d):
            assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.01)


def test_patchgan_has_the_layers_of_pix2pix():
    torch.manual_seed(0)
    network = PatchDiscriminator(2, 3, 64, kind="patchgan", extra=1)
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 4]
    assert shapes == [(64, 4, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 512, 4, 4)]
    assert network.layers[2].weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(("kind", "told"), [("patchgan", True), ("small", False)])
def test_patchgan_is_told_the_extra_columns(kind, told):
    torch.manual_seed(0)
    network, patch = PatchDiscriminator(2, 3, 4, kind=kind, extra=1), random(2, 3, 24, 24)
    native, finer = (network(patch, torch.full((2, 1, 24, 24), footprint))[-1] for footprint in (0.0, -1.0))
    assert torch.equal(native, finer) != told


@pytest.mark.parametrize("patch", [(1,), (1, 9), (3, 4, 5), (2, 3, 1, 5)], ids=str)
def test_patchgan_judges_patches_of_any_number_of_axes(patch):
    torch.manual_seed(0)
    network = PatchDiscriminator(len(patch), 2, 2, kind="patchgan")
    assert network(random(3, 2, *patch), random(3, 0, *patch))[-1].shape[:2] == (3, 1)


def test_feature_matching_sums_mean_differences_of_all_outputs_but_the_logits():
    real = [torch.tensor([1.0, 3.0]), torch.tensor([[2.0]]), torch.tensor(5.0)]
    rendered = [torch.tensor([0.0, 1.0]), torch.tensor([[6.0]]), torch.tensor(-100.0)]
    assert feature_matching(real, rendered).item() == pytest.approx((1 + 2) / 2 + 4)


def test_feature_matching_gives_no_gradient_to_the_real_features():
    real, rendered = (torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True))
    feature_matching([real, real], [rendered, rendered]).backward()
    assert real.grad is None
    torch.testing.assert_close(rendered.grad, torch.full((2,), -0.5))


def test_a_slice_is_at_the_same_random_place_of_all_patches_and_another_of_each_signal():
    patch = torch.arange(7.0)[None, None, :, None, None].expand(64, 2, 7, 4, 5)
    one, other = sliced((patch, 10 * patch[:, :1]), 2, torch.Generator().manual_seed(0))
    assert one.shape == (64, 2, 4, 5)
    assert torch.equal(other, 10 * one[:, :1])
    frames = one[:, 0, 0, 0]
    assert torch.equal(one, frames[:, None, None, None].expand_as(one))
    assert set(frames.tolist()) == set(range(7))


def test_nothing_is_drawn_for_patches_that_have_these_axes():
    generator = torch.Generator().manual_seed(0)
    (same,) = sliced((random(2, 3, 4, 5),), 2, generator)
    assert torch.equal(same, random(2, 3, 4, 5))
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_discriminators_of_more_axes_than_patches_have_are_refused():
    with pytest.raises(ConfigError, match=r"adversarial\.axes=\[2, 3\]: patches of this domain have 2 axes.*up to 2"):
        Discriminators(AdversarialConfig(axes=(2, 3)), 2, 3, 0)
    assert [len(network.layers[0].weight.shape) - 2 for network in Discriminators(AdversarialConfig(), 3, 1, 0)] == [3]
