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
