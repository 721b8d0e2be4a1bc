"""The vocabulary of captions is added to weights that were made without it, and shipped weights have it."""

import shutil
import sys
from pathlib import Path

import pytest

from ddmi_core.conditions.vocabulary import Kept
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.training import checkpoint

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from keep_vocabulary import add  # noqa: E402


def final(folder: RunFolder):
    return checkpoint.load(folder.denoiser / checkpoint.FINAL, lambda names: [])


def test_it_is_added_to_the_record_and_nothing_else_changes(tmp_path):
    folder = RunFolder(tmp_path)
    shutil.copytree(ROOT / "plugins/ddmi_nerf/weights/denoiser", folder.denoiser)
    before = final(folder).record
    add(folder, [["a toy", "a red toy"]])
    stored = final(folder)
    assert stored.facts(Kept).vocabulary.words == ("a", "red", "toy")
    changed = {key for key in before if stored.record[key] != before[key]}
    assert changed <= {"vocabulary", "checksum"}


@pytest.mark.parametrize(("plugin", "text"), [("nerf", "a blue bus"), ("occupancy", "a chair"), ("video", "a sunset")])
def test_shipped_weights_know_the_words_of_their_captions(plugin, text):
    known = final(RunFolder(ROOT / f"plugins/ddmi_{plugin}/weights")).facts(Kept).vocabulary
    assert known.unknown(text) == []
    assert known.unknown("a purple elephant")[-1] == "elephant"
    assert known.captions
