"""The checks of this project as sessions of nox, in the environment that nox runs in."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

BIN = Path(sys.executable).parent
PLUGINS = ("nerf", "video", "occupancy", "image")

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "imports", "docs", "tests"]


def run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run a program of the environment."""
    session.run(str(BIN / program), *arguments, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; arguments after `--` go to pytest."""
    run(session, "pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """The tests with coverage of lines, which makes them slower; arguments after `--` go to pytest."""
    run(session, "pytest", "--cov", "--cov-report=term", *session.posargs)


@nox.session
def speed(session: nox.Session) -> None:
    """Ratios of fast paths to plain ones, which have to hold, and times beside the baseline, which may differ.

    Arguments after `--` go to pytest; `--benchmark-json=benchmarks/baseline.json` stores a new baseline.
    """
    benchmark = ("-p", "pytest_benchmark.plugin", "--benchmark-columns=min,median,max,rounds", "--benchmark-sort=name")
    baseline = "--benchmark-compare=benchmarks/baseline.json"
    options = ("--numprocesses=0", "--capture=no", "-p", "no:cacheprovider", *benchmark, baseline)
    run(session, "pytest", "benchmarks/test_speed.py", *options, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and format."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Types."""
    run(session, "mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """The direction of imports between packages."""
    run(session, "lint-imports", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """The map of the code, and the documentation; arguments after `--` go to mkdocs."""
    run(session, "python", "tools/code_map.py", "--check")
    run(session, "mkdocs", "build", "--strict", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """The built-in plugins, or those named after `--`, against the contract."""
    session.run(".ci/contract", str(BIN), *(session.posargs or PLUGINS), external=True)


@nox.session
def lowest(session: nox.Session) -> None:
    """Fast tests with the lowest version of every dependency."""
    session.run("tools/lowest_versions.sh", *session.posargs, external=True)


@nox.session
def mutation(session: nox.Session) -> None:
    """The share of small faults that the tests of the numerical packages find (hours; needs the extra `mutation`).

    Arguments after `--` go to the tool.
    """
    run(session, "python", "tools/mutation.py", *session.posargs)
