"""A subprocess that uses a domain and reports the side effects on the process."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from ddmi_core.api.domain import Domain
from ddmi_core.registry.limit import ended, fix
from ddmi_core.testing.check import TimeLimit

SECONDS = 300.0  # of CPU time
LINES = 5  # of the output of a process that ended early
PROGRAM = "ddmi_core.testing.fresh_process_main"


@frozen(kw_only=True)
class ProcessReport:
    """Side effects of a domain on a process."""

    heavy: tuple[str, ...]  # heavy modules that loading the description imported
    reason: str  # why the plugin could not be loaded by its name; empty if it could
    fingerprints: tuple[str, ...]  # of the training and the held-out signals
    changed: dict[str, tuple[str, str]]  # changed state of the process: before and after
    variables: dict[str, str]  # changed environment variables, and the module that set each; empty if unknown
    imports: dict[str, float]  # CPU time in seconds of importing `description` and `implementation`
    connections: tuple[str, ...]  # refused connections
    threads: tuple[str, ...]  # still running
    children: tuple[str, ...]  # processes, still running
    cuda: bool  # whether a GPU was initialised
    files: tuple[str, ...]  # left in the working folder and the folder for temporary files


class FreshProcess:
    """A process that uses a domain once: it loads, encodes, decodes, samples, observes, renders and writes.

    It runs concurrently until `report` waits for it.

    Args:
        domain: the domain; its references must be importable.
        preset: one of its presets, or empty.
        data: as for `ddmi run --data`.
        settings: as for `ddmi run --set`.
        name: of its entry point, or empty.
        folder: an empty folder.
        environment: environment variables.
    """

    def __init__(
        self,
        domain: Domain,
        preset: str,
        data: str,
        settings: Sequence[str],
        name: str,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        here, temporary, out = (folder / part for part in ("here", "temporary", "out"))
        for place in (here, temporary, out):
            place.mkdir()
        request = folder / "request"
        self.places, self.reply, self.printed = (here, temporary), folder / "reply.json", folder / "printed"
        maps: Any = {a.name: dict(getattr(domain, a.name)) for a in attrs.fields(Domain) if "Mapping" in str(a.type)}
        path = [str(Path(entry).absolute()) for entry in sys.path]
        arguments = {
            "path": path,
            "domain": pickle.dumps(attrs.evolve(domain, **maps)),
            "preset": preset,
            "data": data,
            "settings": list(settings),
            "name": name,
            "out": str(out),
        }
        request.write_bytes(pickle.dumps(arguments))
        # Another hash seed reveals dependence on hashes; a separate temporary folder reveals files that are left.
        seed = "2" if environment.get("PYTHONHASHSEED") == "1" else "1"
        named = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
        # One thread: threads of both processes would compete for processors and be several times slower.
        given = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
        environment = {**environment, **named, **given}
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(request), str(self.reply)],
                cwd=here,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
            )

    def stop(self) -> None:
        """Kill the process if it is running."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def report(self) -> ProcessReport:
        """Wait for the process and return its report.

        Raises:
            TimeLimit: if it took too long.
            RuntimeError: if it failed, with the reason.
        """
        if late := ended(self.process, SECONDS):
            raise TimeLimit(f"a fresh process that uses the domain {late}; {fix()}")
        if not self.reply.exists():
            last = " | ".join(self.printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LINES:])
            status = self.process.returncode
            raise RuntimeError(f"a fresh process that used the domain ended with status {status}: {last}")
        found = json.loads(self.reply.read_text(encoding="utf-8"))
        if found["error"]:
            raise RuntimeError(f"in a fresh process: {found['error']}")
        files = [f"{place.name}/{file.relative_to(place)}" for place in self.places for file in place.rglob("*")]
        return ProcessReport(
            heavy=tuple(found["heavy"]),
            reason=found["reason"],
            fingerprints=tuple(found["fingerprints"]),
            changed={key: (before, after) for key, (before, after) in found["changed"].items()},
            variables=found["variables"],
            imports=found["imports"],
            connections=tuple(found["connections"]),
            threads=tuple(found["threads"]),
            children=tuple(found["children"]),
            cuda=found["cuda"],
            files=tuple(sorted(files)),
        )
