"""Tables of scattered values: both formats, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddmi_core.completion.tables import read_values
from ddmi_core.errors import DataError
from whole_runs import DOMAINS


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("t\n0\n", "column 'height' is missing"),
        ("t,height,u\n0,0,0\n", "unknown column 'u'"),
        ("t,height\n2,0\n", "row 1 has t = 2"),
        ("t,height\n0,nan\n", "row 1 of column 'height' is not a finite number"),
        ("t,height\n0,high\n", "must be numbers"),
        ("t,height\n0\n", "row 1 has 1 cells"),
        ("t,height\n", "from 1 to"),
        ("", "is missing"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(rows, said, tmp_path):
    path = tmp_path / "values.csv"
    path.write_text(rows)
    with pytest.raises(DataError, match=said):
        read_values(path, DOMAINS["wave"])


def test_tables_of_both_kinds_hold_the_same(tmp_path):
    (tmp_path / "values.csv").write_text("height, t\n0.5,-0.25\n-1,1\n")
    np.savez(tmp_path / "values.npz", t=[-0.25, 1], height=[0.5, -1])
    for name in ("values.csv", "values.npz"):
        seen = read_values(tmp_path / name, DOMAINS["wave"])
        torch.testing.assert_close(seen.values, torch.tensor([[0.5], [-1.0]]))
        torch.testing.assert_close(seen.queries.coords, torch.tensor([[[-0.25], [1.0]]]))


def test_an_npz_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "values.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="not an NPZ file"):
        read_values(tmp_path / "values.npz", DOMAINS["wave"])
