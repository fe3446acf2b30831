"""What a notebook shows and writes: tables, figures and answers, on screen and into the report's folder."""

import html
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analysis.catalogue import answers, provenance, tables
from analysis.outlets import render
from analysis.outlets.opened import evidence_of
from analysis.tabular.cells import Table
from analysis.trained import trained_answer
from bench.records.store import RECORDS

UP = "../"
"""From an executed notebook, in the report's notebooks/, to the report's folder; the page drops it."""


@dataclass(frozen=True)
class Shown:
    """A piece of HTML, which Jupyter displays and the page takes over as it is."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


class Publisher:
    """The notebooks' one tool.

    Args:
        out: the report's folder, where files are written; nothing is written when it is empty, for work by hand.
        records: the folder of the records; by default the checkout's.

    Raises:
        ValueError: there is no such folder.
    """

    def __init__(self, out: str = "", records: str = "") -> None:
        self.out = Path(out) if out else None
        self.evidence = evidence_of(Path(records) if records else RECORDS)

    def answer(self, chapter: str) -> Shown:
        """The chapter's answer, computed from the evidence."""
        answer = answers.ALL[tables.known("answer", chapter, answers.ALL)]
        return Shown(f'<p class="answer">{html.escape(answer(self.evidence))}</p>')

    def table(self, name: str) -> Shown:
        """A table by id, with a line that says where its numbers come from; for each machine where it has one.

        Nothing where it is of trained networks and none is trained; `trained` says what to run.
        """
        return Shown("".join(self._shown_table(table) for table in tables.tables(name, self.evidence)))

    def figure(self, name: str) -> Shown:
        """A figure by id, in the reader's light or dark, with a line that says where its numbers come from.

        Nothing where it is optional and there is nothing to draw.
        """
        from analysis.catalogue import figures
        from analysis.plots import figure_files

        drawing = figures.FIGURES[tables.known("figure", name, figures.FIGURES)]
        data = drawing.data(self.evidence)
        if drawing.optional and data.empty:
            return Shown("")
        caption = f"{drawing.title}. {drawing.caption}"
        with self._figures() as folder:
            figure_files.write_figure(drawing.draw, data, drawing.id, folder)
            picture = figure_files.picture_html(drawing.id, folder, alt=drawing.alt(data), caption=caption)
        links = self._links("figures", drawing.id, ("png", "pdf", "svg", "csv"))
        return Shown(picture + f'<p class="provenance">Drawn from the numbers in {links}.</p>')

    def explorer(self) -> Shown:
        """A link to the page on which a reader tries schedules, written beside the report."""
        if self.out is None:
            return Shown("<p>The report has a page to try schedules on; by hand, open explore.ipynb.</p>")
        from analysis.outlets.explorer_page import write_explorer

        page = write_explorer(self.out)
        return Shown(
            f'<p><a href="{UP}{page.name}">Try it</a>: choose dilations, their order, the number of modules and the '
            "map, and see what a unit and its neighbour read of every map.</p>"
        )

    def cards(self) -> Shown:
        """The summary's numbers, large."""
        cards = "".join(
            f'<div class="card"><span class="number">{html.escape(number)}</span>'
            f'<span class="label">{html.escape(label)}</span></div>'
            for number, label in answers.cards(self.evidence)
        )
        return Shown(f'<div class="cards">{cards}</div>')

    def findings(self) -> Shown:
        """What was found, one sentence each."""
        return Shown(_list(answers.findings(self.evidence)))

    def trained(self) -> Shown:
        """What networks trained on synthetic figures say of the paper's orderings, and what is still to be trained."""
        found = trained_answer.sentences(self.evidence)
        return Shown(_list(found) if len(found) > 1 else f"<p>{html.escape(found[0])}</p>")

    def contradicted(self) -> Shown:
        """The paper's statements that do not hold, folded."""
        found = answers.contradicted(self.evidence)
        summary = f"<summary>{len(found)} statements of the paper that do not hold</summary>"
        return Shown(f"<details>{summary}{_list(found)}</details>")

    def missing(self) -> Shown:
        """What the report cannot say yet, and why."""
        return Shown(_list(answers.missing(self.evidence)))

    def provenance(self) -> Shown:
        """Machine, versions, commit and records behind the page."""
        lines = provenance.of_page(self.evidence).items()
        rows = "".join(f"<tr><th scope='row'>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in lines)
        return Shown(f'<div class="scroll facts"><table>{rows}</table></div>')

    def legend(self) -> Shown:
        """What the marks in the tables mean."""
        return Shown(render.legend_html(("reported", "measured", "match", "differs", "stale", "missing")))

    def _shown_table(self, table: Table) -> str:
        links = ""
        if self.out is not None:
            render.write_table(table, self.out / "tables")
            links = " Files: " + self._links("tables", table.id, ("csv", "tex", "html")) + "."
        line = html.escape(provenance.of_table(table))
        return render.to_html(table) + f'<p class="provenance">{line}.{links}</p>'

    @contextmanager
    def _figures(self) -> Iterator[Path]:
        """A folder for the files of figures; in work by hand it vanishes, for what is shown holds the picture."""
        if self.out is not None:
            yield self.out / "figures"
            return
        with tempfile.TemporaryDirectory(prefix="dpn-figures-") as folder:
            yield Path(folder)

    def _links(self, kind: str, name: str, suffixes: Iterable[str]) -> str:
        if self.out is None:
            return "the notebook's evidence"
        return ", ".join(f'<a href="{UP}{kind}/{name}.{suffix}">{suffix}</a>' for suffix in suffixes)


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"
