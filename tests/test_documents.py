"""What the documents show is run as it stands."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent


def snippets(path):
    """The Python blocks of a Markdown file."""
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(snippets(ROOT / "README.md"))))
def test_readme_snippet(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets(ROOT / "README.md")[number], "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook(path, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXES_NOTEBOOK", "quick")  # notebooks that would take long do less then
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.py")), ids=lambda path: path.stem)
def test_notebook_and_its_text_are_the_same(path):
    jupytext = pytest.importorskip("jupytext")
    text, notebook = jupytext.read(path), nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    cells = lambda document: [(cell.cell_type, cell.source) for cell in document.cells]
    assert cells(text) == cells(notebook), f"jupytext --sync {path.name}"
