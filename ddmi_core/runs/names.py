"""Names that a request may use, known without importing what they stand for."""

from __future__ import annotations

from ddmi_core.errors import RequestError, unknown_name

PRESETS = ("quick", "base", "paper")
SAMPLERS = ("ancestral", "ddim", "dpmpp_2m", "euler", "heun", "unipc")


def known_sampler(name: str) -> str:
    """The name, if a sampler has it.

    Raises:
        RequestError: if none has.
    """
    if name not in SAMPLERS:
        raise RequestError(unknown_name("sampler", name, SAMPLERS))
    return name


def sampler_and_steps(row: str) -> tuple[str, int]:
    """The parts of `sampler:steps`.

    Raises:
        RequestError: if it has another form, or no sampler has the name.
    """
    name, _, steps = row.partition(":")
    known_sampler(name)
    if not (steps.isascii() and steps.isdigit() and int(steps) > 0):
        raise RequestError(f"it was given {row!r}; it takes sampler:steps, for example 'ddim:50'")
    return name, int(steps)
