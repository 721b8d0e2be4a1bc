"""The table of the paper agrees with presets and counts, and states a reason for each difference."""

from __future__ import annotations

import importlib
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


def test_a_row_names_presets_that_exist(rows, paper):
    with pytest.raises(paper.TableError, match="no preset 'clips'"):
        rows("authors = { clips = 1000 }")
