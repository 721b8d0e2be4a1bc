"""The subject of checks: a domain with a small configuration, its data, parts and fields, each computed once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import attrs
import torch
from torch import Tensor

from ddmi_core.api.domain import Domain
from ddmi_core.api.signals import Queries, SignalSet, Split
from ddmi_core.autoencoder.d2c_vae import D2CVAE
from ddmi_core.fields.field import Field
from ddmi_core.fields.planes import Posterior
from ddmi_core.model.build import build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import AnyParts, build_parts, implementation
from ddmi_core.registry.discovery import discover
from ddmi_core.registry.records import PluginRecord
from ddmi_core.registry.registry import domain_named
from ddmi_core.registry.single_file import PREFIX
from ddmi_core.settings.config import RunConfig
from ddmi_core.settings.resolve import resolve
from ddmi_core.testing.check import NotApplicable
from ddmi_core.testing.fresh_process import FreshProcess, ProcessReport
from ddmi_core.testing.tensors import copied, difference
from ddmi_core.training.objective import generator_for

BATCH = 4
SEARCHED = 64  # signals, for different ones
POINTS = 256
TINY = "tiny"  # preset of domains whose quick preset is too slow for checks

T = TypeVar("T")


class _Once(Generic[T]):
    """An attribute of a subject that is computed at the first access."""

    def __init__(self, make: Callable[[Subject], T]) -> None:
        self.make, self.__doc__ = make, make.__doc__
        self.name = make.__name__.lstrip("_")

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

    Its configuration is the preset `tiny`, or `quick` if the domain has no preset of this name, with few points; its
    signals are the first different ones of the training data.

    Args:
        domain: the domain, its name, or a file that defines it.
        data: data as for `ddmi run --data`; the domain's default if empty.
        settings: changes as for `ddmi run --set`, such as `domain.size=16`.
        split: signals to use instead of those of a source.

    Raises:
        PluginError: if there is no usable plugin with the name.
    """

    def __init__(
        self, domain: Domain | str, *, data: str = "", settings: Sequence[str] = (), split: Split | None = None
    ) -> None:
        self.environment = dict(os.environ)  # before the plugin is imported, which may change it
        self.domain = domain_named(domain) if isinstance(domain, str) else domain
        self.data, self.settings, self.given = data, tuple(settings), split
        self.made: dict[str, Any] = {}
        self.failed: set[str] = set()
        self.cause = ""  # a fault that makes other checks fail as well, if a check has found one
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Enter the `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the scratch folder."""
        self.close()

    def close(self) -> None:
        """Remove the scratch folder, and end the process that uses it."""
        if "fresh_process" in self.made:
            self.fresh_process.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def once(self, name: str, make: Callable[[], T]) -> T:
        """The result of `make`, computed at the first request.

        Raises:
            NotApplicable: if an earlier request failed; only the first one raises the original exception.
        """
        if name in self.failed:
            raise NotApplicable(f"requires {name}, which could not be created; an earlier check reports the reason")
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

    @_Once
    def config(self) -> RunConfig:
        """The preset with the subject's changes."""
        found = resolve(self.domain, self.preset, overrides=self.settings, data=self.data)
        vae = found.autoencoder
        return attrs.evolve(found, autoencoder=attrs.evolve(vae, points=min(vae.points, POINTS)))

    @_Once
    def split(self) -> Split:
        """Training and held-out signals."""
        return self.given or load_data(self.parts, self.data)

    @_Once
    def parts(self) -> AnyParts:
        """The domain's implementation for the configuration."""
        return build_parts(self.domain, self.config.domain)

    def built(self, config: RunConfig) -> D2CVAE:
        """Another autoencoder with initial weights, in evaluation mode, if `autoencoder` could be built."""
        _ = self.autoencoder
        return build_autoencoder(self.parts, config).eval()

    @_Once
    def autoencoder(self) -> D2CVAE:
        """Encoder, decoder and readout with their initial weights, in evaluation mode."""
        return build_autoencoder(self.parts, self.config).eval()

    # The following are copies at each access, so that a part that changes its inputs affects one check alone.

    @property
    def batch(self) -> Any:
        """The first training signals that differ, without augmentation."""
        return copied(self._batch)

    @property
    def posterior(self) -> Posterior:
        """Posterior of the batch."""
        found: Posterior = copied(self._posterior)
        return found

    @property
    def fields(self) -> Field:
        """Fields of the batch, from the posterior's means."""
        return self._fields.map(Tensor.clone)

    @property
    def native(self) -> Any:
        """The first field as an artefact in its native view."""
        return copied(self._native)

    @_Once
    def _batch(self) -> Any:
        return self.signals(self.chosen)

    @_Once
    def chosen(self) -> tuple[int, ...]:
        """Numbers of the first training signals that differ from each other, since data may repeat a signal.

        If there are too few among the first 64, the first ones follow.
        """
        found: dict[int, Any] = {}
        for number in range(min(SEARCHED, len(self.train))):
            signal = self.signals([number])
            if all(difference(signal, other) for other in found.values()):
                found[number] = signal
            if len(found) == self.count:
                break
        rest = (number for number in range(len(self.train)) if number not in found)
        return (*found, *islice(rest, self.count - len(found)))

    @_Once
    def _posterior(self) -> Posterior:
        with torch.no_grad():
            return self.autoencoder.encode(self.batch)

    @_Once
    def _fields(self) -> Field:
        with torch.no_grad():
            return self.autoencoder.decode(self.posterior.mean)

    @_Once
    def _native(self) -> Any:
        return self.parts.renderer.render(self.fields[0])

    @_Once
    def process_report(self) -> ProcessReport:
        """Side effects of the domain on a fresh process."""
        return self.fresh_process.report()

    @_Once
    def fresh_process(self) -> FreshProcess:
        """The fresh process, started at the first access."""
        own = isinstance(self.domain.implementation, type) and not self.domain.package.startswith(PREFIX)
        if own or self.domain.package == "__main__":
            raise NotApplicable("its implementation is a class of this program, which a fresh process does not have")
        name = self.record.name if self.record else ""
        folder = self.scratch("process")
        return FreshProcess(self.domain, self.preset, self.data, self.settings, name, folder, self.environment)

    @property
    def preset(self) -> str:
        """Name of the preset; empty for the default of `ddmi run`."""
        return TINY if TINY in implementation(self.domain).presets() else ""

    @property
    def record(self) -> PluginRecord | None:
        """The installed plugin that provides the domain; `None` if the program itself created it."""
        for record in discover():
            if record.name == self.domain.name and record.usable:
                return record
        return None

    @property
    def count(self) -> int:
        """Number of signals in the batch: 4, or all if there are fewer."""
        return min(BATCH, len(self.train))

    @property
    def train(self) -> SignalSet:
        """Training signals."""
        return self.split.train

    def signals(self, indices: Sequence[int], generator: torch.Generator | None = None) -> Any:
        """Training signals at the indices."""
        return self.train.batch(list(indices), generator)

    def queries(self, seed: int, points: int = POINTS) -> Queries:
        """Queries on the batch."""
        return self.parts.sampler.sample(self.batch, points, generator_for(seed, "check"))

    def begin(self) -> None:
        """Start the fresh process during the first checks; the checks that use it report a failure."""
        try:
            _ = self.fresh_process
        except Exception:
            self.failed.clear()

    def several(self, count: int = 2) -> None:
        """Require enough signals to compare.

        Raises:
            NotApplicable: if there are fewer.
        """
        if (found := len(self.train)) < count:
            raise NotApplicable(f"there are {found} training signals, too few to compare {count}")
