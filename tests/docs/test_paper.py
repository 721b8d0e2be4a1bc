"""The table of the paper agrees with presets and counts, and states a reason for each difference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
ROW = """
[presets]
celeba-hq = { preset = "image/paper" }
shapes = { preset = "occupancy/paper" }

[[row]]
group = "Stage 2"
item = "discrete steps"
key = "diffusion.path.steps"
"""


@pytest.fixture(scope="module")
def paper() -> ModuleType:
    """The module that makes the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        return importlib.import_module("paper")


@pytest.fixture
def rows(paper, tmp_path, monkeypatch):
    """A function that makes the table of one row, which it completes."""

    def made(text: str) -> str:
        path = tmp_path / "paper.toml"
        path.write_text(ROW + text)
        monkeypatch.setattr(paper, "ROWS", path)
        return paper.table()

    return made


def test_every_row_has_its_values_and_a_reason_where_they_differ(paper):
    lines = [line for line in paper.table().splitlines() if line.startswith("| ") and "---" not in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(cells) > 40
    for _, preset, authors, ours, why in (row for row in cells if row[1] != "preset"):
        assert all((preset, authors, ours))
        assert why or authors == ours or ours[-2:] in (" M", " G")


def test_presets_that_agree_share_a_line(rows):
    assert "| discrete steps | all | 1,000 | 1,000 | |" in rows("authors = 1000")


def test_a_difference_without_a_reason_is_refused(rows, paper):
    with pytest.raises(paper.TableError, match="no reason is given"):
        rows("authors = 500")


def test_a_difference_is_shown_with_its_reason(rows):
    assert "| discrete steps | all | 500 | 1,000 | more |" in rows('authors = 500\nwhy = "more"')


def test_a_reason_without_a_difference_is_refused(rows, paper):
    with pytest.raises(paper.TableError, match="values agree"):
        rows('authors = 1000\nwhy = "more"')
    with pytest.raises(paper.TableError, match="both have 1000"):
        rows('authors = { celeba-hq = 1000, shapes = 500 }\nwhy = { celeba-hq = "more", shapes = "more" }')


def test_only_the_preset_that_differs_shows_the_reason(rows):
    text = rows('authors = { celeba-hq = 1000, shapes = 500 }\nwhy = "more"')
    assert "| discrete steps | `celeba-hq` | 1,000 | 1,000 | |" in text
    assert "| | `shapes` | 500 | 1,000 | more |" in text


@pytest.fixture
def against_base(paper, tmp_path, monkeypatch):
    """A function that makes the table of `paper` and `base`, of one row of the learning rate over time."""

    def made(text: str, key: str = "diffusion.training.schedule") -> str:
        path = tmp_path / "paper.toml"
        row = ROW.replace('image/paper"', 'image/paper", base = "image/base"').replace("diffusion.path.steps", key)
        path.write_text(f'{row}authors = "constant"\n{text}')
        monkeypatch.setattr(paper, "ROWS", path)
        return paper.base()

    return made


def test_a_difference_of_base_needs_a_reason_and_only_there(against_base, paper):
    line = "| discrete steps | `celeba-hq` | constant | cosine | shorter |"
    assert line in against_base('base = "shorter"')
    with pytest.raises(paper.TableError, match="`base` 'cosine'; no reason is given"):
        against_base("")
    with pytest.raises(paper.TableError, match="`paper` and `base` agree, but a reason is given"):
        against_base('base = "shorter"', key="diffusion.path.steps")
    with pytest.raises(paper.TableError, match="have 1000, but a reason is given"):
        against_base('base = { celeba-hq = "shorter" }', key="diffusion.path.steps")


def test_a_setting_of_base_without_effect_is_shown_as_off(against_base):
    text = against_base('base = "smaller"\non = "autoencoder.adversarial.start"', key="autoencoder.adversarial.weight")
    assert "| `celeba-hq` | 2.54e-06 | off | smaller |" in text


def test_the_table_of_base_links_to_pages_that_exist(paper):
    cells = [line.rsplit("|", 2)[1].strip() for line in paper.base().splitlines()[2:]]
    assert len(cells) > 20
    assert all(cells)
    for link in re.findall(r"\]\(([^)]+)\)", " ".join(cells)):
        assert (ROOT / "docs/explanation" / link).exists()


def test_a_row_names_presets_that_exist(rows, paper):
    with pytest.raises(paper.TableError, match="no preset 'clips'"):
        rows("authors = { clips = 1000 }")
