"""Writes the pages that follow from the code: commands with their options, settings with their values, checks.

It is a hook of MkDocs: a line `<!-- generated: NAME -->` in a page becomes what `SECTIONS[NAME]` returns, so these
pages are made anew with every build. `python docs/generate.py NAME` prints one. A line
`<!-- picture: NAME: caption -->` becomes the picture `assets/NAME.png` if there is one (see `pictures.py`).
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MARK = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)
PICTURE = re.compile(r"^<!-- picture: ([\w-]+): (.+) -->$", re.MULTILINE)
PLUGIN = "image"


def commands() -> str:
    """Every command of `ddmi`: usage, help, arguments and options."""
    import typer

    from ddmi_core.cli.main import app

    return "\n".join(_command(typer.main.get_command(app), "ddmi"))


def settings() -> str:
    """Every setting of the image plugin: its value in each preset, what it is, and what it takes."""
    from ddmi_core.cli.configure import configured
    from ddmi_core.runs.settings import keys

    domain, _ = configured(PLUGIN)
    columns = {preset: {row.key: row for row in keys(configured(PLUGIN, preset)[1])} for preset in domain.presets}
    first, *_ = columns.values()
    lines: list[str] = []
    table = None
    for key, row in first.items():
        if key in ("plugin", "preset"):
            continue
        here = key.rpartition(".")[0]
        if here != table:
            table = here
            lines += ["", f"## `[{here}]`" if here else "## At the top", ""]
            lines += ["| key | value | what it is, and what it takes |", "| --- | --- | --- |"]
        values = {preset: _code(_shown(rows[key].default)) for preset, rows in columns.items()}
        shown = [f"{preset}&nbsp;{value}" for preset, value in values.items()]
        shown = shown if len(set(values.values())) > 1 else [next(iter(values.values()))]
        summary = row.summary[:1].upper() + row.summary[1:]
        lines.append(f"| `{key}` | {'<br>'.join(shown)} | {_cell(summary)} *Takes {_cell(row.takes)}.* |")
    return "\n".join(lines)


def presets() -> str:
    """The presets of the image plugin: levels of a picture, bytes that it takes, numbers of a latent, steps."""
    from ddmi_core.cli.configure import configured
    from ddmi_image.packing import row_bytes, sides

    lines = [
        "| preset | levels, pixels | bytes a picture | numbers a latent | steps of stages 1 and 2 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for preset in configured(PLUGIN)[0].presets:
        config = configured(PLUGIN, preset)[1]
        size, detail, vae = config.domain.size, config.domain.detail, config.autoencoder
        cells = size // 2 ** (len(vae.encoder.widths) - 1)
        levels = ", ".join(map(str, sides(size, detail)))
        steps = f"{vae.training.steps:,} and {config.diffusion.training.steps:,}"
        numbers = f"{row_bytes(size, detail):,} | {vae.latent_channels * cells**2:,}"
        lines.append(f"| `{preset}` | {levels} | {numbers} | {steps} |")
    return "\n".join(lines)


def checks() -> str:
    """The checks of the plugin contract."""
    from ddmi_core.testing import CHECKS

    rows = [f"| `{check.name}` | {_cell(check.contract)} |" for check in CHECKS]
    return "\n".join(["| check | contract |", "| --- | --- |", *rows])


SECTIONS: dict[str, Callable[[], str]] = {
    "checks": checks,
    "commands": commands,
    "presets": presets,
    "settings": settings,
}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill the marked places of a page (called by MkDocs)."""
    assets = posixpath.relpath("assets", posixpath.dirname(page.file.src_uri) or ".")

    def picture(match: re.Match[str]) -> str:
        name, caption = match.groups()
        exists = (Path(__file__).parent / "assets" / f"{name}.png").exists()
        return f"![{caption}]({assets}/{name}.png)\n\n*{caption}*" if exists else match[0]

    return PICTURE.sub(picture, MARK.sub(lambda match: SECTIONS[match[1]](), markdown))


def _command(command: Any, name: str) -> Iterator[str]:
    level = 2 + min(name.count(" "), 1)
    yield from ("", f"{'#' * level} `{name}` {{ #{name.replace(' ', '-')} }}", "", _paragraphs(command.help), "")
    parameters = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    options = [p for p in parameters if p.param_type_name == "option" and "--help" not in p.opts]
    inner = getattr(command, "commands", {})
    usage = [name, *(["[OPTIONS]"] if options else []), *(["COMMAND"] if inner else [])]
    usage += [p.metavar if p.required else f"[{p.metavar.strip('[]')}]" for p in arguments]
    yield from ("```text", " ".join(usage), "```", "")
    rows = [(_code(p.metavar), p.help or "", "") for p in arguments]
    rows += [(_option(p), p.help or "", _default(p)) for p in options]
    if rows:
        yield from ("| | | default |", "| --- | --- | --- |")
        yield from (f"| {first} | {_cell(text)} | {default} |" for first, text, default in rows)
    for word, child in inner.items():
        yield from _command(child, f"{name} {word}")


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    if parameter.is_flag:
        return names
    # Where an option keeps its range depends on the version of typer.
    places = (parameter, getattr(parameter, "type", None))
    low, high = (next((v for p in places if (v := getattr(p, end, None)) is not None), None) for end in ("min", "max"))
    limits = [
        f"{word} {bound:g}"
        for word, bound in (("at least", low), ("at most", high))
        if bound is not None and bound < 2**31
    ]
    return f"{names} `{parameter.metavar or 'N'}`" + (f"<br>{', '.join(limits)}" if limits else "")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if parameter.is_flag or callable(value) or value in (None, "", [], ()) else _code(str(value))


def _paragraphs(text: str | None) -> str:
    return (text or "").strip().partition("\f")[0]


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    """A text as one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _shown(value: Any) -> str:
    """A value as a configuration file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(SECTIONS[sys.argv[1]]())
