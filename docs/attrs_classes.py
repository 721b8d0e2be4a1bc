"""Griffe extension for the reference: signatures and comments of attrs classes, and examples as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

COMMENT = re.compile(r"  # (.+)$")
TOGETHER = re.compile(r"^( {4})(\w+(?:, \w+)+): (.+(?:\n {8}.*)*)", re.MULTILINE)


class AttrsClasses(griffe.Extension):
    """Adds the `__init__` that attrs generates, so that a class shows its parameters with types and defaults."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Add `__init__` to a class decorated by attrs."""
        decorators = {getattr(decorator.value, "canonical_path", ""): decorator.value for decorator in cls.decorators}
        if "attrs.frozen" not in decorators or "__init__" in cls.members:
            return
        by_name = str(_arguments(decorators["attrs.frozen"]).get("kw_only")) == "True"
        kind = griffe.ParameterKind.keyword_only if by_name else griffe.ParameterKind.positional_or_keyword
        parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
        parameters += [
            griffe.Parameter(name, annotation=member.annotation, kind=kind, default=default)
            for name, member in cls.members.items()
            if isinstance(member, griffe.Attribute)
            and member.annotation is not None
            and "property" not in member.labels
            for default, taken in [_default(member.value)]
            if taken
        ]
        _document(cls, parameters[1:])
        init = griffe.Function("__init__", parent=cls, parameters=griffe.Parameters(*parameters), returns="None")
        cls.set_member("__init__", init)

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Parse a section `Example:` as code, and split `a, b: text` into one entry each."""
        if obj.docstring is not None:
            text = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
            obj.docstring.value = TOGETHER.sub(_apart, text)


def _document(cls: griffe.Class, parameters: list[griffe.Parameter]) -> None:
    """Describe the parameters by the comments of the attributes, unless the docstring describes them."""
    if cls.docstring is None or "\nArgs:\n" in cls.docstring.value:
        return
    comments = {p.name: COMMENT.search("\n".join(cls.members[p.name].lines)) for p in parameters}
    described = [f"    {name}: {comment[1]}" for name, comment in comments.items() if comment]
    if described:
        text, example, code = cls.docstring.value.partition("\n\nExample")
        cls.docstring.value = "\n".join([text, "", "Args:", *described]) + example + code


def _apart(match: re.Match[str]) -> str:
    return "\n".join(f"{match[1]}{name}: {match[3]}" for name in match[2].split(", "))


def _default(value: Any) -> tuple[Any, bool]:
    """Default of an attribute, and whether `__init__` takes it."""
    if getattr(value, "canonical_path", "") != "attrs.field":
        return value, True
    arguments = _arguments(value)
    if isinstance(factory := arguments.get("factory"), griffe.ExprLambda):
        return factory.body, True
    if factory is not None:
        if str(factory).startswith("_"):
            return "...", True
        return griffe.ExprCall(function=factory, arguments=[]), True
    return arguments.get("default"), str(arguments.get("init")) != "False"


def _arguments(call: Any) -> dict[str, Any]:
    """Keyword arguments of a call."""
    return {a.name: a.value for a in getattr(call, "arguments", ()) if isinstance(a, griffe.ExprKeyword)}
