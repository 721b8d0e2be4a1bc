"""`ddmi bench`: measure this machine's speed of field evaluation."""

from __future__ import annotations

from ddmi_core.cli import options
from ddmi_core.cli.output import print_result


def bench(as_json: options.Json = False) -> None:
    """Measure field evaluation against the plain path and the matrix-product peak."""
    from ddmi_core import bench as benchmark

    print_result(benchmark.run(), as_json)
