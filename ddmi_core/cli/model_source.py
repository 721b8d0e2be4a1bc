"""The model source of a command, a run or a plugin's weights, checked before torch is imported."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ddmi_core.errors import CheckpointError, DdmiWarning, RequestError
from ddmi_core.progress import doing
from ddmi_core.registry.extensions import offer
from ddmi_core.registry.single_file import is_file

if TYPE_CHECKING:
    from ddmi_core.api.domain import Domain
    from ddmi_core.api.evaluation import Figure
    from ddmi_core.model.model import Model
    from ddmi_core.parts.domain_parts import AnyParts


@frozen
class ModelSource:
    """A run folder, or the weights that ship with a plugin.

    Its methods raise `CheckpointError` if the run cannot be read, and `PluginError` if the plugin cannot be used.

    Args:
        run: folder of a run; `None` for a plugin's weights.
        plugin: name of a plugin; with a run, the file of its domain, or empty.
        overrides: other settings of the domain, `domain.key=value`.
    """

    run: Path | None
    plugin: str
    overrides: tuple[str, ...] = ()

    @staticmethod
    def checked(run: Path | None, plugin: str, overrides: Sequence[str] = ()) -> ModelSource:
        """The source of a command line.

        Raises:
            RequestError: if none or both are given, except a run with a file; or the plugin ships no weights.
        """
        file = is_file(plugin)
        if file and run is None:
            raise RequestError(
                f"{plugin} ships no weights. Fix: add the folder of a RUN, or train one: ddmi run --plugin {plugin}"
            )
        if not file and (run is None) == (not plugin):
            raise RequestError("give either the folder of a RUN or --plugin NAME" + (", not both" if plugin else ""))
        source = ModelSource(run, plugin, tuple(overrides))
        if run is not None:
            check_run(run)
        else:
            from ddmi_core.model.run_folder import pretrained

            pretrained(source.domain())
        return source

    def view(self, size: str) -> Any:
        """The renderer's view for the value of `--size`, parsed by the domain; `None` for an empty text.

        Raises:
            RequestError: if the domain has no such view.
        """
        if not size:
            return None
        return self._parts().parse_view(size)

    def suffix(self, file_type: str) -> str | None:
        """The suffix for the value of `--format`, with or without its dot; `None` for an empty text.

        Raises:
            RequestError: if neither the domain nor an extension writes such files.
        """
        if not file_type:
            return None
        parts = self._parts()
        suffix = f".{file_type.lower().removeprefix('.')}"
        if suffix not in (exporters := parts.exporters()):
            offer("exporters", suffix, parts.domain, exporters)
        return suffix

    def check_faces(self, faces: int | None) -> None:
        """Check that the domain can simplify artefacts to the value of `--faces`, if there is one.

        Raises:
            RequestError: if it cannot.
        """
        if faces is not None:
            self._parts().simplifier(faces)

    def load(self) -> Model:
        """Load the model."""
        with doing("loading the model"):
            from ddmi_core.model.loading import load

            return load(self.run, plugin=self.plugin or None, overrides=self.overrides)

    def figures(self) -> tuple[Figure, ...]:
        """The figures of the run or of the weights; none if there are none, and with a warning if they are stale."""
        from ddmi_core.evaluation.results import own_figures
        from ddmi_core.model.run_folder import RunFolder, pretrained

        folder = pretrained(self.domain()) if self.run is None else RunFolder(self.run)
        try:
            return own_figures(folder).figures if folder.metrics.is_file() else ()
        except CheckpointError as error:
            warnings.warn(f"nothing is compared with held-out signals: {error}", DdmiWarning, stacklevel=2)
            return ()

    def _parts(self) -> AnyParts:
        domain = self.domain()

        from ddmi_core.model.run_folder import RunFolder, pretrained, read_config
        from ddmi_core.parts.domain_parts import build_parts

        folder = pretrained(domain) if self.run is None else RunFolder(self.run)
        return build_parts(domain, read_config(folder, domain, self.overrides).domain)

    @doing("loading the plugin")  # and torch
    def domain(self) -> Domain:
        """The domain of the run, or of the weights.

        Raises:
            CheckpointError: if the run is damaged, or of another domain.
            PluginError: if its plugin is not installed, or cannot be used.
        """
        from ddmi_core.model.run_folder import RunFolder
        from ddmi_core.model.run_plugin import domain_of
        from ddmi_core.registry.registry import domain_named

        return domain_named(self.plugin) if self.run is None else domain_of(RunFolder(self.run), self.plugin)


def check_run(run: Path) -> None:
    """Check that a folder is a run.

    Raises:
        CheckpointError: if it is missing or has no `run.toml`.
    """
    if (run / "run.toml").is_file():
        return
    near = Path("runs") / run
    hint = f"; did you mean {near}?" if (near / "run.toml").is_file() else ""
    if not run.exists():
        raise CheckpointError(f"there is no run folder {run}" + (hint or "; train one with ddmi run"))
    fault = "its run.toml is a folder" if (run / "run.toml").is_dir() else "it has no run.toml"
    raise CheckpointError(f"{run} is not a run: {fault}{hint}")
