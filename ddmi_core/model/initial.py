"""Fine-tuning: the finished weights from which a run starts, their copy in its folder, and how stages load it."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import attrs
import torch
from attrs import frozen
from torch import Tensor, nn

from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Split
from ddmi_core.atomic import PARTIAL, write_error
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.conditions import text_network
from ddmi_core.diffusion.denoisers.embeddings import ClassCondition, VectorCondition
from ddmi_core.diffusion.latent_diffusion import LatentDiffusion
from ddmi_core.errors import CheckpointError, ConfigError, DdmiError, DdmiWarning, RequestError
from ddmi_core.model.build import build_autoencoder
from ddmi_core.model.latent_cache import described
from ddmi_core.model.provenance import NETWORK, check_plugin
from ddmi_core.model.run_folder import Begun, RunFolder, check_finished, pretrained, read_config, read_head
from ddmi_core.model.run_plugin import domain_of
from ddmi_core.model.run_results import edited_stages
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry.registry import domain_named, provider
from ddmi_core.registry.single_file import is_file
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import WeightsSettings
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL, Checkpoint

INITIAL = "initial"  # entry of a stage's record with the digest of the weights from which it has started
CARD = "README.md"
_CONDITION = "condition."  # names of the weights of a denoiser's condition
_DURATION = "duration."  # names of the weights that average velocities add to a denoiser
_LICENSE = re.compile(r'(?ms)\A---\n.*?^license: *"?([a-z0-9][a-z0-9.+-]*)"? *$.*?^---$')
_REPO = re.compile(r"[\w.-]+/[\w.-]+")


@frozen(eq=False)
class InitialWeights:
    """Finished weights as the start of a run.

    Args:
        name: as `RunConfig.weights` has it.
        folder: of the weights, a run folder.
        domain: of the weights.
        config: with which they were made.
    """

    name: str
    folder: RunFolder
    domain: Domain
    config: RunConfig

    @property
    def settings(self) -> WeightsSettings:
        """Their settings, for `resolve`."""
        return WeightsSettings(self.name, self.config)

    def begun(self) -> Begun:
        """The record of these weights for a run that starts from them."""
        autoencoder, denoiser = (_final(stage).digest("weights") for stage in self._stages)
        card, head = self.folder.path / CARD, read_head(self.folder)
        found = _LICENSE.match(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
        license_name = found[1] if found else head.begun.license if head.begun else ""
        return Begun(Path(self.name).name, autoencoder, denoiser, head.fingerprint, license_name)

    def copy(self, run: RunFolder) -> None:
        """Copy the weights into a run folder aside; `kept` gives the copy its name once the run has its `run.toml`.

        Raises:
            OutputError: if they cannot be written.
        """
        aside = _aside(run)
        try:
            shutil.rmtree(aside, ignore_errors=True)
            for stage in self._stages:
                shutil.copytree(stage / FINAL, aside / stage.name / FINAL)
            for path in (self.folder.toml, *(self.folder.path / name for name in (CARD, "LICENSE", "NOTICE"))):
                if path.is_file():
                    shutil.copyfile(path, aside / path.name)
        except OSError as error:
            raise write_error(run.initial, error) from error

    def load_autoencoder(self, model: D2CVAE, config: RunConfig) -> str:
        """Load the weights of stage 1, and return their digest.

        Args:
            model: of the run.
            config: of the run.

        Raises:
            ConfigError: if settings of the domain have changed its networks; names them.
            CheckpointError: if the weights are damaged, or of another plugin.
        """
        stored = _final(self.folder.autoencoder)
        check_plugin(self.domain, stored)
        self._load(model, stored, stored.tensors("weights"), config)
        return stored.digest("weights")

    def load_denoiser(self, model: LatentDiffusion, config: RunConfig, classes: Sequence[str]) -> str:
        """Load the weights of stage 2, and return their digest.

        A class keeps the embedding of the class with its name, and a new one starts as no condition. So do data
        without captions, if the weights follow vectors of captions. The run may train average velocities
        (`diffusion.few_steps`) although the weights have none, and the reverse.

        Args:
            model: of the run.
            config: of the run.
            classes: of the run's data.

        Raises:
            ConfigError: if settings of the domain have changed its network; or if the weights follow tokens of texts,
                and the run does not.
            CheckpointError: if the weights are damaged, of another plugin, or of another text network.
        """
        stored = _final(self.folder.denoiser)
        check_plugin(self.domain, stored)
        weights = stored.tensors("weights")
        digests = {stored.record.get(NETWORK), text_network.digest(config.diffusion.condition)} - {None, ""}
        if len(digests) > 1:
            raise CheckpointError(
                f"{config.diffusion.condition} is not the text network that the weights {self.name} were trained with. "
                "Fix: set diffusion.condition to the path of that file"
            )
        if isinstance(model.condition, ClassCondition):
            if f"{_CONDITION}null" in weights:
                raise ConfigError(
                    f"the weights {self.name} follow texts by tokens (diffusion.condition = "
                    f"{self.config.diffusion.condition!r}), and here diffusion.condition is "
                    f"{config.diffusion.condition!r}. Fix: leave diffusion.condition out, and give data with captions",
                    "diffusion.condition",
                )
            table = _class_table(weights, self.classes(stored), classes if model.classes else ())
            weights = {name: value for name, value in weights.items() if not name.startswith(_CONDITION)}
            weights[f"{_CONDITION}weight"] = table
        # Weights for the lengths of intervals start as new ones, with which a denoiser gives the same velocities.
        new = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(_DURATION)}
        weights = {**new, **{name: w for name, w in weights.items() if not name.startswith(_DURATION) or name in new}}
        self._load(model, stored, weights, config)
        return stored.digest("weights")

    def classes(self, stored: Checkpoint | None = None) -> tuple[str, ...]:
        """Names of the classes that the denoiser knows; empty for other conditions."""
        if self.config.diffusion.condition != "class":
            return ()
        return described(stored or _final(self.folder.denoiser)).classes

    def notes(self, config: RunConfig, split: Split) -> Iterator[str]:
        """What a user should know of a run that starts from these weights."""
        stages = {"autoencoder": config.autoencoder.training, "diffusion": config.diffusion.training}
        lengths = ", ".join(f"{key}.training.steps={own.steps}" for key, own in stages.items())
        yield f"training starts from the weights {self.name}: {lengths}"
        new = [name for name in split.train.classes if name not in self.classes()]
        if config.diffusion.condition == "class" and new:
            more = f" and {len(new) - 8} more" if len(new) > 8 else ""
            yield f"classes that the weights do not know start as no condition: {', '.join(new[:8])}{more}"

    @property
    def _stages(self) -> tuple[Path, Path]:
        return self.folder.autoencoder, self.folder.denoiser

    def _load(self, model: nn.Module, stored: Checkpoint, weights: Mapping[str, Tensor], config: RunConfig) -> None:
        try:
            checkpoint.load_into(model, weights, stored.folder)
        except CheckpointError as error:
            if not (changed := self._changed(config)):
                raise
            names = [name for name in changed if not self._fits(config, name)] or changed
            given = ", ".join(f"domain.{name} = {getattr(config.domain, name)!r}" for name in names)
            known = ", ".join(f"{getattr(self.config.domain, name)!r}" for name in names)
            raise ConfigError(
                f"setting {given}: the weights {self.name} have {known}, and their networks do not fit: {error}. Fix: "
                "leave it out; or train other networks without --from",
                f"domain.{names[0]}",
            ) from error

    def _changed(self, config: RunConfig) -> list[str]:
        """The settings of the domain that are not those of the weights."""
        mine, theirs = config.domain, self.config.domain
        return [name for name in attrs.fields_dict(type(mine)) if getattr(mine, name) != getattr(theirs, name)]

    def _fits(self, config: RunConfig, name: str) -> bool:
        """Whether the autoencoder has the same weights with one setting of the run's domain."""
        alias = attrs.fields_dict(type(config.domain))[name].alias
        stored = _final(self.folder.autoencoder).tensors("weights")
        try:
            settings = attrs.evolve(self.config.domain, **{alias or name: getattr(config.domain, name)})
            built = build_autoencoder(build_parts(self.domain, settings), self.config).state_dict()
        except (DdmiError, ValueError, RuntimeError):
            return False
        shapes = [{key: tensor.shape for key, tensor in each.items()} for each in (built, stored)]
        return shapes[0] == shapes[1]


