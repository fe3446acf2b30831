"""Rows and comparisons as Markdown for a job summary and for one comment of a pull request. Imports no torch."""

from collections.abc import Callable, Iterable, Sequence

from bench.escaping import code, prose
from bench.outlets.worded import amount, duel_line, ratio_words, times_compared, verdict_line
from bench.records.record import EXACT, METRICS
from bench.records.rows import TIMES, Row, quantities
from bench.statistics import CONFIDENCE
from bench.verdicts.compare import Compared, Report
from bench.verdicts.noise_floor import noise_sentence

MARKER = "<!-- dpn-workbench: report -->"
"""Stands in the comment, unseen, so that the next run finds it and updates it."""

COMMENT_BYTES = 65_536
"""GitHub takes that many characters in a comment; bytes are never fewer."""

SUMMARY_BYTES = 1_048_576
"""GitHub shows a job summary up to this size."""

CONVENTION = (
    "a MAC is one multiply-add of a convolution, transposed convolution, linear layer, matrix product or attention "
    "product; counts are of one image and hold on every machine"
)


class Page:
    """Markdown that ends before it is too long, and says so.

    Example:
        >>> page = Page(400, "elsewhere there is more")
        >>> page.table(["number"], [[str(number)] for number in range(100)])
        >>> print(str(page).splitlines()[-1])
        56 further rows are left out here: elsewhere there is more.
    """

    def __init__(self, limit: int, elsewhere: str) -> None:
        """An empty page of at most `limit` bytes; `elsewhere` says where the rest can be read."""
        self.limit, self.elsewhere = limit, elsewhere
        self._blocks: list[str] = []
        self._size = 0
        self._closing = ""
        self._full = False

    def text(self, block: str) -> None:
        """A block of its own."""
        self._take(block + "\n\n", "the rest is")

    def table(self, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
        """A table of as many lines as fit; its cells are Markdown already."""
        lines = list(lines)
        head = f"| {' | '.join(header)} |\n|{' --- |' * len(header)}\n"
        if not lines or not self._take(head, f"{len(lines)} further rows are"):
            return
        for number, line in enumerate(lines):
            if not self._take(f"| {' | '.join(line)} |\n", f"{len(lines) - number} further rows are"):
                return
        self._take("\n", "the rest is")

    def fold(self, title: str, fill: Callable[[], None]) -> None:
        """What `fill` writes, folded below a title."""
        if self._take(f"<details><summary>{title}</summary>\n\n", "the rest is"):
            self._closing = "\n</details>\n\n"
            fill()
            self._append(self._closing)
            self._closing = ""

    def __str__(self) -> str:
        return "".join(self._blocks).rstrip() + "\n"

    def _take(self, block: str, else_say: str) -> bool:
        """Adds a block if it and, after it, the line that says what was cut and a closing tag fit."""
        if self._full:
            return False
        notice = f"\n{else_say} left out here: {self.elsewhere}.\n"
        if self._size + len(block.encode()) + len(notice.encode()) + len(self._closing) + 20 > self.limit:
            self._full = True
            self._append(notice)
            return False
        self._append(block)
        return True

    def _append(self, block: str) -> None:
        self._blocks.append(block)
        self._size += len(block.encode())


def summary(rows: Sequence[Row]) -> str:
    """A job summary of one set of records: what it rests on first, then tables."""
    page = Page(SUMMARY_BYTES, "a job summary holds 1 MiB; `python -m bench export --format csv` has every row")
    page.text("## Measured networks")
    page.text(foundations(rows))
    _count_table(page, [row for row in rows if row.record.machine == EXACT])
    for machine in _machines(rows):
        page.text(f"### {code(machine)}")
        of_machine = [row for row in quantities(rows) if row.record.machine == machine]
        page.table(
            ("network", "metric", "protocol", "value", "interval", "processes", "flags", "from"),
            (_measured_line(row) for row in of_machine),
        )
    return str(page)


def comparison_summary(report: Report, failures: Sequence[str]) -> str:
    """A job summary of a comparison: verdict, why, what it rests on, every row."""
    page = Page(SUMMARY_BYTES, "a job summary holds 1 MiB; `python -m bench compare --format csv` has every row")
    page.text(f"## {verdict_line(report, failures)}")
    _reasons(page, report, failures)
    page.text(foundations(report.head, times_compared(report)))
    _duel_table(page, report)
    page.table(_HEADER, map(_compared_line, (*report.noteworthy(), *_quiet(report))))
    return str(page)


def comment(report: Report, failures: Sequence[str]) -> str:
    """A comment of a pull request: the verdict in its first line, rows that changed, everything else folded."""
    page = Page(COMMENT_BYTES, "a comment holds 65,536 characters; the job summary has every row")
    page.text(f"{MARKER}\n**{verdict_line(report, failures)}**")
    _reasons(page, report, failures)
    _duel_table(page, report)
    page.table(_HEADER, map(_compared_line, report.noteworthy()))
    page.fold("What this rests on", lambda: page.text(foundations(report.head, times_compared(report))))
    quiet = _quiet(report)
    if quiet:
        page.fold(f"{len(quiet)} rows without a change", lambda: page.table(_HEADER, map(_compared_line, quiet)))
    return str(page)


def foundations(rows: Sequence[Row], compared: str = "") -> str:
    """Machine, convention, versions and noise floor, one line each; one more on how times are compared, if they are."""
    lines = []
    for machine in _machines(rows):
        lines.append(f"- **machine** {code(machine)}; noise floor: {_noise(rows, machine)}")
    if not lines:
        lines.append("- **machine** any: these rows are counts, which have no noise")
    lines.append(f"- **convention** {CONVENTION}")
    if compared:
        lines.append(f"- **times compared** {compared}")
    versions: dict[str, dict[str, None]] = {}
    for row in rows:
        for tool, version in row.record.versions.items():
            versions.setdefault(tool, {})[version] = None
    lines.append(
        "- **versions** " + ", ".join(f"{prose(tool)} {prose(' and '.join(versions[tool]))}" for tool in versions)
    )
    return "\n".join(lines)


_HEADER = ("verdict", "network", "metric", "protocol", "base", "head", "ratio", "why")


def _noise(rows: Sequence[Row], machine: str) -> str:
    sentence = noise_sentence(rows, machine)
    return prose(sentence)


def _machines(rows: Iterable[Row]) -> list[str]:
    return sorted({row.record.machine for row in rows} - {EXACT})


def _quiet(report: Report) -> list[Compared]:
    noteworthy = {id(entry) for entry in report.noteworthy()}
    return [entry for entry in report.compared if id(entry) not in noteworthy]


def _reasons(page: Page, report: Report, failures: Sequence[str]) -> None:
    """What cannot be read, which may be why rows seem to be gone, and then why the comparison fails."""
    lines = [*_first([f"warning: {warning}" for warning in report.warnings], "warnings"), *_first(failures, "reasons")]
    if lines:
        page.text("\n".join(f"- {prose(line)}" for line in lines))


def _first(lines: Sequence[str], what: str, shown: int = 20) -> list[str]:
    more = [f"and {len(lines) - shown} more {what}"] if len(lines) > shown else []
    return [*lines[:shown], *more]


def _duel_table(page: Page, report: Report) -> None:
    header = ("verdict", "timed in turns", "ratio", "rounds", "why")
    page.table(header, ([prose(word) for word in duel_line(duel)] for duel in report.duels))


def _compared_line(entry: Compared) -> list[str]:
    row = entry.row
    across = f", {code(entry.machine)}" if entry.across_machines else ""
    return [
        entry.verdict, code(row.record.subject), row.record.metric, code(row.settings()) + across,
        amount(entry.base), amount(entry.head), ratio_words(entry), prose("; ".join(entry.notes)),
    ]  # fmt: skip


def _measured_line(row: Row) -> list[str]:
    record = row.record
    interval = " to ".join(amount(row, value) for value in row.interval) if row.interval else ""
    confidence = record.detail.get("confidence", CONFIDENCE)
    if interval and confidence < CONFIDENCE:
        interval += f" ({100 * confidence:.4g} %)"
    processes = str(row.processes) if record.metric in TIMES else ""
    return [
        code(record.subject), record.metric, code(row.settings()), amount(row), interval, processes,
        prose("; ".join(record.flags)), f"{code(row.file)}, {_moment(row)}",
    ]  # fmt: skip


def _moment(row: Row) -> str:
    record = row.record
    changes = " with changes" if record.dirty else ""
    return f"{prose(record.recorded_at)}, commit {code(record.commit[:10])}{changes}"


def _count_table(page: Page, rows: Sequence[Row]) -> None:
    """One line for each network and input, a column for each count."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in quantities(rows):
        found.setdefault((row.record.subject, row.settings()), {})[row.record.metric] = row
    present = {metric for line in found.values() for metric in line}
    metrics = [metric for metric in METRICS if metric in present]
    page.table(
        ("network", "protocol", *(f"{metric} ({METRICS[metric].unit})" for metric in metrics), "from"),
        (
            [code(subject), code(protocol), *(amount(line.get(metric)) for metric in metrics),
             "; ".join(dict.fromkeys(map(_moment, line.values())))]
            for (subject, protocol), line in found.items()
        ),
    )  # fmt: skip
