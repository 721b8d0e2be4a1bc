"""`ddmi bench`: measure this machine's speed of field evaluation."""

from __future__ import annotations

from ddmi_core.cli import options
from ddmi_core.cli.output import print_result


def bench(plugin: options.ShippedPlugin = "", size: options.Size = "", as_json: options.Json = False) -> None:
    """Measure field evaluation against the plain path and the matrix-product peak.

    With --plugin and --size, also the time and memory of one exported sample of the shipped weights.
    """
    from ddmi_core.cli.source import check_source

    view = options.parse_size(size)
    if plugin:
        check_source(None, plugin)
    from ddmi_core import bench as benchmark

    print_result(benchmark.run(plugin, view or ()), as_json)
