"""Settings of the readout: their limits."""

from __future__ import annotations

import pytest

from ddmi_core.fields.config import ReadoutConfig


@pytest.mark.parametrize(("name", "least"), [("width", 1), ("depth", 1), ("tail", 0)])
def test_counts_have_a_least_value(name, least):
    assert getattr(ReadoutConfig(**{name: least}), name) == least
    with pytest.raises(ValueError, match=name):
        ReadoutConfig(**{name: least - 1})


def test_nothing_beyond_the_paper_s_readout_is_on_unless_asked_for():
    assert not any((ReadoutConfig().residual, ReadoutConfig().tail, ReadoutConfig().modulated))
