"""Executes the notebooks and assembles the report: one page, with every table and figure as files beside it.

Everything is written aside and moved into place at the end, so that a report that fails leaves the old one whole.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt

from analysis.outlets import render
from analysis.outlets.publish import UP
from bench.records.store import RESULTS
from dpn import checkout
from dpn.processor import cores

NOTEBOOKS = checkout.ROOT / "notebooks"
REPORT = RESULTS / "report"
CHAPTERS = ("summary", "network", "fields", "cost", "speed", "ablations", "comparison", "claims", "reproduce")
"""The notebooks in the page's order; a chapter's title is its notebook's first heading."""

STARTS = 3
"""How often a notebook's kernel is started at most: its ports are chosen before it has them."""

MARKER = "report.json"
"""Tells a folder that holds a report from any other, which is never replaced."""

TITLE = "Is the Dilation Pyramid Network really efficient, and why?"
SUBTITLE = (
    "Measured beside reported: costs, receptive fields and claims of Liu and Guan, “Efficient High-Resolution "
    "High-Level-Semantic Representation Learning for Human Pose Estimation”, recomputed from networks built from its "
    "tables; accuracy on COCO and MPII is quoted."
)


class ReportError(RuntimeError):
    """The report could not be made; the message says why, and that the old one is untouched."""


@dataclass(frozen=True)
class Chapter:
    """One part of the page, read back from its executed notebook."""

    id: str
    title: str
    body: str


def write_report(out: Path = REPORT, *, records: Path | None = None, done: Callable[[str], None] = print) -> Path:
    """Makes the whole report and returns its page.

    Args:
        out: the folder that becomes the report; an old report there is replaced when the new one is complete.
        records: where records are read; by default the checkout's.
        done: told the name of each notebook when it has run.

    Raises:
        ReportError: `out` is something else than a report, cannot be written, or a notebook failed.
    """
    out = out.resolve()
    if out.exists() and not (out / MARKER).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise ReportError(f"{out} exists and is not a report; name a new or an empty folder with --out")
    with _aside(out) as folder:
        parameters = {"out": str(folder), "records": str(records.resolve()) if records else ""}
        (folder / "index.html").write_text(page(_chapters(folder / "notebooks", parameters, done)), encoding="utf-8")
        (folder / MARKER).write_text(json.dumps({"chapters": list(CHAPTERS)}) + "\n", encoding="utf-8")
    return out / "index.html"


def _chapters(folder: Path, parameters: dict[str, str], done: Callable[[str], None]) -> list[Chapter]:
    """Runs all notebooks, as many at a time as there are processors, and reads them back in the page's order."""
    # Processes, not threads: in those the notebook client leaves its event loops open.
    with ProcessPoolExecutor(min(cores(), len(CHAPTERS)), mp_context=get_context("spawn")) as pool:
        runs = {name: pool.submit(execute, NOTEBOOKS / f"{name}.ipynb", folder, parameters) for name in CHAPTERS}
        chapters = []
        try:
            for name, run in runs.items():
                chapters.append(read_chapter(name, run.result()))
                done(name)
        except BaseException:  # Ctrl-C too: what has not started need not start
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return chapters


def execute(source: Path, folder: Path, parameters: dict[str, str]) -> dict[str, Any]:
    """Runs one notebook with papermill into `folder`; returns the executed notebook.

    Raises:
        ReportError: the notebook knows no such parameter, or a cell failed; names notebook, error and remedy.
    """
    # jsonschema, which papermill needs, would spend two seconds on compiling a grammar of internationalised addresses.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # the documented way to make it absent
    import papermill
    from papermill.exceptions import PapermillExecutionError

    target = folder / source.name
    known = papermill.inspect_notebook(str(source))
    if unknown := sorted(set(parameters) - set(known)):
        raise ReportError(f"{source.name} has no parameter {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        notebook = _started(lambda: papermill.execute_notebook(
            str(source), str(target), parameters, kernel_name="python3", progress_bar=False,
            cwd=str(checkout.ROOT), extra_arguments=["--log-level=ERROR"],
        ))  # fmt: skip
    except PapermillExecutionError as error:
        raise ReportError(
            f"{source.name}, cell {error.exec_count}: {error.ename}: {error.evalue}; run it by hand with `make lab`"
        ) from None
    result: dict[str, Any] = json.loads(json.dumps(notebook))
    return result


def _started(run: Callable[[], Any]) -> Any:
    """What a notebook's run returns; a kernel is started again where another program has just taken its port."""
    for _ in range(STARTS - 1):
        try:
            return run()
        except RuntimeError as error:
            if "died before replying" not in str(error):
                raise
    return run()


def read_chapter(name: str, notebook: dict[str, Any]) -> Chapter:
    """An executed notebook as a chapter: its prose, and what its cells show; its code stays in the notebook."""
    title, parts = name, []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            if text.startswith("# "):
                title, _, text = text[2:].partition("\n")
            parts.append(_rendered(text))
        else:
            shown = (output.get("data", {}).get("text/html") for output in cell.get("outputs", ()))
            parts += ["".join(html) for html in shown if html]
    return Chapter(name, title.strip(), "\n".join(parts).replace(f'href="{UP}', 'href="'))


def _rendered(text: str) -> str:
    """A notebook's prose as HTML, its headings one level lower, for the chapter's title is the page's second."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def page(chapters: list[Chapter]) -> str:
    """The whole page as one string that needs nothing from the network."""
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("page.html.j2")  # fmt: skip
    commit, dirty = checkout.commit()
    footer = f"Made by dpn-workbench from commit {commit[:10]}{' with uncommitted changes' if dirty else ''}."
    return template.render(title=TITLE, subtitle=SUBTITLE, css=render.stylesheet(), chapters=chapters, footer=footer)


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A folder beside `out` to write into; it takes the place of `out` when all went well, and vanishes if not."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise ReportError(f"cannot write beside {out}: {error.strerror}; name another folder with --out") from error
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp makes it private
        old = folder.with_name(f"{folder.name}-old")
        try:
            if out.exists():
                out.rename(old)
            folder.rename(out)
        except BaseException:  # Ctrl-C too
            if old.exists() and not out.exists():
                old.rename(out)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        place = error.filename or folder
        raise ReportError(
            f"cannot write {place}: {error.strerror or error}; the old report is untouched, "
            "make room or name another folder with --out"
        ) from error
    finally:
        _remove(folder)


def _remove(folder: Path, seconds: float = 5) -> None:
    """Removes a folder into which a kernel that is just being stopped may still write."""
    deadline = time.monotonic() + seconds
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def prepare_environment() -> None:
    """Keeps the notebooks' kernels quick and quiet; they inherit it."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