def opened(weights: str, plugin: str = "") -> InitialWeights:
    """Find finished weights, and check them as for loading.

    Args:
        weights: the folder of a finished run or of published weights, or the name of a plugin that ships some.
        plugin: name of the plugin that they must belong to, or the file of their domain; empty for theirs.

    Raises:
        RequestError: if they are of another plugin, or the plugin ships no weights.
        CheckpointError: if there are no such weights, or they are not finished, damaged, or of a newer version.
        PluginError: if their plugin or an extension is missing or cannot be used.
        ConfigError: if a setting of theirs is unknown to this version.
    """
    path = Path(weights).expanduser()
    if not path.exists() and provider(weights) is not None:
        name, domain = weights, domain_named(weights)
        folder = pretrained(domain)
    else:
        if not path.exists() and _REPO.fullmatch(weights):
            raise CheckpointError(
                f"there is no run folder {weights}. Fix: give the folder of weights; a model of the Hugging Face hub "
                f"is downloaded by ddmi fetch {weights} FOLDER"
            )
        name, folder = str(path.absolute()), RunFolder(path)
        domain = domain_of(folder, plugin if is_file(plugin) else "")
        if provider(domain.name) is None:  # of its own copy of a file, which the new run copies as well
            domain = domain_named(f"{folder.plugin}:{domain.name}")
    if plugin and not is_file(plugin) and plugin != domain.name:
        raise RequestError(
            f"the weights {weights} are of plugin {domain.name!r}, not of {plugin!r}. Fix: leave out --plugin, or give "
            f"weights of {plugin!r}"
        )
    check_finished(folder)
    for stage, other in islice(edited_stages(folder), 1):
        warnings.warn(f"{stage} was made with other settings: {other}", DdmiWarning, stacklevel=2)
    return InitialWeights(name, folder, domain, read_config(folder, domain))


