"""Runs and commands that are killed, stopped, started twice, or short of disk, permission or memory."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from soaking import tiny_runs
from soaking.tiny_runs import LIMIT, SHARES, copy, difference, facts, half, leftovers, undisturbed
from soaking.trials import ERROR, HANG, OK, OTHER, SILENT, TRACEBACK, Command, Ended, Kind, Trial, Verdict, ran

MARKS = ("run.toml", "autoencoder/step-*", "autoencoder/final", "latents/final", "denoiser/step-*", "denoiser/final")
MARKS += ("samples/*", "evaluation", "metrics.json", "report.html")


def of_domains(make: Callable[[str, Path], Trial]) -> Callable[[Path], Trial]:
    """A trial of a random domain, prepared when its turn comes."""

    def prepare(folder: Path) -> Trial:
        made: dict[str, Trial] = {}

        def trial(draw: random.Random, own: Path) -> Verdict:
            (domain,) = draw.choices([*SHARES], [*SHARES.values()])
            if domain not in made:
                made[domain] = make(domain, folder)
            return made[domain](draw, own)

        return trial

    return prepare


def completed(domain: str, out: Path, own: Path, expected: dict[str, str], how: str) -> Verdict:
    """Resume a run to its end, and compare it with the undisturbed one."""
    ended = ran(tiny_runs.resumption(domain, out), own / "resume", LIMIT)
    verdict = ended.verdict(how)
    if verdict.outcome != OK:
        return verdict if verdict.outcome != ERROR else Verdict(OTHER, f"cannot resume: {verdict.said}", how)
    if changed := difference(facts(out), expected):
        return Verdict(SILENT, f"differs: {changed}", how)
    if left := leftovers(out):
        return Verdict(OTHER, f"left: {left}", how)
    return Verdict(OK, "", how)


def _killed(domain: str, folder: Path) -> Trial:
    begun = time.monotonic()
    expected = facts(undisturbed(folder, domain))
    lasts = [max(3.0, min(60.0, time.monotonic() - begun))]

    def trial(draw: random.Random, own: Path) -> Verdict:
        out, moments = own / "run", []
        for _ in range(draw.choice((1, 1, 2, 3))):
            command = Command(tiny_runs.resumption(domain, out), own / "killed")
            mark = draw.choice((*MARKS, ""))
            if mark:
                tiny_runs.wait_for(command, out, mark, LIMIT)
                pause = draw.expovariate(8)
            else:
                pause = draw.uniform(0, lasts[0])
            time.sleep(pause)
            moments.append(f"{mark or 'start'} + {pause:.3f} s")
            ended = tiny_runs.end(command)
            if "Traceback" in ended.said:
                return ended.verdict(f"{domain}, killed at {moments}")
        return completed(domain, out, own, expected, f"{domain}, killed at {', then '.join(moments)}")

    return trial


def _stopped(domain: str, folder: Path) -> Trial:
    expected = facts(undisturbed(folder, domain))

    def trial(draw: random.Random, own: Path) -> Verdict:
        out = own / "run"
        command = Command(tiny_runs.words(domain, out), own / "stopped")
        for _ in range(3):
            tiny_runs.wait_for(command, out, draw.choice(MARKS), LIMIT)
            time.sleep(draw.expovariate(8))
            command.signal(signal.SIGSTOP)
            time.sleep(draw.uniform(0.05, 0.5))
            command.signal(signal.SIGCONT)
        how = f"{domain}, SIGSTOP and SIGCONT"
        verdict = command.wait(LIMIT).verdict(how)
        return verdict if verdict.outcome != OK else completed(domain, out, own, expected, how)

    return trial


def _interrupted(domain: str, folder: Path) -> Trial:
    expected = facts(undisturbed(folder, domain))

    def trial(draw: random.Random, own: Path) -> Verdict:
        out, number = own / "run", draw.choice((signal.SIGINT, signal.SIGTERM))
        command = Command(tiny_runs.words(domain, out), own / "interrupted")
        mark = draw.choice((*MARKS, ""))
        if mark:
            tiny_runs.wait_for(command, out, mark, LIMIT)
        time.sleep(draw.expovariate(10))
        with suppress(ProcessLookupError):
            os.kill(command.pid, number)
        ended = command.wait(LIMIT)
        how = f"{domain}, {signal.Signals(number).name} after {mark or 'start'}, status {ended.status}"
        verdict = ended.verdict(how)
        if ended.status not in (0, 130, 143, -signal.SIGTERM, -signal.SIGINT):  # at the very end of the program
            return verdict
        if verdict.outcome in (TRACEBACK, HANG):
            return verdict
        return completed(domain, out, own, expected, how)

    return trial


def _twice(domain: str, folder: Path) -> Trial:
    undone = half(folder, domain)
    expected = facts(undisturbed(folder, domain))

    def trial(draw: random.Random, own: Path) -> Verdict:
        out, how = copy(undone, own / "run"), f"{domain}, two --resume at once"
        first = Command(tiny_runs.resumption(domain, out), own / "first")
        time.sleep(draw.choice((0.0, 0.0, draw.uniform(0, 2))))
        second = Command(tiny_runs.resumption(domain, out), own / "second")
        verdicts = [command.wait(LIMIT).verdict(how) for command in (first, second)]
        for verdict in verdicts:
            if verdict.outcome not in (OK, ERROR):
                return verdict
        if all(verdict.outcome == ERROR for verdict in verdicts):
            return Verdict(OTHER, f"both ended: {verdicts[0].said} / {verdicts[1].said}", how)
        return completed(domain, out, own, expected, how)

    return trial


def _applied(domain: str, folder: Path) -> dict[str, list[str]]:
    """Commands that apply a finished run, by name; each ends with its output folder."""
    run = undisturbed(folder, domain)
    inputs = folder.parent.parent / "inputs" / domain
    if not inputs.exists():
        suffix = {"image": ".png", "occupancy": ".obj", "video": ".mp4", "nerf": ".png"}[domain]
        made = ran(["sample", str(run), "-n", "1", "--format", suffix, "--out", str(inputs)], folder / "inputs", LIMIT)
        if made.status != 0:
            raise RuntimeError(made.said)
    source = str(next(path for path in sorted(inputs.iterdir()) if path.is_file()))
    found = {"sample": ["sample", str(run), "-n", "3", "--out"]}
    if domain in ("image", "video"):
        found["reconstruct"] = ["reconstruct", str(run), source, "--out"]
        found["complete"] = ["complete", str(run), source, "--observe", "x<0", "-n", "2", "--steps", "2", "--out"]
    return found


def _output(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): tiny_runs.digest(path) for path in tiny_runs.files(out)}


def _applied_killed(domain: str, folder: Path) -> Trial:
    commands = _applied(domain, folder)
    expected: dict[str, dict[str, str]] = {}
    lasted: dict[str, float] = {}

    def trial(draw: random.Random, own: Path) -> Verdict:
        name = draw.choice(sorted(commands))
        if name not in expected:
            begun = time.monotonic()
            if (ended := ran([*commands[name], str(own / "whole")], own / "work", LIMIT)).status != 0:
                return ended.verdict(f"{domain}, {name}")
            expected[name], lasted[name] = _output(own / "whole"), time.monotonic() - begun
        out, run = own / "out", undisturbed(folder, domain)
        before = _output(run)
        words = [*commands[name], str(out), "--overwrite"]
        command = Command(words, own / "killed")
        pause = draw.uniform(0, 1.1 * lasted[name])
        time.sleep(pause)
        tiny_runs.end(command)
        how = f"{domain}, {name} killed after {pause:.3f} s"
        verdict = ran(words, own / "again", LIMIT).verdict(how)
        if verdict.outcome != OK:
            return verdict
        if changed := difference(_output(out), expected[name]):
            return Verdict(SILENT, f"differs: {changed}", how)
        if changed := difference(_output(run), before):
            return Verdict(OTHER, f"the run's folder has changed: {changed}", how)
        return Verdict(OK, "", how)

    return trial


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """A disk of some bytes mounted at a folder; the function frees space.

    Raises:
        OSError: if this process may mount none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "soak", folder], capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(done.stderr)
    grow = ["mount", "-o", "remount,size=256m", str(folder)]
    try:
        yield lambda: subprocess.run(grow, check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def _full(domain: str, folder: Path) -> Trial:
    whole = undisturbed(folder, domain)
    expected = facts(whole)
    size = sum(path.stat().st_size for path in tiny_runs.files(whole))

    def trial(draw: random.Random, own: Path) -> Verdict:
        room = draw.randrange(8192, int(1.3 * size))
        how = f"{domain}, a disk of {room} bytes"
        try:
            with small_disk(own / "disk", room) as grow:
                out = own / "disk" / "run"
                verdict = ran(tiny_runs.words(domain, out), own / "full", LIMIT).verdict(how)
                if verdict.outcome not in (OK, ERROR):
                    return verdict
                grow()
                return completed(domain, out, own, expected, how)
        except OSError:
            limit = draw.randrange(512, max(1024, max(path.stat().st_size for path in tiny_runs.files(whole))))
            how, out = f"{domain}, files of {limit} bytes at most", own / "run"
            bound = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
            verdict = ran(tiny_runs.words(domain, out), own / "full", LIMIT, bound).verdict(how)
            return verdict if verdict.outcome not in (OK, ERROR) else completed(domain, out, own, expected, how)

    return trial


def _read_only(domain: str, folder: Path) -> Trial:
    undone, whole = half(folder, domain), undisturbed(folder, domain)

    def forbidden() -> None:
        """Give up what lets the superuser write anywhere: all capabilities (capset(2), version 3)."""
        if os.getuid() == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()):
                raise OSError(ctypes.get_errno(), "capset")

    def trial(draw: random.Random, own: Path) -> Verdict:
        out = copy(draw.choice((undone, whole)), own / "run")
        finished = (out / "report.html").exists()
        said = own / "said"
        said.mkdir()
        words = draw.choice(
            (
                tiny_runs.resumption(domain, out),
                ["report", str(out)],
                ["evaluate", str(out)],
                ["sample", str(out), "-n", "1", "--out", str(out / "more")],
                tiny_runs.words(domain, own / "run" / "new"),
            )
        )
        for path in sorted(out.rglob("*"), reverse=True):
            path.chmod(0o555 if path.is_dir() else 0o444)
        out.chmod(0o555)
        said.chmod(0o777)
        own.chmod(0o555)
        before = _output(out)
        how = f"{domain}, read-only {'finished' if finished else 'half-finished'} run: {' '.join(words[:2])}"
        try:
            verdict = ran(words, said, LIMIT, forbidden).verdict(how)
        finally:
            own.chmod(0o755)
            out.chmod(0o755)
            for path in out.rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
        if verdict.outcome in (OK, ERROR) and (changed := difference(_output(out), before)):
            return Verdict(OTHER, f"a read-only folder has changed: {changed}", how)
        return verdict

    return trial


