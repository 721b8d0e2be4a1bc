"""Parameters and forward FLOPs of each part of the presets `paper`, against the authors' published configurations."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ddmi_core.model.counts import Counts, count
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve

WITHIN = 0.1  # of the authors' number
UNITS = {"M": 1e6, "G": 1e9}
# The authors' numbers, counted in the same way from their classes with the configuration files that it names.
TABLE = tomllib.loads((Path(__file__).parents[2] / "docs" / "paper.toml").read_text(encoding="utf-8"))
ROWS = [row for row in TABLE["row"] if "count" in row]


@cache
def counted(preset: str) -> Counts:
    plugin, name = preset.split("/")
    domain = domain_named(plugin)
    config = resolve(domain, name)
    return count(build_parts(domain, config.domain), config)


@pytest.mark.parametrize("name", TABLE["presets"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["count"])
def test_each_part_has_the_size_of_the_authors(row: dict[str, Any], name: str):
    quantity, part = row["count"].split(".")
    entry = TABLE["presets"][name]
    found = getattr(getattr(counted(entry["preset"]), quantity), part) / UNITS[row["unit"]]
    theirs = row["authors"][name]
    assert found == pytest.approx(theirs, rel=WITHIN), f"{found:.4g} against {theirs:.4g} of {entry['files']}"


def test_every_part_of_every_preset_is_in_the_table():
    assert {row["count"] for row in ROWS} == {
        f"{quantity}.{part}"
        for quantity in ("parameters", "flops")
        for part in ("encoder", "decoder", "readout", "denoiser")
    }
    assert all(set(row["authors"]) == set(TABLE["presets"]) for row in ROWS)


def test_the_preset_for_small_pictures_has_the_networks_of_the_large_ones():
    small, large = counted("image/paper-celeba64"), counted("image/paper")
    assert small.parameters == large.parameters
    assert small.flops.readout == large.flops.readout
    # Attention in the middle, over cells of 512 channels, grows with the square of their number.
    attention = 4 * 512 * (64**4 - 16 * 16**4)
    assert large.flops.encoder - small.flops.encoder * 16 == attention
    assert large.flops.decoder - small.flops.decoder * 16 == attention
