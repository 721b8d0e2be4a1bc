"""Regions in words: what they select, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.completion.regions import region, union
from ddmi_core.errors import RequestError

LINE = (("t",), ())
LABELLED = (("x", "y"), ("turned",))


@pytest.mark.parametrize(
    ("names", "text", "said"),
    [
        (LINE, "q<0", "unknown axis 'q'"),
        (LINE, "t", "is not a bound"),
        (LINE, "t<", "is not a bound"),
        (LINE, "t<1.5", "run from -1 to 1"),
        (LINE, "t<-0.5, t>0.5", "is empty along t"),
        (LINE, "t>1", "is empty along t"),
        (LINE, "", "is not a bound"),
        (LABELLED, "z<0", "unknown column 'z'.*turned, x, y"),
        (LABELLED, "turned", "is not a bound.*turned=0"),
        (LABELLED, "turned=0, turned=1", "is empty along turned"),
        (LABELLED, "turned=1, turned<1", "is empty along turned"),
        (LABELLED, "turned>3, turned<2", "is empty along turned"),
        (LABELLED, "x=0", "selects a single point of axis x"),
        (LABELLED, "x<2", "run from -1 to 1"),
    ],
)
def test_a_region_that_means_nothing_is_refused(names, text, said):
    with pytest.raises(RequestError, match=said):
        region(text, *names)


def test_labels_may_be_any_numbers():
    assert region("turned=24, turned>=3", ("x",), ("turned",)).bounds == ((1, "=", 24.0), (1, ">=", 3.0))


def test_bounds_of_a_region_all_hold_and_regions_join():
    coords = torch.tensor([[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]])
    assert region("x<0, -0.6<=y<0", ("x", "y")).holds(coords).tolist() == [True, False, False, False]
    both = [region("x<0, y<0", ("x", "y")), region("0.5>=x>0, y>=0.5", ("x", "y"))]
    assert union(both, coords).tolist() == [True, False, False, True]
