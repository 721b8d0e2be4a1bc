"""The contract of the domain, the formulas and the files."""

from __future__ import annotations

import numpy as np
import pytest
from ddmi_series.formula import KINDS, level, measured
from ddmi_series.parts import INK, SeriesParts, SeriesSettings, write_table
from ddmi_series.plugin import SERIES, ddmi_domains

from ddmi_core.errors import DataError
from ddmi_core.parts import StoredGrid
from ddmi_core.testing import Subject, checks

SETTINGS = ("domain.count=40",)
PARTS = SeriesParts(SERIES, SeriesSettings(hours=10.0, cells=20))


@pytest.fixture(scope="module")
def subject():
    with Subject(SERIES, settings=SETTINGS) as subject:
        yield subject


@pytest.mark.parametrize("check", checks())
def test_contract(check, subject):
    check(subject)


def test_the_hook_gives_the_domain():
    assert ddmi_domains() == [SERIES]


@pytest.mark.parametrize("number", range(2 * len(KINDS)))
def test_measurements_are_irregular_have_gaps_and_lie_on_the_curve(number):
    hours, levels = measured(number, 48.0)
    steps = np.diff(hours)
    assert 30 < len(hours) < 200
    assert steps.min() > 0
    assert steps.max() > 2 > 10 * np.median(steps) / 4
    np.testing.assert_array_equal(levels, level(number, hours, 48.0))
    assert np.abs(levels).max() < 1


def test_signals_of_a_batch_have_different_numbers_of_measurements(subject):
    counts = (subject.batch.weights > 0).sum(dim=1)
    assert len(set(counts.tolist())) > 1


def test_a_table_is_read_as_its_measurements(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("hours,level\n0.5,0.25\n7.5,-1\n10,1\n")
    signal = PARTS.read(path)
    assert signal.coords[0, :, 0].tolist() == pytest.approx([-0.9, 0.5, 1.0])
    assert signal.values[0, :, 0].tolist() == [0.25, -1, 1]
    assert signal.weights.tolist() == [[1, 1, 1]]


def test_a_written_original_reads_back_without_the_gaps(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("hours,level\n" + "".join(f"{hour},{hour / 20}\n" for hour in (0.25, 0.75, 1.25, 8.75)))
    write_table(PARTS.ground_truth(PARTS.read(path), 0), tmp_path / "b.csv")
    hours = (PARTS.read(tmp_path / "b.csv").coords[0, :, 0] + 1) * 5
    assert hours.min() == pytest.approx(0.25)
    assert not ((hours > 3) & (hours < 7)).any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hours,level\n1,2,3\n", "not a table of two columns"),
        ("hours,level\n1,a\n", "not a table of two columns"),
        ("hours,level\n1,2\n", "levels in -1 to 1"),
        ("hours,level\n11,0\n", "hours must lie in 0 to 10"),
        ("hours,level\n1,nan\n", "levels in -1 to 1"),
        ("hours,level\n", "not a table|hours must"),
    ],
)
def test_other_tables_are_refused(tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        PARTS.read(path)
    assert "a.csv" in str(caught.value)


def test_the_picture_is_interrupted_in_gaps():
    values = np.zeros((20, 1), dtype=np.float32)
    values[8:12] = np.nan
    drawn = np.asarray(PARTS.picture(StoredGrid(values=values, size=(20,), extent=(10.0,))))
    marked = (drawn == INK).all(axis=-1).any(axis=0)
    assert marked[20:100].all()
    assert not marked[170:210].any()
    assert marked[300:360].all()
