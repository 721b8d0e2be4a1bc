"""Kills runs at random times, resumes them, and compares their final weights with those of an undisturbed run.

    python examples/kill_and_resume.py --moments 10 --seed 0

Each run is tiny (some seconds). It receives SIGKILL, which a program cannot handle, at a random time after its folder
has appeared. `ddmi run --resume` then completes it. The exit status is 1 if any file differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

COMMAND = (sys.executable, "-c", "from ddmi_core.cli.main import main; main()")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
POLL = 0.01  # seconds


def arguments(out: Path, steps: int) -> list[str]:
    """Arguments of a tiny run of the image plugin."""
    training = {"steps": steps, "batch": 4, "checkpoint": 7, "log": 5, "warmup": 5, "precision": "fp32"}
    settings = {
        "domain.limit": 40,
        "domain.size": 16,
        "domain.multiples": [1],
        "autoencoder.points": 64,
        "autoencoder.encoder.widths": [8, 8],
        "autoencoder.decoder.widths": [8, 8],
        "autoencoder.decoder.basis": [4, 4],
        "autoencoder.readout.width": 16,
        "autoencoder.readout.depth": 1,
        "diffusion.denoiser.width": 8,
        "diffusion.denoiser.multipliers": [1],
        "diffusion.denoiser.blocks": 1,
        "sampling.count": 2,
        "sampling.steps": 2,
        "evaluation.samples": 4,
        "evaluation.grid": "['ddim:2']",
    }
    for stage in ("autoencoder", "diffusion"):
        settings |= {f"{stage}.training.{key}": value for key, value in training.items()}
    sets = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    return ["run", "--plugin", "image", "--out", str(out), *sets]


def start(words: Sequence[str]) -> subprocess.Popen[str]:
    """Start `ddmi` with these arguments."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *words], stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)


def resumption(out: Path, steps: int) -> list[str]:
    """Arguments that resume a run, or start it again if it has not written its `run.toml`."""
    if (out / "run.toml").exists():
        return ["run", "--plugin", "image", "--out", str(out), "--resume"]
    return arguments(out, steps)


def complete(words: Sequence[str]) -> None:
    """Run `ddmi` to its end.

    Raises:
        SystemExit: with its output, if it fails.
    """
    process = start(words)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"ddmi {' '.join(words)} ended with status {process.returncode}:\n{said}")


def wait_for(process: subprocess.Popen[str], out: Path, pattern: str) -> None:
    """Wait until a file or folder appears in a run's folder, or the process ends."""
    while process.poll() is None and not any(out.glob(pattern)):
        time.sleep(POLL)


def kill_after(words: Sequence[str], out: Path, seconds: float) -> bool:
    """Start `ddmi`, and kill it some seconds after its run's folder appears; False if it ended before."""
    process = start(words)
    wait_for(process, out, "run.toml")
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def weights(out: Path) -> dict[str, str]:
    """Digests of the final weights of both stages."""
    files = [path for stage in ("autoencoder", "denoiser") for path in (out / stage / "final").glob("*.safetensors")]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def reached(out: Path) -> str:
    """The progress of a run, according to its folder."""
    for stage in ("denoiser", "latents", "autoencoder"):
        if (out / stage / "final").exists():
            return f"{stage} done"
        if steps := sorted(path.name for path in (out / stage).glob("step-*")):
            return f"{stage}, {steps[-1]}"
    return "started" if (out / "run.toml").exists() else "not started"


def main() -> None:
    """Kill, resume and compare the requested number of runs, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=10, help="number of runs to kill (10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random times (0)")
    parser.add_argument("--steps", type=int, default=150, help="training steps of each stage (150)")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        undisturbed = Path(scratch) / "undisturbed"
        process, begun = start(arguments(undisturbed, options.steps)), time.monotonic()
        wait_for(process, undisturbed, "run.toml")
        ready = time.monotonic()
        process.communicate()
        lasted, expected = time.monotonic() - ready, weights(undisturbed)
        if process.returncode or not expected:
            raise SystemExit(f"the undisturbed run failed with status {process.returncode}")
        print(
            f"undisturbed: {ready - begun:.1f} s to start, {lasted:.1f} s of work, {len(expected)} files of weights\n"
        )
        print(f"{'time':>8}  {'state':<26}  weights after --resume")
        random_moment, failures = random.Random(options.seed), 0
        for number in range(options.moments):
            moment, out = random_moment.uniform(0, lasted), Path(scratch) / str(number)
            killed = kill_after(arguments(out, options.steps), out, moment)
            state = reached(out) if killed else "finished before the kill"
            complete(resumption(out, options.steps))
            equal = weights(out) == expected
            failures += not equal
            print(f"{moment:6.2f} s  {state:<26}  {'equal to the bit' if equal else 'DIFFERENT'}", flush=True)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
