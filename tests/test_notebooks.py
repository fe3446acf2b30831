"""The notebooks are the page: each one a chapter, without outputs, with one cell of parameters, short and code-free.

One more is for exploring by hand. It is no chapter and has no parameters, but runs like them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.catalogue import answers, figures, tables
from analysis.outlets.report import CHAPTERS, NOTEBOOKS, ReportError, execute, read_chapter

LONGEST = 8
"""Lines of code in a cell: more belongs into `analysis`."""


BY_HAND = "explore"
"""The one notebook that is not part of the report."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def notebook(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    return content


def code(name: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]


def test_every_notebook_is_a_chapter() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} - {BY_HAND} == set(CHAPTERS) == set(answers.ALL)


@pytest.mark.parametrize("name", [*CHAPTERS, BY_HAND])
def test_notebook_is_clean(name: str) -> None:
    cells = code(name)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert all(len("".join(cell["source"]).splitlines()) <= LONGEST for cell in cells)
    assert notebook(name)["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in notebook(name)["metadata"], "JupyterLab has saved the state of widgets; clear all outputs"
    ids = [cell["id"] for cell in notebook(name)["cells"]]
    assert len(set(ids)) == len(ids)


def parameter_cells(name: str) -> list[dict[str, Any]]:
    return [cell for cell in code(name) if "parameters" in cell["metadata"].get("tags", ())]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_one_cell_of_parameters(name: str) -> None:
    (parameters,) = parameter_cells(name)
    values: dict[str, Any] = {}
    exec("".join(parameters["source"]), values)
    assert {key: values[key] for key in values if not key.startswith("__")} == {"out": "", "records": ""}


@pytest.mark.slow
def test_the_notebook_for_exploring_runs_and_complains_of_nothing(tmp_path: Path) -> None:
    """Each call of an explorer shows a widget, with a picture of its maps and no line of complaint in its state."""
    assert parameter_cells(BY_HAND) == []
    ran = execute(NOTEBOOKS / f"{BY_HAND}.ipynb", tmp_path, {})
    cells = [cell for cell in ran["cells"] if cell["cell_type"] == "code"]
    assert all(output["output_type"] != "error" for cell in cells for output in cell["outputs"])
    explorers = [cell for cell in cells if "".join(cell["source"]).startswith(("explore_stack(", "explore_network("))]
    assert len(explorers) == 3
    assert all([WIDGET in output["data"] for output in cell["outputs"]] == [True] for cell in explorers)
    state = ran["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    html = [one["state"].get("value", "") for one in state.values() if one["model_name"] == "HTMLModel"]
    assert sum("data:image/png" in value for value in html) == len(explorers)
    assert not any('role="alert"' in value for value in html)


def test_every_table_and_figure_stands_in_one_notebook() -> None:
    calls = [line for name in CHAPTERS for cell in code(name) for line in "".join(cell["source"]).splitlines()]
    assert sorted(line for line in calls if line.startswith("report.table(")) == sorted(
        f'report.table("{name}")' for name in tables.ALL
    )
    assert sorted(line for line in calls if line.startswith("report.figure(")) == sorted(
        f'report.figure("{name}")' for name in figures.FIGURES
    )


def test_an_unknown_parameter_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"summary\.ipynb has no parameter colour; it has out, records"):
        execute(NOTEBOOKS / "summary.ipynb", tmp_path, {"out": "", "colour": "red"})
    assert list(tmp_path.iterdir()) == []


def test_a_chapter_is_prose_and_what_cells_show() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# The title\n", "\n", "Some *prose* & <b>no html</b>."]},
        {"cell_type": "markdown", "source": ["## Below"]},
        {"cell_type": "code", "source": ["secret = 1"], "outputs": [{"data": {"text/plain": "hidden"}}]},
        {
            "cell_type": "code",
            "source": ["show"],
            "outputs": [{"data": {"text/html": ['<p><a href="../tables/', 't.csv">shown</a></p>']}}],
        },
    ]
    chapter = read_chapter("some", {"cells": cells})
    assert chapter.title == "The title"
    assert "<em>prose</em> &amp; &lt;b&gt;no html" in chapter.body
    assert "<h3>Below</h3>" in chapter.body
    assert '<a href="tables/t.csv">shown</a>' in chapter.body
    assert "secret" not in chapter.body
    assert "hidden" not in chapter.body
