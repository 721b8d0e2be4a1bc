"""Writer of a new plugin's files from templates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from attrs import asdict
from jinja2 import Environment, PackageLoader, StrictUndefined

from ddmi_core.api.domain import API_VERSION
from ddmi_core.atomic import write_error
from ddmi_core.errors import RequestError
from ddmi_core.scaffold.choices import DURATION, Choice, choice_of
from ddmi_core.scaffold.names import Names, checked_names

LONGEST_SUMMARY = 90

# File of the distribution: its template, where {axes} is the folder for its axes.
FILES = {
    "pyproject.toml": "shared/pyproject.toml",
    "README.md": "shared/README.md",
    "LICENSE": "shared/LICENSE",
    ".gitignore": "shared/gitignore",
    "{package}/__init__.py": "shared/__init__.py",
    "{package}/py.typed": "shared/py.typed",
    "{package}/plugin.py": "shared/plugin.py",
    "{package}/parts.py": "shared/parts.py",
    "{package}/settings.py": "{axes}/settings.py",
    "{package}/formulas.py": "{axes}/formulas.py",
    "{package}/source.py": "shared/source.py",
    "{package}/files.py": "{axes}/files.py",
    "{package}/picture.py": "{axes}/picture.py",
    "{package}/presets/quick.toml": "{axes}/quick.toml",
    "tests/test_{module}.py": "shared/test.py",
}


def write_plugin(name: str, axes: str, out: Path, summary: str = "") -> Path:
    """Write the distribution `ddmi-NAME`, which can be installed, tested and run unchanged.

    Args:
        name: name of the plugin and of its domain.
        axes: `t`, `xy`, `xyt` or `xyz`, or four to six different letters.
        out: parent of the distribution's folder; created if missing.
        summary: one sentence about the signals; a generic one by default.

    Returns:
        The distribution's folder.

    Raises:
        RequestError: if the name, the axes or the summary is invalid, or the folder exists already.
        OutputError: if it cannot be written.
    """
    choice, names = choice_of(axes), checked_names(name)
    files = rendered(names, choice, _checked_summary(summary) or choice.summary)
    folder = out / names.distribution
    if folder.exists():
        raise RequestError(f"{folder} exists already and was not changed; choose another name or --out folder")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8", newline="\n")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise write_error(folder, error) from error
        raise
    return folder


def rendered(names: Names, choice: Choice, summary: str) -> dict[str, str]:
    """The text of each file, by its path in the distribution."""
    environment = Environment(
        loader=PackageLoader("ddmi_core.scaffold", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"python": python_text, "toml": toml_text}
    facts = {**asdict(choice), "names": names, "summary": summary, "duration": DURATION, "api_version": API_VERSION}
    return {
        path.format(package=names.package, module=names.module): environment.get_template(
            f"{template.format(axes=choice.templates)}.jinja"
        ).render(facts)
        for path, template in FILES.items()
    }


def toml_text(text: str) -> str:
    """A printable text as a TOML basic string."""
    return json.dumps(text, ensure_ascii=False)


def python_text(text: str) -> str:
    """A printable text as a Python literal with the quotes that require fewer escapes, as formatters write it.

    Example:
        >>> print(python_text('say "hi"'), python_text("it's"))
        'say "hi"' "it's"
    """
    if text.count('"') > text.count("'"):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(text, ensure_ascii=False)


def _checked_summary(summary: str) -> str:
    if not summary.isprintable() or len(summary) > LONGEST_SUMMARY:
        raise RequestError(f"--summary takes one line of at most {LONGEST_SUMMARY} characters; it has {len(summary)}")
    return summary.strip()
