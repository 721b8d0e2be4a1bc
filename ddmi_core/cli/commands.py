"""The group of all commands: the built-in ones, and those of extensions, which are imported only if they are used."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ddmi_core.cli.errors import Commands
from ddmi_core.errors import RequestError
from ddmi_core.out_of_memory import GENERAL, lowering
from ddmi_core.registry.extensions import Offer, offer, offers
from ddmi_core.registry.limit import set_limit
from ddmi_core.runs.progress_bar import on_terminal

_LOWER = {  # options that lower the memory of a command that has them
    "-n": "give a lower -n",
    "--size": "give a smaller --size",
    "--set": "use smaller signals and networks (--preset, --set)",
}
_TAG = re.compile(r"\[[a-z#/@][^\[]*?\]")  # what rich takes for markup


class Plain:
    """Command or group whose help texts are plain: `ddmi[hub]` is shown as it is written."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if getattr(self, "rich_markup_mode", None) != "rich":
            return
        for part in (self, *getattr(self, "params", ())):
            for name in ("help", "short_help", "epilog"):
                if isinstance(text := getattr(part, name, None), str):
                    # As rich.markup.escape, without the time that its import takes.
                    setattr(part, name, _TAG.sub(r"\\\g<0>", text))


class PlainCommand(Plain, TyperCommand):
    """Command with plain help, which shows long work, and whose errors of exhausted memory name it and its options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        lower = [words for option, words in _LOWER.items() if any(option in each.opts for each in self.params)]
        with on_terminal(), lowering(f"the command {ctx.command_path!r}", ", or ".join((*lower, GENERAL))):
            return super().invoke(ctx)


class PlainGroup(Plain, TyperGroup):
    """Group with plain help."""


class ExtensibleCommands(Plain, Commands):
    """Command group that looks for names that are not built in among the extensions."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The built-in commands, then those of extensions."""
        built_in = super().list_commands(ctx)
        if ctx.params.get("no_plugins"):
            return built_in
        with _looking(ctx):
            return list(dict.fromkeys([*built_in, *(own.name for own in offers("commands"))]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with a name.

        Raises:
            RequestError: if there is none; suggests the nearest.
            PluginError: if several extensions provide it.
        """
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name.startswith("-") or ctx.params.get("no_plugins"):
            return own
        try:
            with _looking(ctx):
                return DeferredCommand(offer("commands", cmd_name))
        except RequestError:
            if ctx.resilient_parsing:
                return None
            raise


@contextmanager
def _looking(ctx: Any) -> Iterator[None]:
    """Limit the time of imports; without warnings if the shell completes a line."""
    set_limit()
    with warnings.catch_warnings():
        if ctx.resilient_parsing:
            warnings.simplefilter("ignore")
        yield


class DeferredCommand(PlainCommand):
    """Stands for a command of an extension in help and completion, and imports it if it is called."""

    def __init__(self, own: Offer) -> None:
        super().__init__(own.name, help=own.contribution.summary or f"See {own.record.distribution}.")
        self.own = own

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments of the command itself, with which its context then invokes it."""
        app = typer.Typer()
        app.callback()(lambda: None)  # makes a group of it even if it has one command
        add_command(app, self.own.name, self.own.load())
        command: Any = typer.main.get_group(app).commands[self.own.name]
        return command.make_context(info_name, args, parent=parent, **extra)


def add_command(app: typer.Typer, name: str, command: Any) -> None:
    """Add a function, or a group of commands, under a name. Help texts are plain, not markup of rich."""
    if isinstance(command, typer.Typer):
        _make_plain(command)
        app.add_typer(command, name=name, cls=PlainGroup)
    else:
        app.command(name, cls=PlainCommand)(command)


def _make_plain(app: typer.Typer) -> None:
    for command in app.registered_commands:
        if command.cls in (None, TyperCommand):
            command.cls = PlainCommand
    for group in app.registered_groups:
        group.cls = PlainGroup
        if group.typer_instance is not None:
            _make_plain(group.typer_instance)
