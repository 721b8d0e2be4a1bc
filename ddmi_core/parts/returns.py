"""What the methods of a domain return, checked at each call, so that a wrong part is named and not met later on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, wraps
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from attrs import frozen
from PIL import Image
from torch import Tensor, nn

from ddmi_core.api.evaluation import PaperProtocol
from ddmi_core.api.interfaces import CoordinateSampler, Renderer
from ddmi_core.api.panels import Panel
from ddmi_core.errors import PluginError

_ATTRIBUTES = ("sampler", "renderer")  # all other parts are methods


@frozen
class Right:
    """What a function has to return.

    Args:
        words: it in words, after "it must return".
        fault: what is wrong with a value, after "it returned"; empty if the value is right.
    """

    words: str
    fault: Callable[[Any], str]


def described(value: Any) -> str:
    """A wrong value in words: `None`, `the class GridSampler`, `a tuple`, `an int`."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"


def instance(kind: type, words: str = "") -> Right:
    """An instance of a class."""
    place = "torch" if kind is Tensor else "ddmi_core.api"
    return Right(
        words or f"a {place}.{kind.__name__}", lambda value: "" if isinstance(value, kind) else described(value)
    )


def _named(words: str, fits: Callable[[Any], bool] = callable, *, least: int = 0) -> Right:
    """Names, each with a value."""

    def fault(value: Any) -> str:
        if not isinstance(value, Mapping):
            return described(value)
        wrong = [f"{described(item)} for {name!r}" for name, item in value.items() if not fits(item)]
        names = [f"the name {name!r}" for name in value if not isinstance(name, str)]
        return next(iter(names + wrong), "no entry" if len(value) < least else "")

    return Right(words, fault)


def _sequence(words: str, fits: Callable[[Any], bool]) -> Right:
    """Values in an order."""

    def fault(value: Any) -> str:
        if not isinstance(value, Sequence) or isinstance(value, str):
            return described(value)
        return next((f"{described(item)} as entry {number}" for number, item in enumerate(value) if not fits(item)), "")

    return Right(words, fault)


def _no_limits(value: Any) -> str:
    fits = isinstance(value, Sequence) and len(value) == 2 and all(isinstance(number, int | float) for number in value)
    return "" if fits and value[0] < value[1] else f"{value!r}"[:40]


def _is_row(value: Any) -> bool:
    return isinstance(value, Iterable) and all(isinstance(item, Image.Image) for item in value)


