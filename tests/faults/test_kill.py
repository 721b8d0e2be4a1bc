"""Real runs of the image plugin that are killed or interrupted, and resumed, end with the same bytes."""

from __future__ import annotations

import importlib.util
import random
import shlex
import signal
import time
from pathlib import Path

import pytest

STEPS = 70


def _example():
    path = Path(__file__).parents[2] / "examples" / "kill_and_resume.py"
    spec = importlib.util.spec_from_file_location("kill_and_resume", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = _example()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    example.complete(example.arguments(out, STEPS))
    digests = example.weights(out)
    assert set(digests) == {
        "autoencoder/final/weights.safetensors",
        "denoiser/final/weights.safetensors",
        "denoiser/final/snapshot.safetensors",
        "denoiser/final/normalisation.safetensors",
    }
    return digests


def test_a_run_killed_at_random_moments_and_resumed_equals_an_undisturbed_one(undisturbed, tmp_path):
    out, moments = tmp_path / "run", random.Random(0)
    for reached in ("autoencoder/step-*", "latents/final", "denoiser/step-*"):
        process = example.start(example.resumption(out, STEPS))
        example.wait_for(process, out, reached)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    example.complete(example.resumption(out, STEPS))
    assert example.weights(out) == undisturbed
    assert (out / "report.html").exists()
    for stage in ("autoencoder", "latents", "denoiser"):
        assert [path.name for path in (out / stage).iterdir()] == ["final"]


def test_signals_end_a_run_with_their_status_and_a_command_that_completes_it(undisturbed, tmp_path):
    out = tmp_path / "a run"
    words = example.arguments(out, STEPS)
    for number, status, stage in ((signal.SIGTERM, 143, "autoencoder"), (signal.SIGINT, 130, "denoiser")):
        process = example.start(words)
        example.wait_for(process, out, f"{stage}/step-*")
        process.send_signal(number)
        _, said = process.communicate()
        assert process.returncode == status, said
        assert f"of stage '{stage}'; the state is saved: continue with: ddmi run" in said
        assert "Traceback" not in said
        name, *words = shlex.split(said.split("continue with: ")[1])
        assert (name, words[-1]) == ("ddmi", "--resume")
    example.complete(words)
    assert example.weights(out) == undisturbed


def test_of_two_resumes_at_once_one_runs_undisturbed_and_the_other_names_it(undisturbed, tmp_path):
    out = tmp_path / "run"
    first = example.start(example.resumption(out, STEPS))
    example.wait_for(first, out, "autoencoder/step-*")
    first.send_signal(signal.SIGSTOP)  # so that it cannot end before the second one asks
    second = example.start(example.resumption(out, STEPS))
    text = "".join(part or "" for part in second.communicate(timeout=120))
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1, text
    assert f"is in use: process {first.pid} on " in " ".join(text.split())
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert example.weights(out) == undisturbed
    assert not list(out.glob(".lock-*"))
