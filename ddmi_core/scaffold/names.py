"""Names of a new plugin: derivation, validation, and check for conflicts."""

from __future__ import annotations

import keyword
import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

import attrs
from attrs import frozen

from ddmi_core.api.domain import Domain
from ddmi_core.errors import RequestError
from ddmi_core.registry.registry import listed

PREFIX = "ddmi-"
LONGEST = 40


@frozen
class Names:
    """The names of a plugin's distribution, package, module and classes."""

    plugin: str  # of the domain and the entry point

    @property
    def distribution(self) -> str:
        """The distribution, and its folder."""
        return f"{PREFIX}{self.plugin}"

    @property
    def package(self) -> str:
        """The package that is imported."""
        return self.distribution.replace("-", "_")

    @property
    def module(self) -> str:
        """The name as a part of a module's name."""
        return self.plugin.replace("-", "_")

    @property
    def title(self) -> str:
        """The name as a part of a class's name: `my-sound` gives `MySound`."""
        return "".join(part.title() for part in re.split("[-_]+", self.plugin))


def checked_names(name: str) -> Names:
    """The names of a new plugin.

    Raises:
        RequestError: if the name is invalid, or taken by an installed plugin, distribution or module.
    """
    _check_form(name)
    names = Names(name)
    _check_free(names)
    return names


def _check_form(name: str) -> None:
    """Check that the name is valid for domain, distribution and package."""
    rule = f"up to {LONGEST} lower-case letters, digits, - and _, starting with a letter, and no - or _ at the end"
    if re.match(r"ddmi([-_]|$)", name):
        raise RequestError(f"{name!r} begins with ddmi, which is the prefix of the distribution's name; omit it")
    if not _valid(name):
        near = re.sub(r"[^a-z0-9_]+", "-", name.lower()).lstrip("0123456789-_")[:LONGEST].rstrip("-_")
        hint = f"; did you mean {near!r}?" if _valid(near) else "."
        raise RequestError(f"{name!r} is not a valid plugin name{hint} Valid: {rule}")
    if keyword.iskeyword(name):
        raise RequestError(f"{name!r} is a keyword of Python; choose another name")


def _valid(name: str) -> bool:
    attribute = attrs.fields(Domain).name
    try:
        if attribute.validator is not None:
            attribute.validator(None, attribute, name)
    except ValueError:
        return False
    return len(name) <= LONGEST and name[-1] not in "-_"


def _check_free(names: Names) -> None:
    """Check that no plugin, distribution or module has the name; - and _ are equivalent."""
    for record in listed():
        if _normalised(record.name) == _normalised(names.plugin):
            raise RequestError(
                f"the name {names.plugin!r} is taken by the plugin {record.name!r} from {record.origin}; "
                "choose another name"
            )
    try:
        found = distribution(names.distribution)
    except PackageNotFoundError:
        pass
    else:
        raise RequestError(
            f"the name {names.plugin!r} is taken by the distribution {found.metadata['Name']} {found.version}; "
            "choose another name"
        )
    if find_spec(names.package) is not None:
        raise RequestError(
            f"the name {names.plugin!r} gives the package {names.package}, and a module with this name exists "
            "already; choose another name"
        )


def _normalised(name: str) -> str:
    return re.sub("[-_]+", "-", name)
