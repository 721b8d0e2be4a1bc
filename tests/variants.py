"""Variants of a domain or a model, in which methods of the implementation are replaced."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ddmi_core.api import Domain
from ddmi_core.model.model import Model


def returning(value: Any) -> Any:
    """A method that returns a value."""
    return lambda self: value


def variant(domain: Domain, **members: Any) -> Domain:
    """The domain, implemented by a subclass with other members."""
    base = domain.load()
    return evolve(domain, implementation=type(f"Variant{base.__name__}", (base,), members))


def model_variant(model: Model, **members: Any) -> Model:
    """The model of a variant of its domain."""
    domain = variant(model.domain, **members)
    return evolve(model, parts=domain.load()(domain, model.settings))
