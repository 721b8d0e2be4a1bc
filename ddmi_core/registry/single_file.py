"""Domains in single files, `--plugin ./mine.py`: files are modules that every process can import by name."""

from __future__ import annotations

import builtins
import hashlib
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

import attrs
from attrs import frozen

from ddmi_core.api.domain import Domain
from ddmi_core.errors import PluginError, nearest
from ddmi_core.registry.limit import ImportTimeout, as_text, fix, limited

SUFFIX = ".py"
_NAMED = re.compile(r"(?s)(.+\.py):([\w-]+)")
# Files are submodules of this module, so that classes in pickles are found by other processes, such as spawned workers.
__path__: list[str] = []
PREFIX = f"{__name__}."


def is_file(plugin: str) -> bool:
    """Whether a value of `--plugin` is a file, `./mine.py` or `./mine.py:NAME`, and not the name of a domain."""
    return "/" in plugin or "\\" in plugin or plugin.endswith(SUFFIX) or _NAMED.fullmatch(plugin) is not None


def digest(source: bytes) -> str:
    """Digest of the contents of a file."""
    return hashlib.sha256(source).hexdigest()


@frozen(eq=False)
class FileDomain:
    """A domain from a file.

    Args:
        domain: the domain.
        path: absolute path of the file.
        source: its contents, as they were executed.
        alone: whether the file defines no other domain.
    """

    domain: Domain
    path: Path
    source: bytes
    alone: bool

    @property
    def sha256(self) -> str:
        """Digest of the contents."""
        return digest(self.source)

    @property
    def argument(self) -> str:
        """The value of `--plugin`, with a path relative to the working folder if the file is below it."""
        here = Path.cwd()
        place = f"./{self.path.relative_to(here)}" if self.path.is_relative_to(here) else str(self.path)
        return place if self.alone else f"{place}:{self.domain.name}"


def load_file(plugin: str) -> FileDomain:
    """Import a file and return its domain. A file that has not changed since its last import is not executed again.

    Args:
        plugin: path of the file, or `PATH:NAME` if it defines several domains. NAME is the name of a domain or of the
            variable that holds it.

    Raises:
        PluginError: if there is no such file, importing it fails (with the line), or it does not define one domain.
    """
    named = _NAMED.fullmatch(plugin)
    return load_path(*((named[1], named[2]) if named else (plugin, "")))


def load_path(shown: str, name: str) -> FileDomain:
    """As `load_file`, with the path of the file and the name of the domain, which may be empty, apart."""
    path = _checked(shown)
    module = _imported(path, shown)
    found = {variable: value for variable, value in vars(module).items() if isinstance(value, Domain)}
    domains = list({id(domain): domain for domain in found.values()}.values())
    chosen = [domain for domain in domains if not name or name in (domain.name, *_variables(found, domain))]
    if not domains:
        raise PluginError(
            f"{shown} defines no domain. Fix: create one at the top level of the file, "
            "DOMAIN = ddmi_core.Domain(name=..., ...)"
        )
    if len(chosen) != 1:
        names = ", ".join(domain.name for domain in domains)
        wrong = f"no domain {name!r}; it defines " if name and not chosen else "several domains: "
        raise PluginError(f"{shown} defines {wrong}{names}. Fix: name one, --plugin {shown}:{domains[0].name}")
    domain = _with_class(chosen[0], module, shown)
    return FileDomain(domain, path, _loader(module).source, len(domains) == 1)


def _variables(found: dict[str, Domain], domain: Domain) -> list[str]:
    return [variable for variable, value in found.items() if value is domain]


