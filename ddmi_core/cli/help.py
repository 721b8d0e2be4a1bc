"""What the help of commands has beside their own texts: plain types and ranges, groups of options, examples, pages."""

from __future__ import annotations

import re
from typing import Any

LARGEST = 2**31  # a bound from here on is one of the machine, which tells a reader nothing
GROUPS = {
    "Model and data": ("--plugin", "--from", "--preset", "--data", "--config", "--set", "--trust", "--device"),
    "Request": (
        *("-n", "--seed", "--condition", "--guidance", "--autoguidance", "--steps", "--sampler", "--observe", "--hide"),
        *("--coarse", "--values", "--noise"),
    ),
    "Files": ("--out", "--size", "--format", "--faces", "--normalised", "--overwrite", "--json"),
}
LEAST = 8  # options of a command that has groups
EXAMPLES = {  # command: an example, and the page of the documentation
    "run": ("ddmi run --plugin NAME --data FOLDER --out runs/first", "getting-started.md"),
    "sample": ("ddmi sample runs/first --out samples -n 8 --size 256", "getting-started.md"),
    "complete": ("ddmi complete runs/first INPUT --observe 'x<0' --out completed", "how-to/complete.md"),
    "conditions": ("ddmi conditions --plugin NAME", "how-to/text.md"),
    "export": ("ddmi export runs/first --format onnx --out programs", "how-to/embedding.md"),
    "reconstruct": ("ddmi reconstruct runs/first INPUT --out reconstructed", "getting-started.md"),
    "evaluate": ("ddmi evaluate runs/first", "how-to/figures.md"),
    "tune": ("ddmi tune runs/first --calls 8 --minutes 10", "how-to/tune-sampling.md"),
    "report": ("ddmi report runs/first", "getting-started.md"),
    "view": ("ddmi view runs/first", "how-to/view.md"),
    "publish": ("ddmi publish runs/first published --license cc-by-sa-4.0", "how-to/share-weights.md"),
    "push": ("ddmi push published OWNER/NAME", "how-to/share-weights.md"),
    "fetch": ("ddmi fetch OWNER/NAME runs/NAME", "how-to/share-weights.md"),
    "settings": ("ddmi settings --plugin NAME --preset base", "reference/settings.md"),
    "doctor": ("ddmi doctor --plugin NAME --preset base", "how-to/memory-and-time.md"),
    "bench": ("ddmi bench --plugin NAME", "how-to/memory-and-time.md"),
    "status": ("ddmi status runs/first", "how-to/troubleshooting.md"),
    "check": ("ddmi data check FOLDER --plugin NAME", "getting-started.md"),
    "sources": ("ddmi data sources --plugin NAME", "getting-started.md"),
    "data": ("ddmi data check FOLDER --plugin NAME", "getting-started.md"),
    "plugins": ("ddmi plugins --check", "explanation/plugins.md"),
    "test": ("ddmi plugins test ./mine.py", "how-to/start-a-plugin.md"),
    "new": ("ddmi plugins new mine --axes xyt", "how-to/start-a-plugin.md"),
}
_BREAK = re.compile(r"(?<=\S)\n(?=\S)")  # inside a paragraph


def improve(command: Any) -> None:
    """Complete the help of a command or group of typer, which shows types of flags and ranges of the machine."""
    if command.help:
        command.help = _BREAK.sub(" ", command.help)
    own = str(getattr(command.callback, "__module__", "")).startswith("ddmi_core.")
    if own and command.name in EXAMPLES and not command.epilog:
        example, page = EXAMPLES[command.name]
        command.epilog = f"Example: {example}\n\nDocumentation: docs/{page}"
    options = [one for one in getattr(command, "params", ()) if one.param_type_name == "option"]
    for option in options:
        if len(options) >= LEAST and option.rich_help_panel is None:
            names = (name for name, members in GROUPS.items() if set(members) & set(option.opts))
            option.rich_help_panel = next(names, None)


def plain_type(parameter: Any) -> None:
    """Show no type of an argument or a flag, `N` for numbers, and no bound of the machine."""
    most = getattr(parameter, "max", None)
    if parameter.param_type_name == "argument":
        parameter.display_type_rich = _nothing
    elif parameter.is_flag:
        # Each version of typer asks one of both for the type.
        parameter.display_type_rich = parameter.make_metavar = _nothing
    elif most is not None or getattr(parameter, "min", None) is not None:
        parameter.metavar = parameter.metavar or "N"
        if most is not None and most >= LARGEST:
            parameter._get_number_range_help_str = _unbounded(parameter.min)


def _nothing(*arguments: Any, **options: Any) -> str:
    return ""


def _unbounded(least: int | None) -> Any:
    """A function that returns a range without an upper bound, for help."""
    return lambda: "" if least is None else f"x>={least}"
