"""Notebooks of the site: a MkDocs hook that shows them as pages, and a runner that stores their outputs.

`python docs/notebooks.py` runs every notebook in `docs/notebooks` and stores what its cells show, without Jupyter.
Names after it select notebooks.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "notebooks"
PARAMETERS = "parameters"  # tag of the cell whose names a run may set

Notebook = dict[str, Any]


def read(path: Path) -> Notebook:
    """A notebook."""
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def run(notebook: Notebook, parameters: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Run the cells one after the other, and store what each shows, as Jupyter does.

    Args:
        notebook: gets the outputs.
        parameters: values for names that the cell with the tag `parameters` sets.

    Returns:
        the names that the cells define
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        printed = io.StringIO()
        with redirect_stdout(printed):
            shown = _executed("".join(cell["source"]), names)
        if PARAMETERS in cell["metadata"].get("tags", ()):
            if unknown := parameters.keys() - names.keys():
                raise KeyError(f"the notebook has no parameters {', '.join(sorted(unknown))}")
            names.update(parameters)
        cell["execution_count"] = count
        cell["outputs"] = [_stream(printed.getvalue())] * bool(printed.getvalue())
        if shown is not None:
            cell["outputs"].append(
                {
                    "output_type": "execute_result",
                    "execution_count": count,
                    "data": _bundle(shown),
                    "metadata": {},
                }
            )
    return names


def _executed(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def _bundle(shown: Any) -> dict[str, str]:
    if hasattr(shown, "_repr_mimebundle_"):
        return dict(shown._repr_mimebundle_())
    html = {"text/html": shown._repr_html_()} if hasattr(shown, "_repr_html_") else {}
    return {"text/plain": repr(shown), **html}


def _stream(text: str) -> dict[str, str]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def markdown(notebook: Notebook, name: str) -> str:
    """The page of a notebook: texts, code and outputs."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_output(output) for output in cell["outputs"]]
    parts.append(f"[The notebook]({name}.ipynb)")
    return "\n\n".join(parts) + "\n"


def _output(output: Mapping[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "text/html" in data:
        html = re.sub(r"<pre>(.*?)</pre>", r"<pre><code>\1</code></pre>", _text(data["text/html"]), flags=re.DOTALL)
        return f"<div>{html}</div>"  # the theme makes wide lines of <code> scroll in their box
    if "image/png" in data:
        return f'<img alt="Output of the cell above" src="data:image/png;base64,{_text(data["image/png"]).strip()}">'
    return f"```text\n{_text(data['text/plain']).rstrip()}\n```"


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def on_files(files: Any, config: Any) -> Any:
    """MkDocs: add a page for each notebook."""
    from mkdocs.structure.files import File

    for path in sorted(FOLDER.glob("*.ipynb")):
        page = markdown(read(path), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    return files


def on_page_markdown(text: str, **_: Any) -> str:
    """MkDocs: links to notebooks lead to their pages."""
    return re.sub(r"\((\S*notebooks/[\w-]+)\.ipynb\)", r"(\1.md)", text)


def main(chosen: list[str]) -> None:
    """Run notebooks, and store their outputs."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not chosen or path.stem in chosen:
            notebook = read(path)
            run(notebook)
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
