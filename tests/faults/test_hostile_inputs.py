"""Hostile files and texts of users are refused in a sentence, or read."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from ddmi_core.completion.regions import region
from ddmi_core.grids.sizes import parse_size
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.viewer.params import Query
from soaking import inputs
from soaking.trials import GOOD, OK, judged

FILES = 60  # mutations of the files of each kind
EXTENSIONS = ("sounds",)  # of packages that need not be installed
TEXT = st.text(max_size=60) | st.text("0123456789.,xX@<>=-+e[]{}\"' \n\x00\x1b", max_size=60)
KEYS = st.sampled_from(
    ["domain.size", "autoencoder.training.rate", "diffusion.denoiser.heads", "evaluation.grid", "seed"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("name", [name for name in inputs.MAKERS if name not in EXTENSIONS])
def test_mutations_of_valid_inputs_are_refused_in_a_sentence_or_read(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "seeds").mkdir()
    trial = inputs.MAKERS[name][0](tmp_path / "seeds")
    faults, outcomes = [], set()
    for number in range(3 if name in inputs.TEXTS else FILES):
        own = tmp_path / f"trial {number}"
        own.mkdir()
        verdict = trial(random.Random(f"{name} {number}"), own)
        outcomes |= {verdict.outcome, *(["ok"] if verdict.taken else []), *(["error"] if verdict.refused else [])}
        if verdict.outcome not in GOOD:
            faults.append(f"{number}, {verdict.how}: {verdict.outcome}: {verdict.said}")
    assert not faults, "\n".join(faults[:10])
    # What is always refused, or never, would not be tested; views are tried in all domains at once, and short TOML
    # files bear few mutations.
    never = {"views": {"error"}, "descriptions of networks": {"ok"}, "configuration files": {"ok"}}.get(name, set())
    assert outcomes | never == set(GOOD)


def refused_or_read(read, *arguments):
    """Whether a call succeeds; it fails only by an error of ours, in words that a terminal shows."""
    verdict = judged(lambda: read(*arguments) and None)
    assert verdict.outcome in GOOD, verdict.said
    return verdict.outcome == OK


@how(max_examples=300)
@given(TEXT)
def test_any_text_is_a_region_or_none(text):
    if refused_or_read(region, text, ("x", "y"), ("part",)):
        assert region(text, ("x", "y"), ("part",)).bounds


@how(max_examples=300)
@given(TEXT)
def test_any_text_is_a_size_or_none(text):
    if refused_or_read(parse_size, text):
        assert all(length >= 1 for length in parse_size(text))


@pytest.mark.parametrize("name", ["image", "occupancy", "video", "nerf"])
def test_any_text_is_a_view_or_none(name):
    domain = domain_named(name)
    parts = build_parts(domain, resolve(domain).domain)

    @how(max_examples=100)
    @given(TEXT)
    def check(text):
        refused_or_read(parts.parse_view, text)

    check()


@how(max_examples=150)
@given(KEYS, TEXT)
def test_any_value_of_a_setting_is_taken_or_refused(key, value):
    refused_or_read(lambda: resolve(domain_named("image"), overrides=[f"{key}={value}"]))


@how(max_examples=300)
@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_of_a_request_is_taken_or_refused(body):
    refused_or_read(lambda: Query.of_json(body).samples())


@how(max_examples=300)
@given(st.dictionaries(st.sampled_from(["a", "b", "mix", "through", "channel", "serial", "bounds"]), TEXT))
def test_any_query_is_taken_or_refused(values):
    def read():
        query = Query(values)
        query.channel()
        query.mixture()
        query.numbers("bounds", -1, 1)

    refused_or_read(read)
