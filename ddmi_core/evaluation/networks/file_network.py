"""The feature networks of an evaluation: a domain's own features, networks in files, and those of extensions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from math import prod
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork
from ddmi_core.errors import ConfigError, DataError, RequestError
from ddmi_core.evaluation.networks.clip import Clip, text_similarity
from ddmi_core.evaluation.networks.description import Description, described
from ddmi_core.evaluation.networks.input import AXES
from ddmi_core.evaluation.networks.perceptual import CPU, SETTING, PerceptualDistance, named_file
from ddmi_core.fields.field import Field
from ddmi_core.model.model import Model
from ddmi_core.network_files import ONNX, digest
from ddmi_core.out_of_memory import is_out_of_memory
from ddmi_core.parts.domain_parts import AnyParts
from ddmi_core.registry.extensions import part
from ddmi_core.settings.config import LPIPS, EvaluationConfig, network_file

PLAIN = "plain"  # name of a domain's own features
MOST = 64  # pictures, or frames of clips, in one batch; at least one clip
SUM = 1e-3  # how near to 1 the sum of probabilities is
SAME = 1e-6  # of the largest feature: below it, features of different inputs are equal


def feature_networks(model: Model) -> list[FeatureNetwork]:
    """The domain's own features, then the networks of the setting `evaluation.networks`, in its order.

    Raises:
        DataError: if a file is missing, or cannot be used.
        ConfigError: if two of them have the same name.
        RequestError: if an extension is missing.
    """
    given = _given(model.parts, model.config.evaluation, model.device)
    return [DomainFeatures(model.parts), *given]


def check_networks(parts: AnyParts, config: EvaluationConfig) -> None:
    """Open the networks of `evaluation.networks`, and apply those in files to two inputs of the shape of the data.

    Raises:
        DataError: if a file is missing, or the network returns no features, such as class scores.
        ConfigError: if the domain has no pictures, or pictures where the network takes clips; or LPIPS is unusable.
        RequestError: if an extension is missing.
    """
    if file := named_file(config):
        PerceptualDistance(file, parts)
    for network in _given(parts, config, CPU):
        if isinstance(network, FileNetwork):
            network.check()


def _given(parts: AnyParts, config: EvaluationConfig, device: torch.device) -> list[FeatureNetwork]:
    found: list[FeatureNetwork] = []
    for entry in config.networks:
        file = network_file(entry)
        if file is not None and file[0] == LPIPS:
            continue
        own = part("features", entry, parts.domain)() if file is None else FileNetwork(described(*file), parts, device)
        found.append(own)
    pairs = [LPIPS for entry in config.networks if (file := network_file(entry)) and file[0] == LPIPS]
    names = Counter([PLAIN, *pairs, *(network.name for network in found)])
    if twice := [name for name, count in names.items() if count > 1]:
        raise ConfigError(
            f"{SETTING}: two networks have the name {twice[0]!r}, which names their figures. Fix: leave one of them "
            "out, or give one another name in its description",
            SETTING,
        )
    return found


class DomainFeatures(FeatureNetwork):
    """The domain's own features, which require no file."""

    name = PLAIN

    def __init__(self, parts: AnyParts) -> None:
        self._parts = parts

    @property
    def record(self) -> Mapping[str, Any]:
        """The method that computes them."""
        cls = type(self._parts)
        # The module of a single file is named by its path, of which the last part is the file.
        return {"features": re.split(r"[/\\]", f"{cls.__module__}:{cls.__qualname__}.field_features")[-1]}

    def of_fields(self, fields: Field, renderer: Any) -> Tensor:
        """See `DomainParts.field_features`."""
        return self._parts.field_features(fields)

    def of_signals(self, signal: Any) -> Tensor:
        """See `DomainParts.signal_features`."""
        return self._parts.signal_features(signal)


def clip_score(network: FeatureNetwork, rows: Tensor, texts: Sequence[str]) -> Tensor:
    """CLIP score of samples for the texts that they were drawn for: `(N,)`, 0 to 100, higher is better.

    `100 max(cos, 0)` of image and text features of one file (arXiv 2104.08718, without its factor of 2.5).

    Args:
        network: of the kind `clip`.
        rows: its features `(N * K, F)` of K pictures of each sample, those of one sample in a row; the score of a
            sample is the mean of its pictures.
        texts: N texts.

    Raises:
        DataError: if there is no tokenizer beside the weights.
    """
    tower = network.function if isinstance(network, FileNetwork) else None
    if not isinstance(tower, Clip):
        raise RequestError(f"the network {network.name!r} has no text tower; a CLIP score needs one of the kind clip")
    return text_similarity(tower, rows, texts)


