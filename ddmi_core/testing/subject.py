"""What checks look at: a domain with a small configuration, its data, its parts and fields, each made once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import attrs
import torch

from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Queries, SignalSet, Split
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Posterior
from ddmi_core.model.build import Parts, build_autoencoder, build_parts
from ddmi_core.model.data import load_data
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.records import PluginRecord
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import resolve
from ddmi_core.testing.check import NotApplicable
from ddmi_core.testing.fresh_process import Visit, Visitor
from ddmi_core.training.objective import generator_for

BATCH = 4
POINTS = 256
TINY = "tiny"  # the preset of domains whose quick one is too slow for checks

T = TypeVar("T")


class _Made(Generic[T]):
    """A part of a subject that is made when it is first asked for."""

    def __init__(self, make: Callable[[Subject], T]) -> None:
        self.make, self.__doc__ = make, make.__doc__
        self.name = make.__name__

    @overload
    def __get__(self, subject: None, owner: type) -> Self: ...
    @overload
    def __get__(self, subject: Subject, owner: type) -> T: ...
    def __get__(self, subject: Subject | None, owner: type) -> Self | T:
        if subject is None:
            return self
        return subject.once(self.name, lambda: self.make(subject))


class Subject:
    """A domain under examination. Close it, or use it in a `with` block, to remove its scratch folder.

    Its configuration is the preset `tiny`, or `quick` where the domain has none of this name, with few points; signals
    are the first of the training data.

    Args:
        domain: the domain, or its name.
        data: data as for `ddmi run --data`; the domain's default if empty.
        settings: changes as for `ddmi run --set`, such as `domain.size=16`.
        split: signals to use in place of a source's.

    Raises:
        PluginError: if there is no usable plugin with the name.
    """

    def __init__(
        self, domain: Domain | str, *, data: str = "", settings: Sequence[str] = (), split: Split | None = None
    ) -> None:
        self.domain = domain_named(domain) if isinstance(domain, str) else domain
        self.data, self.settings, self.given = data, tuple(settings), split
        self.made: dict[str, Any] = {}
        self.failed: set[str] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the scratch folder."""
        self.close()

    def close(self) -> None:
        """Remove the scratch folder, and end the process that works in it."""
        if "visitor" in self.made:
            self.visitor.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives, made when it is first asked for.

        Raises:
            NotApplicable: if it cannot be made and that was said before: whoever asks first gets the reason.
        """
        if name in self.failed:
            raise NotApplicable(f"needs what could not be made, {name}: a check before this one says why")
        if name not in self.made:
            try:
                self.made[name] = make()
            except NotApplicable:
                raise
            except Exception:
                self.failed.add(name)
                raise
        made: T = self.made[name]
        return made

    def scratch(self, name: str) -> Path:
        """An empty folder for files of a check."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ddmi-check-")
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder.name))

    def part(self, reference: str) -> Any:
        """What a reference of the domain names."""
        return self.domain.resolve(reference)

    @_Made
    def config(self) -> RunConfig:
        """The preset with the subject's changes."""
        found = resolve(self.domain, self.preset, overrides=self.settings, data=self.data)
        vae = found.autoencoder
        return attrs.evolve(found, autoencoder=attrs.evolve(vae, points=min(vae.points, POINTS)))

    @_Made
    def split(self) -> Split:
        """Training and held-out signals."""
        return self.given or load_data(self.domain, self.data, self.config.domain)

    @_Made
    def parts(self) -> Parts:
        """Sampler and renderer."""
        return build_parts(self.domain, self.config)

    @_Made
    def autoencoder(self) -> D2CVAE:
        """Encoder, decoder and readout with their initial weights, in evaluation mode."""
        return build_autoencoder(self.domain, self.config).eval()

    @_Made
    def batch(self) -> Any:
        """The first training signals, without augmentation."""
        return self.signals(range(self.count))

    @_Made
    def posterior(self) -> Posterior:
        """Posterior of the batch."""
        with torch.no_grad():
            return self.autoencoder.encode(self.batch)

    @_Made
    def fields(self) -> Field:
        """Fields of the batch, from the posterior's means."""
        with torch.no_grad():
            return self.autoencoder.decode(self.posterior.mean)

    @_Made
    def native(self) -> Any:
        """The first field as an artefact in its native view."""
        return self.parts.renderer.render(self.fields[0])

    @_Made
    def visit(self) -> Visit:
        """What a process that had imported nothing saw when it used the domain."""
        return self.visitor.report()

    @_Made
    def visitor(self) -> Visitor:
        """The process, which starts when it is first asked for."""
        for reference in (self.domain.settings, *self.domain.sources.values()):
            if reference.startswith("__main__:"):
                raise NotApplicable("its parts are in the main program, which a fresh process does not have")
        name = self.record.name if self.record else ""
        return Visitor(self.domain, self.preset, self.data, self.settings, name, self.scratch("visit"))

    @property
    def preset(self) -> str:
        """Name of the preset, or empty for that of `ddmi run`."""
        return TINY if TINY in self.domain.presets else ""

    @property
    def record(self) -> PluginRecord | None:
        """The installed plugin that brings the domain; `None` where the program itself made it."""
        for record in discover():
            if record.name == self.domain.name and record.usable:
                return record
        return None

    @property
    def count(self) -> int:
        """Signals of the batch: 4, or all where there are fewer."""
        return min(BATCH, len(self.train))

    @property
    def train(self) -> SignalSet:
        """Signals to train on."""
        return self.split.train

    def signals(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Any:
        """Some training signals."""
        return self.train.batch(list(indices), generator)

    def queries(self, seed: int, points: int = POINTS) -> Queries:
        """Queries on the batch."""
        return self.parts.sampler.sample(self.batch, points, generator_for(seed, "check"))

    def begin(self) -> None:
        """Start the fresh process beside the first checks; those who need it tell what fails."""
        try:
            _ = self.visitor
        except Exception:
            self.failed.clear()

    def several(self, count: int = 2) -> None:
        """Go on if the batch has enough signals to compare.

        Raises:
            NotApplicable: if it has not.
        """
        if (found := len(self.train)) < count:
            raise NotApplicable(f"there are {found} training signals, too few to compare {count}")
