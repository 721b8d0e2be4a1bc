"""Soak test: random kills, damaged files, hostile inputs and short resources for hours, and a table of the results.

    python tools/soak.py --hours 3 --out soak

Trials of all kinds take turns. Each has a seed of its own, so that `--only KIND --seed S --trial N` repeats it; the
folder of a failed trial stays in OUT/trials. OUT/table.md and OUT/table.json are written all the while. The exit
status is 1 if a trial failed. It needs Linux or macOS (processes are forked), and works on the CPU.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

TURN = 20.0  # seconds of a kind with a share of 1, before the next kind has its turn
WRITTEN = 10.0  # seconds between two writes of the table within a turn
NUMBERS = 1 << 30  # trials of a kind at most


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0, help="how long (3)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table and of what failed")
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="kinds whose name contains this")
    parser.add_argument("--domain", action="append", default=[], metavar="NAME", help="runs of these domains (all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all trials (0)")
    parser.add_argument("--trial", type=int, default=None, help="repeat the trial with this number alone")
    parser.add_argument("--most", type=int, default=NUMBERS, help="trials of each kind at most")
    parser.add_argument("--nice", type=int, default=0, help="niceness added to the process (0)")
    parser.add_argument("--list", action="store_true", help="list the kinds")
    return parser.parse_args()


def main() -> int:
    """Run trials of the chosen kinds in turn until the time is over."""
    asked = options()
    os.nice(asked.nice)
    for name, value in (("OMP_NUM_THREADS", "1"), ("CUDA_VISIBLE_DEVICES", ""), ("PYTHONUNBUFFERED", "1")):
        os.environ[name] = value
    out: Path = asked.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"):
        place = out / "home" / name.lower()
        place.mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(place)

    from soaking import tiny_runs
    from soaking.all_kinds import KINDS
    from soaking.tally import Tally
    from soaking.trials import GOOD, trials

    kinds = [kind for kind in KINDS if not asked.only or any(part in kind.name for part in asked.only)]
    if asked.list or not kinds:
        print("\n".join(kind.name for kind in KINDS))
        return 0 if asked.list else 2
    for name in set(tiny_runs.SHARES) - set(asked.domain or tiny_runs.SHARES):
        del tiny_runs.SHARES[name]
    tiny_runs.preloaded()
    tally, next_number = Tally(out, asked.seed), dict.fromkeys((kind.name for kind in kinds), 0)
    end = time.monotonic() + 3600 * asked.hours
    written = 0.0
    while kinds and time.monotonic() < end:
        for kind in list(kinds):
            first = next_number[kind.name] if asked.trial is None else asked.trial
            last = min(asked.most, NUMBERS) if asked.trial is None else first + 1
            folder = out / "trials" / kind.name.replace(" ", "-").replace(":", "")
            folder.mkdir(parents=True, exist_ok=True)
            for number, verdict in trials(kind, folder, range(first, last), asked.seed, TURN * kind.share):
                next_number[kind.name] = number + 1
                described = tally.add(kind.name, number, verdict)
                if verdict.outcome not in GOOD and not described:
                    shutil.rmtree(folder / str(number), ignore_errors=True)
                if time.monotonic() > written + WRITTEN:
                    tally.write()
                    written = time.monotonic()
                if described:
                    print(f"{kind.name} {number}: {verdict.outcome}: {verdict.how}: {verdict.said}", flush=True)
                if time.monotonic() > end:
                    break
            tally.write()
            if next_number[kind.name] >= last or asked.trial is not None:
                kinds.remove(kind)
    print(tally.table())
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