class FileNetwork(FeatureNetwork):
    """A network in a file, applied to a domain's pictures or clips.

    Args:
        description: its file, input and call.
        parts: the domain, whose `pictures` and `signal_pictures` it sees.
        device: where it is computed.

    Raises:
        DataError: if the file cannot be used.
        RequestError: if a package is missing.
    """

    name = ""  # set for each instance

    def __init__(self, description: Description, parts: AnyParts, device: torch.device = CPU) -> None:
        self.name, self.description = description.name, description
        self._parts, self._device = parts, device
        self.function = description.open(device)
        self._digest = digest(description.file)
        self._call = ", ".join(f"{key}={value}" for key, value in description.call.items())

    @property
    def record(self) -> Mapping[str, Any]:
        """File, checksum and whether it is known, input, call, and versions."""
        own = self.description
        libraries = ["torch", *["onnxruntime"] * (own.format == ONNX), *["transformers"] * (own.kind == "clip")]
        return {
            "network": own.name,
            "file": own.file.name,
            "sha256": self._digest,
            "known": own.known(self._digest),
            "input": str(own.input),
            "call": self._call,
            "versions": {library: version(library) for library in libraries},
        }

    def of_fields(self, fields: Field, renderer: Any) -> Tensor:
        """Features `(B * K, F)` of the K pictures or clips of each field."""
        return self.of_pictures(self._seen(self._parts.pictures(fields)))

    def of_signals(self, signal: Any) -> Tensor:
        """Features `(B * K, F)` of the K pictures or clips of each signal."""
        return self.of_pictures(self._seen(self._parts.signal_pictures(signal)))

    @torch.no_grad()
    def of_pictures(self, values: Tensor) -> Tensor:
        """Features of pictures or clips, on the CPU.

        Args:
            values: `(N, 3, H, W)` or `(N, 3, T, H, W)`, in [-1, 1].

        Returns:
            `(N, F)`

        Raises:
            DataError: if the network fails, or returns something else than features: no rows, probabilities, or
                values that are not finite.
        """
        most = max(1, MOST // prod(values.shape[2:-2]))
        return torch.cat([self._applied(part) for part in torch.split(values, most)])

    def check(self) -> None:
        """Apply the network to two inputs of the shape of the data.

        Raises:
            DataError: as `of_pictures`, or if the features of both are equal.
            ConfigError: if the domain has no pictures, or pictures where the network takes clips.
        """
        shape = self._seen(self._parts.signal_pictures(self._parts.blank())).shape[1:]
        rows = self.of_pictures(2 * torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)) - 1)
        if bool((rows[0] - rows[1]).abs().max() <= SAME * rows.abs().max()):
            raise self._refused("returns the same features for different inputs")

    def _seen(self, values: Tensor | None) -> Tensor:
        """What the domain shows of fields or signals, if the network can take it."""
        domain, takes = self._parts.domain.name, self.description.input.takes
        if values is None:
            raise ConfigError(
                f"{SETTING} has {self.name!r}, which takes {takes}, and domain {domain!r} has none. Fix: leave it out",
                SETTING,
            )
        if values.ndim - 2 != AXES[takes]:
            other = next(kind for kind, axes in AXES.items() if axes != AXES[takes])
            raise ConfigError(
                f"{SETTING} has {self.name!r}, which takes {takes}, and domain {domain!r} has {other}. Fix: give a "
                f"network for {other}",
                SETTING,
            )
        return values

    def _applied(self, values: Tensor) -> Tensor:
        """Features of one batch."""
        try:
            with _exact(self._device):
                found = self.function(self.description.input(values.to(self._device)))
        except Exception as error:  # networks in files raise exceptions of many kinds
            if is_out_of_memory(error):
                raise
            # TorchScript prints a long traceback before the message.
            reason = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), repr(error))
            raise self._refused(f"fails for {self._shape(values)}: {reason}") from error
        if not isinstance(found, Tensor) or found.ndim < 2 or len(found) != len(values):
            shown = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise self._refused(f"must return features (B, F), and returns {shown} for {len(values)} inputs")
        rows = found.flatten(1).float().cpu()
        if not bool(rows.isfinite().all()):
            raise self._refused("returns values that are not finite")
        if _probabilities(rows):
            raise self._refused(
                "returns class probabilities, which are no features. Fix: call it with the keyword that returns "
                "features, or save the network without its last layer"
            )
        return rows

    def _shape(self, values: Tensor) -> str:
        called = f", called with {self._call}" if self._call else ""
        return f"{self.description.input.takes} of {' x '.join(map(str, values.shape[1:]))}{called}"

    def _refused(self, fault: str) -> DataError:
        return DataError(f"{self.description.file}: the network {self.name!r} {fault}")


def _probabilities(rows: Tensor) -> bool:
    """Whether all rows look like probabilities, or like their logarithms."""
    if rows.shape[1] == 1:
        return False
    sums = rows.sum(dim=1) if bool((rows >= 0).all()) else rows.logsumexp(dim=1).exp() * bool((rows <= 0).all())
    return bool(((sums - 1).abs() < SUM).all())


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Single precision throughout, as papers compute features: neither autocast nor TF32."""
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
