"""What the tests of the kit share: the plugin that keeps the contract, small, and its data."""

from __future__ import annotations

import sys

import pytest
from small_sound import SMALL

import known_plugins

sys.path.insert(0, str(known_plugins.AUDIO))


@pytest.fixture(scope="session")
def sound():
    """The plugin that keeps the contract."""
    from ddmi_audio.plugin import AUDIO

    return AUDIO


@pytest.fixture(scope="session")
def subject(sound):
    """It, under examination."""
    from ddmi_core.testing import Subject

    with Subject(sound, settings=SMALL) as subject:
        yield subject
