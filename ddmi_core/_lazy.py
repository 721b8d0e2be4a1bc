"""Lazy imports of a package's public names, which keep its import time short."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` (PEP 562) and `__all__` of a package.

    The public names are the imports under `if TYPE_CHECKING:` in its `__init__`. Type checkers and editors read the
    same lines, so each name is written once.

    Args:
        package: `__name__` of the calling module.
    """
    loader: Any = sys.modules[package].__loader__  # inspect would take as long to import as all else of the package
    tree = ast.parse(loader.get_source(package))
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    exports = {
        alias.name: str(statement.module)
        for block in guarded
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    def resolve(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(exports[name]), name)
        setattr(sys.modules[package], name, value)  # the next access finds it without this function
        return value

    return resolve, lambda: sorted(exports), list(exports)