def _is_view(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and isinstance(value[0], str)


def _no_decoder(value: Any) -> str:
    if not isinstance(value, nn.Module):
        return described(value)
    return "" if hasattr(value, "channels") else f"{described(value)}, which has no channels"


def _no_pictures(value: Any) -> str:
    if value is None:  # a domain without pictures
        return ""
    if not isinstance(value, Tensor):
        return described(value)
    return "" if value.ndim in (4, 5) and value.shape[1] == 3 else f"a torch.Tensor of shape {tuple(value.shape)}"


def _no_pixels(value: Any) -> str:
    if value is None:  # an artefact that is no picture
        return ""
    if not isinstance(value, np.ndarray):
        return described(value)
    fits = value.dtype == np.uint8 and value.ndim in (3, 4)
    return "" if fits else f"an array of {value.dtype} of shape {value.shape}"


_NAMES = _sequence("a tuple of names", lambda item: isinstance(item, str))
_FRAMES = _sequence("", lambda item: isinstance(item, Image.Image)).fault
_PICTURES = Right("a torch.Tensor (B, 3, H, W) or (B, 3, T, H, W), or None", _no_pictures)
_RIGHT = {
    "presets": _named("names with TOML files (Path) or TOML texts", lambda item: isinstance(item, Path | str)),
    "sources": _named("at least one name with a function (location, settings) -> Split", least=1),
    "channels": _NAMES,
    "observed": _NAMES,
    "conditions": _named("names with functions () -> Condition"),
    "encoder": instance(nn.Module, "a ddmi_core.api.Encoder"),
    "decoder": Right("a ddmi_core.api.BasisFieldDecoder", _no_decoder),
    "sampler": instance(CoordinateSampler),
    "renderer": instance(Renderer),
    "loss": instance(Tensor, "a torch.Tensor (B, N)"),
    "likelihood": Right(
        '"gaussian" or "bernoulli"', lambda value: "" if str(value) in ("gaussian", "bernoulli") else f"{value!r}"[:40]
    ),
    "limits": Right("the lowest and the highest value, (low, high)", _no_limits),
    "perceptual": _named("names with functions (PerceptualConfig) -> nn.Module"),
    "metrics": _named("names with functions (fields, signal, renderer) -> Tensor (B,)"),
    "evaluations": _named("names with functions (model, split, count, seed) -> Sequence[Figure]"),
    "field_features": instance(Tensor, "a torch.Tensor (B, F)"),
    "signal_features": instance(Tensor, "a torch.Tensor (B, F)"),
    "pictures": _PICTURES,
    "signal_pictures": _PICTURES,
    "paper_protocol": Right(
        "a ddmi_core.api.PaperProtocol, or None",
        lambda value: "" if value is None or isinstance(value, PaperProtocol) else described(value),
    ),
    "exporters": _named("at least one suffix with a function (artefact, path) -> None", least=1),
    "picture": Right(
        "a PIL.Image.Image, or a sequence of them",
        lambda value: "" if isinstance(value, Image.Image) else _FRAMES(value) or ("" if len(value) else "no picture"),
    ),
    "pixels": Right("a uint8 array (H, W, C) or (frames, H, W, C), or None", _no_pixels),
    "report_views": _sequence("pairs of a label and a view", _is_view),
    "contact_sheet": _named("labels with rows of PIL.Image.Image", _is_row),
    "simplifier": Right("a function (artefact) -> artefact", lambda value: "" if callable(value) else described(value)),
    "still": instance(Image.Image, "a PIL.Image.Image"),
    "panel": instance(Panel),
}


def no_method(cls: type, base: type) -> str:
    """What of a class is no method although it is one of its base; empty if nothing is."""
    for name, ours in vars(base).items():
        if isinstance(ours, FunctionType | classmethod) and not callable(found := getattr(cls, name)):
            return f"{name} is {described(found)}, not a method. Fix: def {name}(self)"
    return ""


def require(right: Right, value: Any, where: str) -> None:
    """Check a value that a function of a plugin returned.

    Args:
        right: what it has to be.
        value: the value.
        where: the function for the message: `domain 'sphere': SphereParts.sampler`.

    Raises:
        PluginError: if it is something else.
    """
    if fault := right.fault(value):
        raise PluginError(f"{where} returned {fault}. Fix: return {right.words}")


def check_returns(cls: type) -> None:
    """Let the methods that a class defines check what they return.

    Raises:
        TypeError: if the sampler or the renderer is a method, or anything else that is not the part itself.
    """
    for name, right in _RIGHT.items():
        found = cls.__dict__.get(name)
        if found is None or getattr(found, "__isabstractmethod__", False):
            continue
        if name in _ATTRIBUTES and isinstance(found, FunctionType):
            raise TypeError(f"{cls.__name__}.{name} is a method. Fix: decorate it with functools.cached_property")
        if isinstance(found, cached_property):
            checked: Any = cached_property(_checking(found.func, name, right))
            checked.__set_name__(cls, name)
        elif isinstance(found, property):
            checked = property(_checking(found.fget, name, right), found.fset, found.fdel, found.__doc__)
        elif isinstance(found, classmethod | staticmethod):
            checked = type(found)(_checking(found.__func__, name, right))
        elif isinstance(found, FunctionType):
            checked = _checking(found, name, right)
        elif name in _ATTRIBUTES and not hasattr(found, "__get__") and (fault := right.fault(found)):
            raise TypeError(f"{cls.__name__}.{name} is {fault}. Fix: make it {right.words}")
        else:
            continue
        setattr(cls, name, checked)


def _checking(function: Any, name: str, right: Right) -> Callable[..., Any]:
    """The function of a class, with a check of what it returns."""

    @wraps(function)
    def checked(*arguments: Any, **options: Any) -> Any:
        value = function(*arguments, **options)
        owner = arguments[0] if arguments else None
        domain = getattr(owner, "domain", None)
        place = "" if domain is None else f"domain {domain.name!r}: "
        cls = owner if isinstance(owner, type) else type(owner)
        require(right, value, f"{place}{cls.__name__}.{name}")
        return value

    return checked
