"""The description of a domain: a frozen record for listings, without heavy imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pkgutil import resolve_name

from attrs import Attribute, field, frozen, validators

from ddmi_core.errors import PluginError
from ddmi_core.fields.layout import Layout, as_names

API_VERSION = 1
FIRST_VERSION = 1  # the first released version of the interface
# Suffixes of metric names for which higher is better; for all others, lower is better.
HIGHER_IS_BETTER = ("_db", "iou", "ssim", "score", "consistency")

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def _implementation(instance: object, attribute: Attribute[type | str], value: object) -> None:
    """Accept a class, or a reference to one."""
    if not isinstance(value, type) and not (isinstance(value, str) and _REFERENCE.fullmatch(value)):
        raise ValueError(
            f"implementation={value!r} is neither a class nor a reference of the form 'package.module:Class'"
        )


def accepted_versions() -> range:
    """Accepted API versions of plugins: the current one and the previous one."""
    return range(max(FIRST_VERSION, API_VERSION - 1), API_VERSION + 1)


@frozen(kw_only=True)
class Domain:
    """The description of one modality; its work is done by a class derived from `DomainParts`.

    Args:
        name: short name; equals the name of the entry point.
        summary: one sentence for lists.
        layout: axes, planes and extra columns.
        values: names of the value channels, for the default settings.
        implementation: class derived from `ddmi_core.parts.DomainParts`, as a reference `"package.module:Class"`, which
            is imported on first use, so that listing domains imports neither its module nor torch; a program or a
            single file may give the class itself.
        optional: importable module to the feature that it enables, for `ddmi doctor`.
        weights: folder with shipped weights, `"package:folder"`, or `""`.
        api_version: version of this interface that the domain was written for, as a number (not `API_VERSION`, which
            is the version of the installed core).

    Example:
        >>> sphere = Domain(
        ...     name="sphere",
        ...     summary="Temperatures on the sphere",
        ...     layout=Layout(axes=("lon", "lat"), planes=(("lon", "lat"),), periodic=("lon",)),
        ...     values=("temperature",),
        ...     implementation="ddmi_sphere.parts:Sphere",
        ...     api_version=1,
        ... )
        >>> sphere.layout.axes
        ('lon', 'lat')
    """

    name: str = field(validator=validators.matches_re(r"[a-z][a-z0-9_-]*"))
    summary: str
    layout: Layout = field(validator=validators.instance_of(Layout))
    values: tuple[str, ...] = field(converter=as_names, validator=validators.min_len(1))
    implementation: str | type = field(validator=_implementation)
    optional: Mapping[str, str] = field(factory=dict)
    weights: str = ""
    api_version: int = field(validator=validators.instance_of(int))

    @property
    def package(self) -> str:
        """Module that holds the implementation."""
        if isinstance(self.implementation, str):
            return self.implementation.partition(":")[0]
        return self.implementation.__module__

    def load(self) -> type:
        """The class of the implementation.

        Raises:
            PluginError: if the module or the class cannot be imported.
        """
        if isinstance(self.implementation, type):
            return self.implementation
        try:
            found = resolve_name(self.implementation)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # any error in a module of the plugin
            raise PluginError(
                f"domain {self.name!r}: its implementation {self.implementation!r} cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(found, type):
            raise PluginError(
                f"domain {self.name!r}: its implementation {self.implementation!r} is a {type(found).__name__}; "
                "it must be a class derived from ddmi_core.parts.DomainParts"
            )
        return found
