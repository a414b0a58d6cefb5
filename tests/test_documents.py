"""What the documents show runs as it stands, their figures are those of the results, and their links lead somewhere."""

import contextlib
import functools
import importlib
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(path):
    """The Python blocks of a Markdown file."""
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


SNIPPETS = [(path, number) for path in PAGES for number in range(len(snippets(path)))]


@pytest.mark.parametrize(("path", "number"), SNIPPETS, ids=[f"{path.stem}-{number}" for path, number in SNIPPETS])
def test_readme_snippet(path, number, tmp_path, monkeypatch):
    """Of the README and of the pages that it opens the doors to."""
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets(path)[number], path.name, "exec"), {"__name__": path.stem})


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


@contextlib.contextmanager
def importing_benchmarks():
    """Scripts of benchmarks/ can be imported here; the list of paths is as before afterwards."""
    before = list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield
    finally:
        sys.path[:] = before


@pytest.fixture(scope="module")
def figures():
    """benchmarks/_figures.py, which makes docs/figures.md and the README's reasons."""
    with importing_benchmarks():
        return importlib.import_module("_figures")


@pytest.fixture(scope="module")
def results(figures):
    return figures.load()


def test_the_page_of_the_proof_is_what_the_results_say(results):
    with importing_benchmarks():
        correctness = importlib.import_module("correctness")
    assert (ROOT / "docs/correctness.md").read_text() == correctness.document(results["correctness"]), (
        "run: jaxes bench correctness -- --document"
    )


def test_the_page_of_figures_is_what_the_results_say(figures, results):
    assert figures.PAGE.read_text() == figures.page(results), "run: python benchmarks/_figures.py"


def test_the_reasons_are_what_the_results_say(figures, results):
    text = figures.README.read_text()
    assert text == figures.readme(text, results), "run: python benchmarks/_figures.py"


def test_no_figure_that_a_script_holds_itself_to_is_left_out(figures, results):
    listed = {(part.script, row.name(results[part.script])) for part in figures.SECTIONS for row in part.rows}
    listed |= {("variance", name) for name in results["variance"]["bounds"]}  # of several slopes, the worst is listed
    bounds = {(script, name) for script, figures in results.items() for name in figures.get("bounds", {})}
    assert bounds <= listed


def test_what_is_asked_is_what_the_scripts_ask(figures, results):
    for part in figures.SECTIONS:
        for row in part.rows:
            name = row.name(results[part.script])
            if name is not None:
                bound = results[part.script]["bounds"][name]
                assert row.asked.least == pytest.approx(bound.get("at_least", float("-inf"))), row.what
                assert row.asked.most == pytest.approx(bound.get("at_most", float("inf"))), row.what


def test_every_miss_has_its_reason(figures, results):
    for part in figures.SECTIONS:
        for row in part.rows:
            met = row.asked.met(row.value(results[part.script]))
            assert met or row.why, f"{row.what}: not met, and why?"


def links(path):
    """Targets of links and pictures in a Markdown file, but for the internet's."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    return [link for link in found if not link.startswith(("http://", "https://", "mailto:"))]


@functools.cache
def anchors(path):
    """The names that GitHub gives a file's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


PATH = re.compile(r"`((?:jaxes|tests|benchmarks|docs|examples|notebooks)/[a-z_/]*(?:/|\.py|\.md|\.json))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_are_named_exist(page):
    for path in PATH.findall(page.read_text()):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_pictures_of_the_readme_are_small():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs/images").iterdir()}
    assert max(sizes.values()) < 1_000_000, sizes
