"""MkDocs hook that generates parts of pages from the code: commands and options, settings and values, checks.

Every build replaces a line `<!-- generated: NAME -->` of a page by the result of `SECTIONS[NAME]`.
`python docs/generate.py NAME` prints one section. A line `<!-- picture: NAME: caption -->` becomes the picture
`assets/NAME.png` if it exists (see `pictures.py`).
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import paper

import domains

MARK = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)
PICTURE = re.compile(r"^<!-- picture: ([\w-]+): (.+) -->$", re.MULTILINE)
PLUGIN = "image"  # whose presets the table shows
OWN = "domain."  # prefix of the keys of a plugin's own settings


def commands() -> str:
    """Every command of `ddmi`: usage, help, arguments and options."""
    import typer

    from ddmi_core.cli.main import app

    return "\n".join(_command(typer.main.get_command(app), "ddmi"))


def settings() -> str:
    """Every setting of the built-in plugins: meaning, accepted values, and its value in each preset."""
    plugins = {name: _in_presets(name) for name in built_in()}
    rows = {key: row for columns in plugins.values() for row_of in columns.values() for key, row in row_of.items()}
    common = [key for key in rows if not key.startswith(OWN)]
    values = {
        key: {_code(_shown(row_of[key].default)) for columns in plugins.values() for row_of in columns.values()}
        for key in common
    }
    lines = ["## Settings of every plugin", "", "If no value is given, it depends on plugin and preset; see below."]
    lines += _tables(common, rows, lambda key: next(iter(values[key])) if len(values[key]) == 1 else "")
    for name, columns in plugins.items():
        lines += ["", f"## Settings of the plugin `{name}` {{ #{name} }}"]
        own = [key for key in next(iter(columns.values())) if key.startswith(OWN)]
        lines += _tables(own, next(iter(columns.values())), lambda key, columns=columns: _by_preset(key, columns))
        lines += [
            "",
            f"### Presets of `{name}`",
            "",
            f"| key | {' | '.join(columns)} |",
            f"| --- |{' --- |' * len(columns)}",
        ]
        for key in common:
            if len(values[key]) > 1:
                cells = [_code(_shown(row_of[key].default)) for row_of in columns.values()]
                lines.append(f"| `{key}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def built_in() -> list[str]:
    """Names of the plugins in the distribution of this program."""
    from importlib.metadata import distribution

    from ddmi_core.registry.records import DOMAINS

    return sorted(point.name for point in distribution("ddmi").entry_points.select(group=DOMAINS))


def _in_presets(plugin: str) -> dict[str, dict[str, Any]]:
    """The settings of a plugin by preset and key."""
    from ddmi_core.cli.train import configured
    from ddmi_core.parts.domain_parts import implementation
    from ddmi_core.settings.resolve import keys

    def rows(preset: str) -> dict[str, Any]:
        return {row.key: row for row in keys(configured(plugin, preset)[1]) if row.key not in ("plugin", "preset")}

    return {preset: rows(preset) for preset in implementation(configured(plugin)[0]).presets()}


def _tables(names: Iterable[str], rows: Mapping[str, Any], value: Callable[[str], str]) -> Iterator[str]:
    """A table for each group of keys."""
    table = None
    for key in names:
        here = key.rpartition(".")[0]
        if here != table:
            table = here
            yield from ("", f"### `[{here}]`" if here else "### Top level", "")
            yield from ("| key | value | meaning and accepted values |", "| --- | --- | --- |")
        summary = rows[key].summary[:1].upper() + rows[key].summary[1:]
        yield f"| `{key}` | {value(key)} | {_cell(summary)} *Takes {_cell(rows[key].takes)}.* |"


def _by_preset(key: str, columns: Mapping[str, Mapping[str, Any]]) -> str:
    """The value of a key, with the names of the presets if their values differ."""
    values = {preset: _code(_shown(rows[key].default)) for preset, rows in columns.items()}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "<br>".join(f"{preset}&nbsp;{value}" for preset, value in values.items())


def presets() -> str:
    """Table of the presets of the image plugin: levels and bytes of a picture, size of a latent, steps."""
    from ddmi_core.cli.train import configured
    from ddmi_core.parts.domain_parts import implementation
    from ddmi_image.packing import row_bytes

    lines = [
        "| preset | levels, pixels | bytes a picture | numbers a latent | steps of stages 1 and 2 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for preset in implementation(configured(PLUGIN)[0]).presets():
        config = configured(PLUGIN, preset)[1]
        sizes, vae = config.domain.sizes, config.autoencoder
        cells = sizes[0][0] // 2 ** (len(vae.encoder.widths) - 1)
        levels = ", ".join(str(rows) for rows, _ in sizes)  # the presets have squares
        steps = f"{vae.training.steps:,} and {config.diffusion.training.steps:,}"
        numbers = f"{row_bytes(sizes, config.domain.channels):,} | {vae.latent_channels * cells**2:,}"
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
    "domains-code": domains.code,
    "domains-descriptions": domains.descriptions,
    "domains-parts": domains.parts,
    "domains-weights": domains.weights,
    "paper": paper.table,
    "paper-base": paper.base,
    "presets": presets,
    "settings": settings,
}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the marked lines of a page (called by MkDocs)."""
    assets = posixpath.relpath("assets", posixpath.dirname(page.file.src_uri) or ".")

    def picture(match: re.Match[str]) -> str:
        name, caption = match.groups()
        exists = (Path(__file__).parent / "assets" / f"{name}.png").exists()
        return f"![{caption}]({assets}/{name}.png)\n\n*{caption}*" if exists else match[0]

    return PICTURE.sub(picture, MARK.sub(lambda match: SECTIONS[match[1]](), markdown))


def _command(command: Any, name: str) -> Iterator[str]:
    level = 2 + min(name.count(" "), 1)
    yield from ("", f"{'#' * level} `{name}` {{ #{name.replace(' ', '-')} }}", "", _paragraphs(command.help), "")
    if command.epilog:
        example, page = re.findall(r": (.*)", command.epilog)
        title = Path(page).stem.replace("-", " ")
        yield from (f"Example: `{example}`; see [{title}](../{page.removeprefix('docs/')}).", "")
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
    # The attribute that holds an option's range depends on the version of typer.
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
    """A value as written in a configuration file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(SECTIONS[sys.argv[1]]())
