"""Sizes of grids from text."""

from __future__ import annotations

import pytest

from ddmi_core.errors import RequestError
from ddmi_core.grids.sizes import parse_size


@pytest.mark.parametrize(("text", "size"), [("7", (7,)), ("48x64", (48, 64)), ("1X2x3", (1, 2, 3))])
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "4x", "0", "-1", "1.5", "٣", "9" * 5000, "4 x 4", "nan"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(RequestError, match="size"):
        parse_size(text)
