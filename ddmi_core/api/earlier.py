"""The API version before this one: what differed, and how its plugins are served."""

from __future__ import annotations

from typing import Any

from ddmi_core.api.domain import API_VERSION, Domain

EARLIER = API_VERSION - 1
REMOVED_IN = "0.3"  # version of ddmi that no longer accepts it


def built(domain: Domain, part: str, *arguments: Any) -> Any:
    """Call the function that builds a part of a domain.

    Since version 1 these functions take the domain's description first, so that ready parts can be named by
    reference; those of version 0 take the other arguments alone.

    Args:
        domain: the description.
        part: one of `encoder`, `decoder`, `sampler`, `renderer`, `views` and `panel`.
        arguments: what follows the description.
    """
    reference = getattr(domain, part)
    build = domain.resolve(reference)
    ready = reference.startswith("ddmi_core.")
    return build(*arguments) if domain.api_version == EARLIER and not ready else build(domain, *arguments)
