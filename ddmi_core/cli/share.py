"""The commands that share models: `ddmi publish`, `push` and `fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddmi_core.cli import options
from ddmi_core.cli.model_source import check_run
from ddmi_core.cli.output import check_writable, print_lines

Repo = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository of the hub.", show_default=False)]


def publish(
    run: options.RunFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create.", show_default=False)],
    license_name: Annotated[
        str, typer.Option("--license", metavar="ID", help="Licence of the weights, such as cc-by-sa-4.0.")
    ] = "unknown",
    task: Annotated[str, typer.Option("--task", metavar="ID", help="Task on the hub, such as text-to-3d.")] = "",
) -> None:
    """Copy a finished run to a small folder: weights in half precision, settings, figures and a model card."""
    check_run(run)
    check_writable(out.parent)

    from ddmi_core.runs.publish import publish as published

    size = published(run, out, license_name=license_name, task=task)
    typer.echo(f"wrote {out}, {size / 1e6:.1f} MB; complete its README.md, the model card")


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of `ddmi publish`.", show_default=False)],
    repo: Repo,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> None:
    """Upload a published run to the Hugging Face hub; requires ddmi[hub] and a token."""
    check_run(folder)

    from ddmi_core.runs.hub import push as upload

    typer.echo(upload(folder, repo, private=private))


def fetch(
    repo: Repo,
    out: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="Folder to create; runs/NAME by default.")] = None,
    revision: Annotated[
        str, typer.Option("--revision", metavar="REV", help="Branch, tag or commit; the newest commit by default.")
    ] = "",
) -> None:
    """Download a published run from the Hugging Face hub and check it; requires ddmi[hub]. No code is downloaded."""
    if out is not None:
        check_writable(out.parent)

    from ddmi_core.model.run_folder import RunFolder, read_head
    from ddmi_core.registry.registry import provider
    from ddmi_core.runs.hub import fetch as download

    folder = download(repo, out, revision=revision)
    head = read_head(RunFolder(folder))
    lines = [f"wrote {folder}; sample it with: ddmi sample {folder} --out samples"]
    if head.file:
        name = Path(head.file).name
        lines.append(f"its domain is in the file {name}, which is not downloaded; get it and add --plugin ./{name}")
    elif provider(head.plugin) is None:
        lines.append(
            f"first install its plugin {head.plugin!r}" + (f": pip install {head.requirement}" * bool(head.requirement))
        )
    print_lines(lines)
