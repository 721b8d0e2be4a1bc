"""Figures of reconstructions, for a model whose reconstructions are known, against definitions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
import torch
from attrs import evolve

import lpips_stand_in
from ddmi_core.api import Split
from ddmi_core.errors import ConfigError, DataError
from ddmi_core.evaluation import reconstructions
from ddmi_core.evaluation.networks import check_networks, feature_networks, perceptual_distance
from ddmi_core.evaluation.reconstructions import reconstruction_figures
from ddmi_core.parts import AutoencoderConfig, GridSet, PerceptualConfig, native_grid
from ddmi_core.settings.config import EvaluationConfig, RunConfig
from ddmi_core.training import distributed
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings
from ddmi_occupancy.parts import OccupancyParts
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_occupancy.settings import OccupancySettings
from ddmi_video.parts import VideoParts
from ddmi_video.plugin import VIDEO
from ddmi_video.settings import VideoSettings
from feature_networks import NvidiaInception, scripted

SIZE, COUNT, SHIFT = 32, 40, 0.25


class Known(ImageParts):
    """Fields are their pictures."""

    def metrics(self):
        return {"error": lambda fields, signal, renderer: (fields - native_grid(signal)).abs().mean(dim=(1, 2, 3))}

    def pictures(self, fields):
        return fields

    def field_features(self, fields):
        return self.features(fields)


PARTS = Known(IMAGE, ImageSettings(size=SIZE, multiples=(1.0,)))


@pytest.fixture
def lpips(monkeypatch, tmp_path):
    return lpips_stand_in.install(monkeypatch, tmp_path / "lpips.pth", 2.0)


@pytest.fixture(scope="module")
def split():
    grids = np.random.default_rng(0).integers(0, 200, (COUNT, 3, SIZE, SIZE)).astype(np.uint8)
    held = GridSet([grids], [f"picture-{number}" for number in range(COUNT)])
    return Split(train=held, held_out=held)


def model(*networks, autoencoder=None, **evaluation):
    """A model that brightens what it reconstructs."""
    config = RunConfig(plugin="image", evaluation=EvaluationConfig(networks=networks, **evaluation))
    config = evolve(config, autoencoder=autoencoder or config.autoencoder)
    return SimpleNamespace(
        parts=PARTS,
        domain=IMAGE,
        config=config,
        renderer=PARTS.renderer,
        device=torch.device("cpu"),
        reconstruct=lambda signal: native_grid(signal) + SHIFT,
    )


def figures(model, split):
    found = reconstruction_figures(model, feature_networks(model), split, {"data": "x"})
    return {figure.name: figure for figure in found}


def frechet(first, second):
    """By the matrix square root of SciPy."""
    one, two = np.cov(first.T), np.cov(second.T)
    shift = first.mean(0) - second.mean(0)
    return shift @ shift + np.trace(one + two - 2 * scipy.linalg.sqrtm(one @ two).real)


def test_the_distance_of_a_network_compares_the_reconstructions_with_their_originals(split, tmp_path):
    file = scripted(NvidiaInception(), tmp_path / "inception.pt")
    found = figures(model(f"inception:{file}"), split)
    assert list(found) == ["reconstruction_error", "reconstruction_frechet_plain", "rfid_inception"]
    originals = native_grid(split.held_out.batch(range(COUNT)))
    network = NvidiaInception().eval()
    with torch.no_grad():
        rows = [
            network(((values.clamp(-1, 1) * 127.5 + 128).floor().clamp(0, 255)).byte(), return_features=True)
            for values in (originals + SHIFT, originals)
        ]
    assert found["rfid_inception"].value == pytest.approx(frechet(*(row.double().numpy() for row in rows)), rel=1e-3)
    protocol = found["rfid_inception"].protocol
    assert (protocol["n"], protocol["reference"]) == (COUNT, f"all {COUNT} held-out signals")
    assert (protocol["network"]["name"], protocol["network"]["file"]) == ("inception", "inception.pt")
    assert {"data", "signals", "latent"} <= protocol.keys()
    assert "lower is better" in found["rfid_inception"].meaning


def test_metrics_are_means_with_an_interval_and_only_as_many_signals_as_asked_for(split):
    found = figures(model(held_out=10), split)
    error = found["reconstruction_error"]
    assert error.value == pytest.approx(SHIFT)
    assert error.interval[0] <= error.value <= error.interval[1]
    assert error.protocol["signals"] == "reconstructions of the first 10 of 40 held-out signals"
    assert found["reconstruction_frechet_plain"].protocol["n"] == 10
    alone = figures(model(held_out=1), split)
    assert list(alone) == ["reconstruction_error"]
    assert alone["reconstruction_error"].interval is None


def test_lpips_is_measured_by_the_named_file_and_its_protocol_says_which(lpips, split):
    found = figures(model(f"lpips:{lpips}"), split)["reconstruction_lpips"]
    assert found.value == pytest.approx(2 * SHIFT)
    assert found.interval[0] <= found.value <= found.interval[1]
    assert (found.protocol["n"], found.protocol["network"]["file"]) == (COUNT, "lpips.pth")
    assert len(found.protocol["network"]["sha256"]) == 64
    assert found.meaning == "reconstructions of held-out signals; lower is better"


def test_lpips_of_the_autoencoder_is_used_where_its_file_is_there(lpips, split):
    own = AutoencoderConfig(perceptual=PerceptualConfig(kind="lpips", weights_file=str(lpips)))
    assert figures(model(autoencoder=own), split)["reconstruction_lpips"].value == pytest.approx(2 * SHIFT)
    lpips.unlink()
    assert "reconstruction_lpips" not in figures(model(autoencoder=own), split)


def test_lpips_of_clips_is_the_mean_over_frames(lpips):
    class Clips(VideoParts):
        def pictures(self, fields):
            return fields

    parts = Clips(VIDEO, VideoSettings(frames=3, size=SIZE))
    config = RunConfig(plugin="video", evaluation=EvaluationConfig(networks=(f"lpips:{lpips}",)))
    clip = torch.zeros(2, 3, 3, SIZE, SIZE)
    other = clip.clone()
    other[1, :, 2] = 0.5
    signal = SimpleNamespace(levels=lambda: [clip], values=clip)
    found = perceptual_distance(parts, config)(other, signal, None)
    torch.testing.assert_close(found, torch.tensor([0.0, 2 * 0.5 / 3]))


def test_lpips_that_cannot_be_used_is_refused_before_work_starts(lpips):
    def check(parts, *networks):
        check_networks(parts, EvaluationConfig(networks=networks))

    check(PARTS, f"lpips:{lpips}")
    with pytest.raises(ConfigError, match="two networks have the name 'lpips'"):
        check(PARTS, f"lpips:{lpips}", f"lpips:{lpips}")
    with pytest.raises(DataError, match=r"none\.pth: no such file"):
        check(PARTS, "lpips:none.pth")
    with pytest.raises(ConfigError, match="domain 'occupancy' has none"):
        check(OccupancyParts(OCCUPANCY, OccupancySettings()), f"lpips:{lpips}")
    with pytest.raises(ConfigError, match="needs pictures of 32 x 32, and these have 16 x 16"):
        check(Known(IMAGE, ImageSettings(size=16, multiples=(1.0,))), f"lpips:{lpips}")
    lpips.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="the weights of LPIPS cannot be loaded"):
        check(PARTS, f"lpips:{lpips}")


def test_processes_share_the_reconstructions_and_give_the_same_figures(split, monkeypatch):
    monkeypatch.setattr(reconstructions, "BATCH", 7)
    alone = figures(model(), split)
    sizes = {}

    def both(work):
        """What both of two processes return, in the order of their ranks."""
        results = []
        for rank in range(2):
            monkeypatch.setattr(distributed, "share", lambda items, rank=rank: items[rank::2])
            before = len(seen)
            results.append(work())
            sizes[rank] = seen[before:]
        return results

    seen: list[int] = []
    counting = model()

    def reconstruct(signal):
        grid = native_grid(signal)
        seen.append(len(grid))
        return grid + SHIFT

    counting.reconstruct = reconstruct
    monkeypatch.setattr(distributed, "from_all", both)
    shared = figures(counting, split)
    assert sizes == {0: [7, 7, 7], 1: [7, 7, 5]}
    assert shared == alone