def _little_memory(domain: str, folder: Path) -> Trial:
    whole, undone = undisturbed(folder, domain), half(folder, domain)
    expected = facts(whole)

    def trial(draw: random.Random, own: Path) -> Verdict:
        megabytes = draw.choice((5, 20, 50, 100, 200, 400, 800))

        def bound() -> None:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            most = pages * resource.getpagesize() + (megabytes << 20)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

        how = f"{domain}, {megabytes} MB more memory"
        if draw.random() < 0.5:
            words = ["sample", str(whole), "-n", "3", "--out", str(own / "out")]
            return ran(words, own / "work", LIMIT, bound).verdict(f"{how}, sample")
        out = copy(undone, own / "run")
        verdict = ran(tiny_runs.resumption(domain, out), own / "work", LIMIT, bound).verdict(f"{how}, resume")
        return verdict if verdict.outcome not in (OK, ERROR) else completed(domain, out, own, expected, how)

    return trial


def _torchrun(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "ddmi_core"]
    with (folder / "said").open("wb") as said:
        return subprocess.Popen([*launch, *words], stdout=said, stderr=said, cwd=folder, start_new_session=True)


def _end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill the launcher and its processes, the processes first."""
    import psutil

    with suppress(psutil.Error):
        for each in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
            with suppress(psutil.Error):
                each.kill()
    process.wait()


def _two_processes(folder: Path) -> Trial:
    domain = "image"
    expected: dict[str, str] = {}

    def finish(words: list[str], own: Path, how: str) -> Verdict:
        process = _torchrun(words, own)
        try:
            status: int | None = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            status = None
            _end_tree(process)
        said = (own / "said").read_text(encoding="utf-8", errors="replace")
        return Ended(status, said).verdict(how)

    def trial(draw: random.Random, own: Path) -> Verdict:
        if not expected:
            whole = folder.parent.parent / "runs" / f"{domain}-two"
            if not (whole / "report.html").exists():
                shutil.rmtree(whole, ignore_errors=True)
                verdict = finish(tiny_runs.words(domain, whole), own / "whole", "two processes, undisturbed")
                if verdict.outcome != OK:
                    return verdict
            expected.update(facts(whole))
        out, mark = own / "run", draw.choice(MARKS[:-2])
        process = _torchrun(tiny_runs.words(domain, out), own / "killed")
        until = time.monotonic() + LIMIT
        while process.poll() is None and not any(out.glob(mark)) and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(draw.expovariate(8))
        _end_tree(process)
        how = f"two processes, killed after {mark}"
        verdict = finish(tiny_runs.resumption(domain, out), own / "resume", how)
        if verdict.outcome != OK:
            return verdict
        if changed := difference(facts(out), expected):
            return Verdict(SILENT, f"differs: {changed}", how)
        return Verdict(OTHER, f"left: {left}", how) if (left := leftovers(out)) else verdict

    return trial


MAKERS: tuple[tuple[str, Callable[[str, Path], Trial], float], ...] = (
    ("kill: run", _killed, 12),
    ("kill: sample, reconstruct, complete", _applied_killed, 3),
    ("stop and continue", _stopped, 2),
    ("interrupt", _interrupted, 4),
    ("two resumes", _twice, 2),
    ("full disk", _full, 4),
    ("read-only", _read_only, 2),
    ("little memory", _little_memory, 2),
)
KINDS = (
    *(Kind(name, of_domains(make), limit=1000.0, share=share, forked=False) for name, make, share in MAKERS),
    Kind("kill: two processes", _two_processes, limit=1000.0, share=2, forked=False),
)
