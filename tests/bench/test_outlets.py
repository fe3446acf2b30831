"""Every outlet says the same rows, exactly, in its consumer's format, whatever names they bear."""

import csv
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from analysis.evidence import Evidence
from bench.escaping import code, one_line, prose
from bench.outlets import markdown
from bench.outlets.files import FILES
from bench.outlets.worded import amount
from bench.records.record import Record
from bench.records.rows import Row, quantities, rows
from bench.records.store import Store
from bench.verbs.compare import export, rendered
from bench.verdicts.compare import compare
from bench.verdicts.gate import Gate
from bench.verdicts.noise_floor import NoiseFloor, noise_sentence
from tests.bench.timing_records import MACHINE, count_record, timing_record

NUMBER = {"type": "number"}
TEXT = {"type": "string", "minLength": 1}

GAB_SCHEMA = {  # what github-action-benchmark takes for customSmallerIsBetter
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "unit", "value"],
        "properties": {"name": TEXT, "unit": TEXT, "value": NUMBER, "range": TEXT, "extra": TEXT},
        "additionalProperties": False,
    },
}

BMF_SCHEMA = {  # Bencher Metric Format
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9-]{1,64}$"},
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "properties": {"value": NUMBER, "lower_value": NUMBER, "upper_value": NUMBER},
            "additionalProperties": False,
        },
    },
}

HOSTILE = (
    "a|b", "a`b``c", "<script>alert(1)</script>", "</details>", "<!-- x", "-->", "a\n\n# b", "[a](https://b.c)",
    "**a**", "![a](b)", "a\\|b", "&lt;i&gt;", "@somebody", "#1", "https://a.b", "www.a.b", "\x1b[31mred", "_a_ ~~b~~",
    "a\u202eb", "a\rb", "- a", "1. a",
)  # fmt: skip

THIRD = 1 / 3


def rows_of(*records: Record) -> list[Row]:
    return rows(store_of(records))


def store_of(records: Sequence[Record]) -> Store:
    store = Store(Path("nowhere"))
    for record in records:
        store._add(record)
    return store