def kept(run: RunFolder, domain: Domain, name: str) -> InitialWeights:
    """The copy of the weights from which a run has started.

    Args:
        run: the run folder, with its `run.toml`.
        domain: of the run.
        name: of the weights, as the run's settings have it.

    Raises:
        CheckpointError: if the copy is missing or not what `run.toml` records.
        OutputError: if it cannot be renamed.
    """
    if not run.initial.exists() and _aside(run).exists():
        try:
            _aside(run).rename(run.initial)
        except OSError as error:
            raise write_error(run.initial, error) from error
    lost = f"Fix: restore {run.initial} from a copy, or start a new run with --from"
    if not run.initial.exists():
        raise CheckpointError(
            f"{run.path} has started from the weights {name}, and its copy of them is missing. {lost}"
        )
    folder = RunFolder(run.initial)
    check_finished(folder)
    found, begun = InitialWeights(name, folder, domain, read_config(folder, domain)), read_head(run).begun
    if begun and [_final(stage).digest("weights") for stage in found._stages] != [begun.autoencoder, begun.denoiser]:
        raise CheckpointError(f"{run.initial} does not have the weights from which {run.path} has started. {lost}")
    return found


def _aside(run: RunFolder) -> Path:
    return run.path / f"{PARTIAL}{run.initial.name}"


def _final(stage: Path) -> Checkpoint:
    return checkpoint.load(stage / FINAL)


def _class_table(weights: Mapping[str, Tensor], known: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Embeddings of classes, and of no condition in the last row: `(classes + 1, width)`."""
    if (table := weights.get(f"{_CONDITION}weight")) is not None:
        none, rows = table[-1], dict(zip(known, table[:-1], strict=False))
    else:
        first = weights[f"{_CONDITION}network.0.weight"]
        vectors = VectorCondition(first.shape[1] - 1, first.shape[0])
        vectors.load_state_dict({name.removeprefix(_CONDITION): v for name, v in weights.items() if _CONDITION in name})
        with torch.no_grad():
            none, rows = vectors(vectors.none(1))[0], {}
    return torch.stack([*(rows.get(name, none) for name in classes), none])
