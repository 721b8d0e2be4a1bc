"""The notebooks of the site run, show pictures, and become pages."""

from __future__ import annotations

import json
import sys
from copy import deepcopy

import pytest
from test_docs import DOCS

sys.path.insert(0, str(DOCS))
import notebooks

TINY = {
    "first-look": {"N": 2, "STEPS": 1},
    "own-data": {"PICTURES": 12, "STEPS": 2},
    "completion": {"N": 1, "STEPS": 1, "SAMPLING": 1},
}
FOLDER = DOCS / "notebooks"


def shown(notebook) -> list[dict[str, str]]:
    """What the last lines of cells show."""
    return [output["data"] for cell in notebook["cells"] for output in cell.get("outputs", ()) if "data" in output]


def test_every_notebook_is_run_here():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == TINY.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_notebook_runs_at_tiny_size_and_shows_what_is_stored(name):
    stored = notebooks.read(FOLDER / f"{name}.ipynb")
    again = deepcopy(stored)
    notebooks.run(again, TINY[name])
    assert [data.keys() for data in shown(again)] == [data.keys() for data in shown(stored)]
    assert any("image/png" in data for data in shown(again))


@pytest.mark.parametrize("name", TINY)
def test_a_notebook_is_stored_with_outputs_of_all_cells_in_order_and_without_paths(name):
    stored = notebooks.read(FOLDER / f"{name}.ipynb")
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not any(word in json.dumps(stored) for word in ("/tmp", "/home", "/root", "Traceback"))


@pytest.mark.parametrize("name", TINY)
def test_the_page_of_a_notebook_has_its_text_code_and_pictures(name):
    stored = notebooks.read(FOLDER / f"{name}.ipynb")
    page = notebooks.markdown(stored, name)
    for cell in stored["cells"]:
        assert "".join(cell["source"]) in page
    assert page.startswith("# ")
    assert "data:image/" in page


def test_links_to_notebooks_lead_to_their_pages_on_the_site():
    text = "[a](../notebooks/first-look.ipynb), [b](first-look.ipynb), [c](../how-to/x.md)"
    assert notebooks.on_page_markdown(text) == text.replace("/first-look.ipynb", "/first-look.md")


def test_unknown_parameters_are_refused():
    notebook = notebooks.read(FOLDER / "first-look.ipynb")
    notebook["cells"] = notebook["cells"][:2]
    with pytest.raises(KeyError, match="no parameters M"):
        notebooks.run(notebook, {"M": 1})


def test_wide_lines_of_an_output_scroll_in_their_box():
    cell = {"cell_type": "code", "source": "table", "outputs": [{"data": {"text/html": "<pre>a\nb</pre><p>c</p>"}}]}
    page = notebooks.markdown({"cells": [cell]}, "name")
    assert "<div><pre><code>a\nb</code></pre><p>c</p></div>" in page