def mixed() -> list[Row]:
    return rows_of(
        count_record("a", "macs", 2**60 + 1, {"by_kind": {"linear": 2**60 + 1}}),
        timing_record("a", [[THIRD, 0.1], [0.7, 0.3]]),
        timing_record("a", [[30.0, 40.0]], metric="throughput"),
        timing_record("a", [[1e8]], metric="memory", flags=("disturbed",)),
        timing_record("machine", [[3e9]], metric="copy_ceiling"),
        timing_record("a", [[1.0]], metric="refusal", detail={"reason": "none"}),
        count_record("a", "second_opinions", 4),
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_comment(self, data: str) -> None:
        self.seen.append(f"comment {data}")


def html_of(text: str) -> str:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


def tags_of(text: str) -> list[str]:
    tags = Tags()
    tags.feed(html_of(text))
    return tags.seen


def text_of(html: str) -> str:
    class Text(HTMLParser):
        found = ""

        def handle_data(self, data: str) -> None:
            self.found += data

    text = Text()
    text.feed(html)
    return text.found


def test_github_action_benchmark_gets_what_it_takes() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    entries = json.loads(FILES["gab"](mixed()))
    jsonschema.validate(entries, GAB_SCHEMA)
    assert len(entries) == len({entry["name"] for entry in entries}) == len(quantities(mixed()))


def test_github_action_benchmark_has_one_direction() -> None:
    (entry,) = json.loads(FILES["gab"](rows_of(timing_record("a", [[30.0], [40.0]], metric="throughput"))))
    assert (entry["value"], entry["unit"], entry["range"]) == (1 / 35, "second/image", f"{1 / 40} to {1 / 30}")


def test_github_action_benchmark_is_not_told_that_a_larger_receptive_field_is_worse() -> None:
    found = rows_of(count_record("a", "receptive_field", 500), count_record("a", "macs", 1))
    assert [entry["name"].split()[0] for entry in json.loads(FILES["gab"](found))] == ["macs"]


@pytest.mark.parametrize("flag", ["disturbed", "no steady state"])
def test_bencher_is_sent_no_value_that_decides_nothing_and_somebody_is_told(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for record in (timing_record("a", [[0.1]], flags=(flag,)), timing_record("b", [[0.1]], flags=("budget spent",))):
        store.append(record)
    export("bmf", records=tmp_path)
    said = capsys.readouterr()
    assert [name.split()[0] for name in json.loads(said.out)] == ["b"]
    assert said.err.startswith("warning: 1 row left out of bmf, flagged as disturbed or without a steady state; ")
    report = compare(store, store)
    assert rendered(report, (), "bmf") == said.out
    assert capsys.readouterr().err == said.err
    export("gab", records=tmp_path)
    assert capsys.readouterr().err == ""


def test_bencher_gets_what_it_takes() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    benchmarks = json.loads(FILES["bmf"](mixed()))
    jsonschema.validate(benchmarks, BMF_SCHEMA)
    measures = [values for benchmark in benchmarks.values() for values in benchmark.values()]
    assert len(measures) == sum(row.trusted for row in quantities(mixed()))
    assert all(values.get("lower_value", values["value"]) <= values["value"] for values in measures)
    assert all(values.get("upper_value", values["value"]) >= values["value"] for values in measures)


def test_a_schema_would_notice() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{"name": "a", "unit": "second", "value": "1"}], GAB_SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a": {"latency": {"lower_value": 1}}}, BMF_SCHEMA)


def test_nothing_is_rounded() -> None:
    values = {row.record.key(): row.record.value for row in mixed()}
    assert {row["key"]: row["value"] for row in json.loads(FILES["json"](mixed()))} == values
    for line in csv.DictReader(io.StringIO(FILES["csv"](mixed()))):
        value = values[line["key"]]
        assert type(value)(line["value"]) == value
    benchmarks = json.loads(FILES["bmf"](mixed()))
    kept = sorted(row.record.value for row in quantities(mixed()) if row.trusted)
    assert sorted(m["value"] for benchmark in benchmarks.values() for m in benchmark.values()) == kept


def test_a_rate_of_nothing_has_no_inverse() -> None:
    with pytest.raises(ValueError, match=r"copy_ceiling\.jsonl: a rate of 0\.0 has no inverse"):
        FILES["gab"](rows_of(timing_record("a", [[1.0]], metric="copy_ceiling", value=0.0)))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("outlet", sorted(FILES))
def test_a_hostile_name_comes_back_from_every_file(name: str, outlet: str) -> None:
    text = FILES[outlet](rows_of(timing_record(name, [[0.1]])))
    if outlet == "csv":
        (line,) = csv.DictReader(io.StringIO(text, newline=""))
        assert line["subject"].removeprefix("'") == one_line(name)
    elif outlet == "json":
        assert json.loads(text)[0]["subject"] == name
    else:
        names = [entry["name"] for entry in json.loads(text)] if outlet == "gab" else list(json.loads(text))
        assert name in names[0]


@pytest.mark.parametrize("name", ["=HYPERLINK(0)", "+1", "-1", "@SUM(0)", "\t=1"])
def test_a_spreadsheet_computes_no_name_and_keeps_its_numbers(name: str) -> None:
    row = rows_of(timing_record(name, [[0.1]], metric="memory", value=-1.5))
    (line,) = csv.DictReader(io.StringIO(FILES["csv"](row), newline=""))
    assert (line["subject"], line["value"]) == (f"'{name.strip()}", "-1.5")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_means_only_itself_in_markdown(name: str) -> None:
    for escaped, allowed in ((prose(name), []), (code(name), ["code"])):
        cell = f"| a | b |\n| --- | --- |\n| x {escaped} | y |\n"
        assert [
            tag for tag in tags_of(cell) if tag not in {"table", "thead", "tbody", "tr", "th", "td", "p"}
        ] == allowed
        assert html_of(cell).count("<td>") == 2
        shown = text_of(html_of(cell)).replace("\u200b", "")  # which nobody sees
        assert shown.split() == ["a", "b", "x", *one_line(name).split(), "y"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_neither_links_nor_notifies(name: str) -> None:
    assert not re.search(r"https?:/|www\.[a-z]", prose(name))
    assert not re.search(r"@\w|#\d", html.unescape(prose(name)))  # GitHub looks for them in what Markdown has become
    if "@" in name or name.startswith("#"):
        assert code(name).startswith("<code>")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_cannot_break_a_page(name: str) -> None:
    base = store_of([count_record(name, "macs", 1), timing_record(name, [[0.1]] * 5, flags=(name,))])
    head = store_of([count_record(name, "macs", 2), timing_record(name, [[0.1]] * 5, commit=name, flags=(name,))])
    report = compare(base, head)
    harmless = store_of([count_record("a", "macs", 1), timing_record("a", [[0.1]] * 5, flags=("a",))])
    likewise = store_of([count_record("a", "macs", 2), timing_record("a", [[0.1]] * 5, commit="a", flags=("a",))])
    expected = compare(harmless, likewise)
    for format_ in ("comment", "summary"):
        text = rendered(report, Gate().failures(report), format_)
        assert tags_of(text) == tags_of(rendered(expected, Gate().failures(expected), format_))
        assert text.count(markdown.MARKER) == (format_ == "comment")
    assert tags_of(markdown.summary(rows(head))) == tags_of(markdown.summary(rows(likewise)))
    assert len(rendered(report, (), "text").splitlines()) == len(rendered(expected, (), "text").splitlines())


def many(number: int, value: int) -> Store:
    return store_of([count_record(f"network_{index}", "params", value) for index in range(number)])


def test_a_comment_says_its_verdict_first_and_folds_what_did_not_change() -> None:
    base = store_of([count_record("same", "macs", 1), count_record("other", "macs", 1)])
    head = store_of([count_record("same", "macs", 1), count_record("other", "macs", 2)])
    report = compare(base, head)
    text = markdown.comment(report, Gate().failures(report))
    marker, verdict = text.splitlines()[:2]
    assert marker == markdown.MARKER
    assert verdict == "**The comparison fails for 1 reason: 1 changed, 1 equal**"
    before, folded = text.split("<details>", maxsplit=1)
    assert "`other`" in before
    assert "`same`" not in before
    assert "`same`" in folded


@pytest.mark.parametrize("format_", ["comment", "summary"])
def test_a_line_that_cannot_be_read_is_told_first_below_the_verdict(format_: str, tmp_path: Path) -> None:
    """Else all that a reader sees of it is a row that is gone."""
    for side in ("base", "head"):
        for name in "ab":
            Store(tmp_path / side).append(count_record(name, "macs", 1))
    file = tmp_path / "head" / "exact" / "macs.jsonl"
    file.write_text(file.read_text().replace('"subject":"b"', '"subject":3'))
    report = compare(Store(tmp_path / "base"), Store(tmp_path / "head"))
    _, said = rendered(report, Gate().failures(report), format_).split("The comparison fails for 1 reason", maxsplit=1)
    first, second = filter(None, text_of(html_of(said.split("\n\n")[1])).splitlines())
    assert first.startswith("warning: head: exact/macs.jsonl, line 2: not a record: subject: ")
    assert "restore it from git or a copy" in first
    assert second.startswith("exact/macs.jsonl: 1 row gone from the head: b")
    assert str(tmp_path) not in said


def test_of_many_lines_that_cannot_be_read_the_first_are_told_and_no_reason_to_fail_is_lost() -> None:
    report = replace(compare(many(1, 1), many(1, 2)), warnings=tuple(map(str, range(30))))
    lines = markdown.comment(report, ["a reason"]).splitlines()
    assert lines[3:23] == [f"- warning: {number}" for number in range(20)]
    assert lines[23:25] == ["- and 10 more warnings", "- a reason"]


@pytest.mark.parametrize("changed", [0, 1])
@pytest.mark.parametrize("number", [1, 600, 3000])
def test_a_comment_fits_and_counts_what_it_leaves_out(number: int, changed: int) -> None:
    report = compare(many(number, 1), many(number, 1 + changed))
    text = markdown.comment(report, Gate().failures(report))
    assert len(text) <= len(text.encode()) <= markdown.COMMENT_BYTES
    shown = len(re.findall(r"^\| (?:equal|changed) \|", text, flags=re.MULTILINE))
    left_out = re.search(r"(\d+) further rows are left out here: .* the job summary has every row", text)
    assert shown + (int(left_out[1]) if left_out else 0) == number
    assert bool(left_out) == (number == 3000)
    assert text.count("<details>") == text.count("</details>")
    assert rendered(report, (), "summary").count("`network_") == number


def test_a_page_that_cannot_hold_a_block_says_so() -> None:
    page = markdown.Page(200, "more elsewhere")
    page.fold("Title", lambda: page.text("x" * 500))
    page.text("never")
    text = str(page)
    assert "the rest is left out here: more elsewhere." in text
    assert "never" not in text
    assert text.count("</details>") == 1
    assert len(text.encode()) <= 200


def test_the_summary_opens_with_what_it_rests_on() -> None:
    lines = markdown.summary(mixed()).splitlines()[2:5]
    assert lines[0].startswith(
        f"- **machine** `{MACHINE}`; noise floor: not measured on this machine; run: python -m bench"
    )
    assert lines[1].startswith("- **convention** a MAC is one multiply-add")
    assert lines[2].startswith("- **versions** python 3.11.7, torch 2.13.0")


def test_an_interval_names_its_confidence_where_it_is_less_than_usual() -> None:
    few = timing_record("few", [[0.1], [0.2]], detail={"confidence": 0.5})
    found = rows_of(few, timing_record("enough", [[0.3], [0.4]]), timing_record("a", [[1e8]], metric="memory"))
    text = markdown.summary(found)
    assert "| 100 ms to 200 ms (50 %) |" in text
    assert "| 300 ms to 400 ms |" in text
    assert "| value | interval | processes |" in text
    lines = {line["subject"]: line["confidence"] for line in csv.DictReader(io.StringIO(FILES["csv"](found)))}
    assert (lines["few"], lines["enough"]) == ("0.5", "0.95")
    count = count_record("a", "macs", 1)
    assert json.loads(FILES["json"](rows_of(count)))[0]["confidence"] is None


def test_a_comparison_says_how_many_times_it_judges() -> None:
    counts = [count_record("a", "macs", 1)]
    times = [[timing_record(name, [[0.1]] * 5, commit=commit * 40) for name in ("a", "b")] for commit in "cd"]
    report = compare(store_of(counts + times[0]), store_of(counts + times[1]))
    told = "- **times compared** 2, each by a two-sided rank test at 0.02; no correction is made for their number"
    assert told in markdown.comparison_summary(report, ())
    assert told in markdown.comment(report, ())
    assert "times compared" not in markdown.comment(compare(store_of(counts), store_of(counts)), ())


def test_the_summary_that_export_prints_holds_every_quantity_of_this_project(
    committed: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(committed.store)
    export("summary", committed.records_root)
    text = capsys.readouterr().out
    assert len(text.encode()) <= markdown.SUMMARY_BYTES
    for row in quantities(found):
        assert amount(row) in text


def test_no_trial_is_no_noise_floor() -> None:
    assert noise_sentence(mixed(), MACHINE) == "not measured on this machine; run: python -m bench trials"


def trial(true_ratio: float, measured: float, index: int) -> Record:
    rounds = [
        {"a": [(1 + 0.001 * ((pair * 7 + fought) % 5)) for pair in range(24)],
         "b": [measured * (1 + 0.001 * ((pair * 3 + fought) % 5)) for pair in range(24)]}
        for fought in range(8)
    ]  # fmt: skip
    return timing_record(
        "a", [[measured]], metric="trial", true_ratio=true_ratio, trial=index, detail={"effect": 0.05, "rounds": rounds}
    )


def test_the_noise_floor_counts_false_alarms_and_missed_slowdowns() -> None:
    found = rows_of(
        *(trial(1.0, 1.0, index) for index in range(4)), trial(1.0, 1.5, 4), trial(1.0, 0.5, 5),
        *(trial(1.1, 1.1, index) for index in range(3)), trial(1.1, 1.0, 3),
        trial(1.25, 1.25, 0).model_copy(update={"machine": "another"}),
    )  # fmt: skip
    assert noise_sentence(found, MACHINE) == (
        "2 of 6 duels of 8 rounds of a network with itself gave a false alarm; 3 of 4 slowdowns of 10 % were found"
    )
    assert NoiseFloor(machine="m", same=0, false_alarms=0, slowdowns={1.25: (2, 2)}).sentence() == (
        "2 of 2 slowdowns of 25 % were found"
    )


def test_a_comparison_names_the_noise_floor_of_its_head() -> None:
    count, trials = count_record("a", "macs", 1), [trial(1.0, 1.0, index) for index in range(2)]
    report = compare(store_of([count]), store_of([count, *trials]))
    sentence = "0 of 2 duels of 8 rounds of a network with itself gave a false alarm"
    floor = f"- **machine** `{MACHINE}`; noise floor: {sentence}\n"
    assert floor in markdown.comment(report, ())
    assert floor in markdown.comparison_summary(report, ())
    assert [entry.metric for entry in report.compared] == ["macs"]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (timing_record("a", [[0.0123456]]), "12.35 ms"),
        (timing_record("a", [[3 * 2.0**20]], metric="memory"), "3 MiB"),
        (count_record("a", "macs", 1234567), "1,234,567"),
        (count_record("a", "macs", 1234567, complete=False), "1,234,567 (incomplete)"),
    ],
)
def test_amounts_are_rounded_for_people_only(record: Record, words: str) -> None:
    assert amount(rows_of(record)[0]) == words


@pytest.mark.parametrize("outlet", sorted(FILES))
def test_export_writes_this_projects_records(outlet: Any, tmp_path: Path, committed: Evidence) -> None:
    export(outlet, committed.records_root, out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == FILES[outlet](rows(committed.store)) != ""


def test_export_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder .*missing; give a folder of records"):
        export("csv", records=tmp_path / "missing")
