"""Text is read and written as UTF-8 on every system, and names that are not UTF-8 do no harm."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from ddmi_core.draws import seed_of
from ddmi_core.errors import DataError, RequestError, printable, shortened
from ddmi_core.parts.array_files import read_array
from ddmi_core.sources import captions, splits
from ddmi_core.viewer.params import Query
from ddmi_nerf.cameras.srn import read_srn
from ddmi_occupancy.data.gltf import gltf_tree

ROOT = Path(__file__).parents[1]
FOLDERS = ("ddmi_core", "plugins", "examples", "tools")


def without_encoding(path: Path) -> list[str]:
    """Calls in a module that read or write text with the encoding of the machine."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        mode = next((a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)), "")
        text = node.func.attr == "write_text" or (node.func.attr == "read_text" and not node.args)
        library = isinstance(node.func.value, ast.Name) and node.func.value.id == "av"  # opens media
        text |= node.func.attr == "open" and not library and mode in ("r", "w", "a", "x")
        if text and not any(keyword.arg in ("encoding", None) for keyword in node.keywords):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_every_text_file_has_an_encoding():
    modules = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "tests" not in path.parts]
    assert len(modules) > 100
    assert [place for path in modules for place in without_encoding(path)] == []


@pytest.mark.parametrize("name", ["a\udcff.png", "\ud800", "ä", "plain"])
def test_draws_of_names_that_are_not_utf_8_are_numbers(name):
    assert 0 <= splits.stable_share(name) < 1
    assert seed_of(0, name) != seed_of(0, f"{name}b")


def test_what_a_name_does_to_a_terminal_is_escaped():
    assert printable("a\x1b]0;title\x07\udcff\u202e.png") == r"a\x1b]0;title\x07\udcff\u202e.png"
    assert printable("ä b\u00a0c 👩\u200d🚀.png") == "ä b\u00a0c 👩\u200d🚀.png"
    assert str(DataError("\x1b[2Jx")) == r"\x1b[2Jx"


def test_errors_shorten_what_is_long_and_keep_both_ends():
    text = str(DataError(f"a: {'x' * 10**6}. Fix: remove it"))
    assert len(text) < 500
    assert text.startswith("a: xxx")
    assert text.endswith("Fix: remove it")
    assert len(shortened("word " * 10**5)) < 4100


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, "9" * 5000, '{"caption": ' + "9" * 5000 + "}"])
def test_deep_and_long_json_is_refused_by_readers_of_what_users_give(text):
    with pytest.raises(DataError):
        captions._object(text, "a.jsonl, line 1")
    with pytest.raises(RequestError):
        Query.of_json(text.encode())
    with pytest.raises(DataError):
        gltf_tree(text.encode(), "a.gltf")


@pytest.mark.parametrize("size", ["inf inf", "1e400 8", "nan 8", "9" * 5000 + " 8"])
def test_sizes_of_intrinsics_that_are_no_numbers_are_refused(size):
    text = f"100 32 32 0\n0 0 0\n1\n{size}\n"
    with pytest.raises(DataError):
        read_srn("0 " * 16, text, "a.txt", "a.png", lambda _: None)


def test_an_array_that_declares_more_than_the_memory_is_refused(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6, 10**4)}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match="not a NumPy file"):
        read_array(tmp_path / "a.npy", (8, 8), 1)
