"""Networks that a configuration names and that are programs: who names them, consents to run them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ddmi_core.conditions.text_network import is_network
from ddmi_core.errors import DdmiError
from ddmi_core.evaluation.networks.description import described
from ddmi_core.network_files import EXPORTED, TORCHSCRIPT
from ddmi_core.registry.consent import check_program, give_consent
from ddmi_core.settings.config import LPIPS, EvaluationConfig, RunConfig, network_file


def programs_of(config: EvaluationConfig) -> Iterator[Path]:
    """Files of feature networks that are programs. Entries that cannot be used are left to `check_networks`."""
    for entry in config.networks:
        file = network_file(entry)
        if file is None or file[0] == LPIPS:
            continue
        try:
            found = described(*file)
        except DdmiError:
            continue
        if found.format in (TORCHSCRIPT, EXPORTED):
            yield found.file


def name_programs(config: RunConfig, stored: RunConfig | None = None) -> None:
    """Record that the user names the programs of a configuration: in a file of settings, or on the command line.

    Args:
        config: the configuration.
        stored: that of the weights from which the run starts. Their programs are refused if the user never has named
            them; `None` for none.

    Raises:
        PluginError: names the file, and how to trust it.
    """
    others = {path.expanduser().absolute() for path in _all(stored)} if stored else set()
    for path in _all(config):
        if path.expanduser().absolute() in others:
            check_program(path, config.weights)
        elif path.is_file():
            give_consent(path)


def check_programs(config: RunConfig, run: Path) -> None:
    """Refuse programs that the settings of a run name and the user never has.

    Args:
        config: as the run folder has it.
        run: the run folder.

    Raises:
        PluginError: names the file, and how to trust it.
    """
    for path in _all(config):
        check_program(path, str(run))


def _all(config: RunConfig) -> Iterator[Path]:
    yield from programs_of(config.evaluation)
    if is_network(config.diffusion.condition):
        yield Path(config.diffusion.condition)
