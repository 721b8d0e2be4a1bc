"""The plugin's description, and a whole run of tiny size."""

from __future__ import annotations

import ast
import subprocess
import sys
import wave
from importlib.metadata import entry_points
from pathlib import Path

import ddmi_audio
import pytest
from ddmi_audio.parts import AudioParts
from ddmi_audio.plugin import AUDIO, ddmi_domains
from ddmi_audio.settings import AudioSettings

import ddmi_core

PACKAGE = Path(ddmi_audio.__file__).parent
PUBLIC = ("ddmi_core.api", "ddmi_core.errors", "ddmi_core.parts")
TINY = {
    "domain.count": 6,
    "domain.samples": 512,
    "autoencoder.points": 256,
    "autoencoder.training.steps": 3,
    "diffusion.training.steps": 3,
    "sampling.count": 2,
    "evaluation.samples": 4,
    "evaluation.grid": '["euler:2"]',
}


@pytest.fixture
def known():
    """The domain by its name, installed or not."""
    from ddmi_core.registry.registry import unregister

    if not entry_points(group="ddmi.plugins", name="audio"):
        ddmi_core.register(AUDIO)
    yield
    unregister("audio")


def test_description_imports_no_torch():
    program = "import sys, ddmi_audio.plugin; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=PACKAGE.parent, check=False).returncode == 0


def test_hook_gives_the_domain_and_its_parts_exist():
    assert ddmi_domains() == [AUDIO]
    assert AUDIO.load() is AudioParts
    parts = AudioParts(AUDIO, AudioSettings())
    for named in (parts.sources(), parts.metrics(), parts.exporters(), parts.perceptual(), AudioParts.presets()):
        assert named


def test_only_public_names_of_the_core_are_imported():
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith("ddmi_core") or name in PUBLIC, f"{path.name} imports {name}"


def test_settings_give_size_and_seconds():
    settings = AudioSettings(samples=2000, rate=8000, multiples=(1, 2, 4))
    assert (settings.native, settings.extent, settings.lengths) == ((2000,), (0.25,), (2000, 4000, 8000))


def test_a_run_plays_samples_at_any_rate(known, tmp_path):
    overrides = [f"{key}={value}" for key, value in TINY.items()]
    model = ddmi_core.run("audio", tmp_path / "run", overrides=overrides)
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("<audio") >= 2 * 2  # samples and their neighbours, beside the reconstructions
    path = tmp_path / "faster.wav"
    model.write(model.render(model.sample(1)[0], (1500,)), path)
    with wave.open(str(path)) as file:
        assert (file.getnframes(), file.getframerate()) == (1500, 1500 * 16)
    again = model.render(model.reconstruct(model.read(path)))
    assert (again.size, again.extent) == ((512,), (1 / 16,))
