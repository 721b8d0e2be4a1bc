"""Finished runs of the formula domains, and of one whose shapes are turned."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import StringIO
from pathlib import Path

import numpy as np
from attrs import evolve
from rich.console import Console

import ddmi_core
import formula_domains
from ddmi_core.api import Field, Renderer
from ddmi_core.model.model import Model
from ddmi_core.parts import DomainParts, GridRenderer
from ddmi_core.registry.registry import unregister
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve

DOMAINS = {"wave": formula_domains.WAVE, "block": formula_domains.BLOCK}


class Other(Renderer):
    """Renders as the ready renderer does without being one."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.native, self.native_values = inner.native, inner.native_values

    def observe(self, field: Field, queries):
        return self.inner.observe(field, queries)

    def render(self, field: Field, view=None):
        return self.inner.render(field, view)


def write_triangle(artefact, path: Path) -> None:
    """One triangle as glb, as large as the grid is fine."""
    size = artefact.size[-1]
    places = np.array([[0, 0, 0], [size, 0, 0], [0, size, 0]], "<f4").tobytes()
    header = (
        b'{"asset":{"version":"2.0"},"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],"accessors":[{"bufferView'
        b'":0,"componentType":5126,"count":3,"type":"VEC3"}],"bufferViews":[{"buffer":0,"byteLength":36}]}'
    )
    header += b" " * (-len(header) % 4)
    chunks = struct.pack("<I4s", len(header), b"JSON") + header + struct.pack("<I4s", 36, b"BIN\0") + places
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


class Sheets(formula_domains.Blocks):
    """Blocks whose files are meshes, with a renderer of their own."""

    @cached_property
    def renderer(self) -> Other:
        return Other(GridRenderer(self.domain.layout, self.native))

    def exporters(self):
        return {".glb": write_triangle, ".wav": formula_domains.write}

    panel = DomainParts.panel


SHEET = evolve(formula_domains.BLOCK, name="sheet", implementation="viewed:Sheets")


def sheet(model: Model) -> Model:
    """The model of blocks as one of sheets."""
    return evolve(model, parts=Sheets(SHEET, model.settings))


@contextmanager
def finished(folder: Path) -> Iterator[dict[str, Path]]:
    """Runs of all domains, which are known meanwhile."""
    for domain in DOMAINS.values():
        ddmi_core.register(domain)
        config = resolve(domain, "", overrides=["evaluation.samples=8"])
        pipeline.execute(config, domain, folder / domain.name, resume=False, console=Console(file=StringIO()))
    yield {name: folder / name for name in DOMAINS}
    for name in DOMAINS:
        unregister(name)
