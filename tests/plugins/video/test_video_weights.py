"""The weights that ship with the video plugin: what their model card promises."""

from __future__ import annotations

import pytest

import ddmi_core
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.run_folder import pretrained
from ddmi_core.parts import psnr_db
from ddmi_video.evaluations import agreement_of_changes, temporal_consistency

PLUGIN = "video"


@pytest.mark.slow
def test_held_out_clips_are_reconstructed_and_move_as_they_do(model, split):
    signal = split.held_out.batch(range(0, len(split.held_out), 6))
    fields = model.reconstruct(signal)
    assert psnr_db(fields, signal, model.renderer).mean() >= 28
    assert temporal_consistency(fields, signal, model.renderer).mean() >= 0.5


@pytest.mark.slow
def test_samples_change_smoothly(model):
    """Frame by frame, a clip that moves changes as it did before, where one that flickers changes back and forth."""
    clips = model.renderer.native_values(model.sample(8, seed=0))
    steady = agreement_of_changes(clips[:, :, 1:], clips[:, :, :-1])
    assert (clips.diff(dim=2).abs().mean(dim=(1, 2, 3, 4)) > 1e-3).all()
    assert steady.mean() >= 0.5


@pytest.mark.slow
def test_samples_show_what_their_text_says(model):
    """Nights are dark, days are light."""
    night, day = (
        model.renderer.native_values(model.sample(6, seed=0, condition=text)).mean()
        for text in ("clouds over a night sky with stars", "white clouds over a blue sky")
    )
    assert night < -0.3
    assert day > 0


def test_the_folder_is_small_and_measured():
    folder = pretrained(ddmi_core.load(plugin="video").domain).path
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 10e6
    measured = Evaluation.load(folder / "metrics.json")
    assert measured.value("reconstruction_psnr_db") >= 28