def _checked(shown: str) -> Path:
    """The absolute path of a file."""
    path = Path(shown)
    if path.is_dir():
        project = (path / "pyproject.toml").is_file()
        fix = f"install it, pip install -e {shown}, and give the name of its plugin" if project else "give a .py file"
        raise PluginError(f"--plugin {shown} is a folder. Fix: {fix}")
    if not path.is_file():
        near = sorted(other.name for other in path.parent.glob(f"*{SUFFIX}"))[:10] if path.parent.is_dir() else []
        there = f" Python files in {path.parent}: {', '.join(near)}." if near else ""
        raise PluginError(f"there is no file {shown}.{there} Fix: give the path of a .py file, or the name of a plugin")
    if path.suffix != SUFFIX:
        raise PluginError(f"--plugin {shown} is not a Python file. Fix: give a .py file")
    return path.resolve()


def _with_class(domain: Domain, module: ModuleType, shown: str) -> Domain:
    """The domain with the class itself in place of a reference to the file, such as `"mine:Mine"`."""
    if isinstance(domain.implementation, type):
        return domain
    where, _, name = domain.implementation.partition(":")
    if where != Path(shown).stem:
        return domain
    cls = getattr(module, name, None)
    if not isinstance(cls, type):
        raise PluginError(
            f"{shown}: domain {domain.name!r} has the implementation {domain.implementation!r}, and the file defines "
            f"no class {name}"
        )
    return attrs.evolve(domain, implementation=cls)


# Importing


def _imported(path: Path, shown: str) -> ModuleType:
    """The module of a file, imported again if the file has changed."""
    name = _module_name(path)
    known = sys.modules.get(name)
    try:
        if known is not None and _loader(known).source != path.read_bytes():
            del sys.modules[name]
        with limited():
            return import_module(name)
    except (Exception, SystemExit, ImportTimeout) as error:
        _refuse(error, path, shown)


def _refuse(error: BaseException, path: Path, shown: str) -> NoReturn:
    """Raise the error of a file that cannot be imported; its cause has the part of the traceback in the file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    line = _line(error, trace, path)
    where = f"{shown}, line {line}" if line else shown
    sentence = f"SyntaxError: {error.msg}" if isinstance(error, SyntaxError) else as_text(error)
    if isinstance(error, NameError) and trace is not None and error.name:
        sentence += nearest(error.name, {**trace.tb_frame.f_globals, **vars(builtins)}).removesuffix(".")
    raise PluginError(f"{where}: {sentence}{_fix(error, path)}") from error.with_traceback(trace)


def _line(error: BaseException, trace: TracebackType | None, path: Path) -> int | None:
    """The line of the file that an exception comes from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _fix(error: BaseException, path: Path) -> str:
    """The fix for a slow import or a missing module, as the end of a message."""
    if isinstance(error, ImportTimeout):
        return f". Fix: move slow work into functions; {fix()}"
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    package = error.name.partition(".")[0]
    if (path.parent / f"{package}{SUFFIX}").is_file() or (path.parent / package).is_dir():
        return (
            f". A domain in a single file cannot import {package} beside it. Fix: move its code into {path.name}, or "
            "make a plugin: ddmi plugins new"
        )
    return f". Fix: pip install the distribution that provides {package}" if find_spec(package) is None else ""


def _module_name(path: Path) -> str:
    """Name of the module of a file, from which any process finds the file again."""
    return PREFIX + str(path.with_suffix("")).replace("%", "%25").replace(".", "%2E")


class _Loader(SourceFileLoader):
    """Compiles the source at each import, because a stored compilation may belong to another version of the file."""

    source = b""

    def get_code(self, fullname: str) -> CodeType:
        """Read and compile the file."""
        self.source = self.get_data(self.path)
        code: CodeType = self.source_to_code(self.source, self.path)
        return code


class _Finder(MetaPathFinder):
    """Finds files by the names of their modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a file's module; `None` for other modules."""
        if not fullname.startswith(PREFIX):
            return None
        place = fullname.removeprefix(PREFIX).replace("%2E", ".").replace("%25", "%") + SUFFIX
        return spec_from_file_location(fullname, place, loader=_Loader(fullname, place))


def _loader(module: ModuleType) -> Any:
    return module.__loader__


sys.meta_path.append(_Finder())
