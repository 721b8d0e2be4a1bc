"""`ddmi evaluate`: measure a finished run again."""

from __future__ import annotations

from ddmi_core.cli import options
from ddmi_core.cli.output import print_result
from ddmi_core.cli.source import check_run


def evaluate(run: options.RunFolder, as_json: options.Json = False) -> None:
    """Measure reconstructions and samples of a run, and write metrics.json."""
    check_run(run)

    from ddmi_core.runs import evaluate as evaluation

    print_result(evaluation.evaluate(run), as_json)
