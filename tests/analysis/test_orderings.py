"""Trained runs as tables and verdicts: budgets apart, old recipes left out, and what does not hold is said."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.catalogue import tables
from analysis.catalogue.provenance import explain_cell
from analysis.evidence import Evidence
from analysis.outlets.publish import Publisher
from analysis.outlets.render import to_csv
from analysis.trained import trained_answer, trained_runs
from analysis.trained.orderings import claimed, once, over_seeds
from bench.recording.trained import collect
from bench.records.store import Store
from dpn.training.recipes import RECIPES
from tests.analysis.made_up_runs import DATA, evidence_of, networks, write_run

EMPTY = Evidence(records_root=Path("/nonexistent"))
DPM, NORMAL = "dpn1_32_lite", "dpn1_32_normal_lite"


def scored(tmp_path: Path, scores: dict[str, list[float]], budget: str = "quick") -> Evidence:
    """Evidence of runs with given AP by network and seed."""
    for name, values in scores.items():
        for seed, score in enumerate(values):
            recipe = replace(RECIPES[f"{budget}/{name}"], seed=seed)
            write_run(tmp_path / "runs" / recipe.name / str(seed), recipe, score)
    collect([tmp_path / "runs"], Store(tmp_path / "records"))
    return Evidence(records_root=tmp_path / "records")


@pytest.fixture(scope="module", name="quick")
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return evidence_of(tmp_path_factory.mktemp("quick"))


# What the paper claims


def test_the_claims_are_those_of_the_printed_tables() -> None:
    found = claimed(EMPTY)
    assert all(claim.difference > 0 for claim in found)
    count = {name: sum(claim.table == name for claim in found) for name in trained_runs.TABLES}
    assert count == {"table-2": 4 + 3, "table-3": 2 * (5 + 4), "table-4": 4, "table-5": 4 + 3}
    by_words = {claim.words: claim for claim in found}
    assert str(by_words["DPM over D = 2, DPN4_32"].difference) == "1.4"
    assert str(by_words["64×48 over 32×24, DPN1_64"].difference) == "0.3"
    assert len({claim.id for claim in found}) == len(found)


def test_every_claimed_network_has_a_stand_in_with_a_recipe_at_each_budget() -> None:
    for budget in trained_runs.BUDGETS:
        for cell in trained_runs.printed_aps(EMPTY):
            assert f"{budget}/{trained_runs.stand_in(EMPTY, budget, cell.subject)}" in RECIPES
    assert len(networks("quick")) == 24


# Verdicts


def test_a_difference_is_paired_by_seed_and_has_student_s_interval(tmp_path: Path) -> None:
    dpm, normal = [0.31, 0.35, 0.30], [0.21, 0.23, 0.22]
    there = scored(tmp_path, {DPM: dpm, NORMAL: normal})
    table = tables.table("orderings-synthetic", there)
    cell = table.cell("table_2_dpn1_64_over_dpn1_64_normal", "quick_ap")
    differences = 100 * (np.array(dpm) - np.array(normal))
    low, high = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert cell.value == pytest.approx(differences.mean())
    assert (cell.text, cell.note) == ("+10.0", f"±{(high - low) / 2:.1f}")
    assert len({record.key() for record in (cell.record, *cell.further) if record}) == 6
    assert table.cell("table_2_dpn1_64_over_dpn1_64_normal", "quick_seeds").text == "3 of 3, p = 0.25"
    assert table.cell("table_2_dpn1_64_over_dpn1_64_normal", "quick_verdict").text == "holds"
    in_file = next(csv.DictReader(io.StringIO(to_csv(table))))
    ends = [float(in_file[f"quick_ap_{end}"]) for end in ("low", "high", "confidence", "n")]
    assert ends == pytest.approx([low, high, 0.95, 3])
    assert [in_file[f"quick_seeds{part}"] for part in ("", "_n", "_p")] == ["3", "3", "0.25"]
    assert "measured: " in "\n".join(explain_cell(table, "table_2_dpn1_64_over_dpn1_64_normal", "quick_ap", tmp_path))


def test_what_does_not_hold_is_said_with_its_numbers(tmp_path: Path) -> None:
    there = scored(tmp_path, {DPM: [0.20, 0.21, 0.22], "dpn1_32_d2_lite": [0.25, 0.26, 0.28]})
    said = trained_answer.sentences(there)
    counts = "0 of 1 orderings of Tables II to V hold over seeds, 1 do not, 0 are undecided"
    what = "(the paper's modules at width 32 behind a stem of two convolutions)"
    assert said[0] == f"On synthetic figures, quick budget {what}: {counts}."
    (line,) = [line for line in said if "does not hold" in line]
    assert "DPM over D = 2, DPN1_32. The AP of dpn1_32_lite is 5.3 lower than that of dpn1_32_d2_lite" in line
    assert "in 3 of 3 seeds; the paper has it 1.3 higher on COCO" in line
    assert trained_answer.answer(there).endswith(f"on synthetic figures at the quick budget {what}, {counts}.")
    assert trained_answer.answer(EMPTY) == "AP is the paper's; no network is trained here yet."


def test_what_holds_after_holm_s_correction_is_said_in_table_and_answer(tmp_path: Path) -> None:
    """p is 1e-4 and 0.0495; networks of one seed have no p, and are compared all the same."""
    scores = {DPM: [0.31, 0.35, 0.30], NORMAL: [0.21, 0.249, 0.201], "dpn1_32_d2_lite": [0.21, 0.23, 0.25]}
    first, second = "DPM over normal, DPN1_64", "DPM over D = 2, DPN1_32"
    both = f"With Holm's correction for the 2 comparisons 2 of the 2 still hold: {first}; {second}."
    one = f"With Holm's correction for the 4 comparisons 1 of the 2 still hold: {first}."
    for more, sentence in (({}, both), ({"dpn1_32_d4_lite": [0.2]}, one)):
        there = scored(tmp_path / str(len(more)), scores | more)
        (note,) = (note for note in tables.table("orderings-synthetic", there).notes if note.startswith("Quick: "))
        told = (note, trained_answer.answer(there), trained_answer.sentences(there)[0])
        assert [text.endswith(f". {sentence}") for text in told] == [True] * 3, told
    assert not any("comparisons" in note for note in tables.table("orderings-synthetic", EMPTY).notes)


def test_an_undecided_ordering_is_not_called_either_way(tmp_path: Path) -> None:
    there = scored(tmp_path, {DPM: [0.20, 0.30, 0.22], NORMAL: [0.25, 0.21, 0.29]})
    said = trained_answer.sentences(there)
    assert not any("does not hold" in line for line in said)
    assert any(
        "undecided and with a mean that is not in the paper's favour: DPM over normal, DPN1_64" in x for x in said
    )
    assert "1 are undecided" in said[0]


def test_orderings_of_the_same_runs_count_once(quick: Evidence) -> None:
    """At width 32 alone, Table III's D = 1 is Table II's normal convolution, and both tables' depths are the same."""
    (runs,) = trained_runs.every_budget(quick)
    assert len(over_seeds(quick, runs)) == len(claimed(quick)) == 36
    assert len(once(over_seeds(quick, runs))) == 36 - 2 - 3
    assert "of 31 orderings" in trained_answer.sentences(quick)[0]


# Which runs count


def test_budgets_are_never_mixed(tmp_path: Path) -> None:
    scored(tmp_path / "a", {DPM: [0.3, 0.3]})
    there = scored(tmp_path / "a", {"dpn1_64": [0.6, 0.6], "dpn1_64_normal": [0.5, 0.5]}, budget="full")
    quick, full = trained_runs.every_budget(there)
    assert (list(quick.by_network), sorted(full.by_network)) == ([DPM], ["dpn1_64", "dpn1_64_normal"])
    table = tables.table("table-2-synthetic", there)
    assert [row.id for row in table.rows] == [
        "dpm", "normal", "quick_dpm_ap", "quick_dpm_oks", "full_dpm_ap", "full_normal_ap", "full_dpm_oks",
        "full_normal_oks",
    ]  # fmt: skip
    assert (table.cell("quick_dpm_ap", "dpn1_64").value, table.cell("full_dpm_ap", "dpn1_64").value) == (30, 60)


def test_only_today_s_recipe_definition_and_data_count(tmp_path: Path) -> None:
    there = scored(tmp_path, {DPM: [0.3, 0.3, 0.3]})
    (record, *_) = there.store.records
    changes = [
        {"protocol": {**record.protocol, "recipe": "older", "seed": 7}},
        {"spec_digest": "older", "protocol": {**record.protocol, "seed": 8}},
        {"protocol": {**record.protocol, "data_digest": "other", "seed": 10}},
        {"protocol": {**record.protocol, "people": 10, "seed": 11}},
    ]
    for change in changes:
        there.store.append(record.model_copy(update=change))
    found = trained_runs.runs(there, "quick")
    assert list(found.by_network[DPM]) == [0, 1, 2]
    assert found.left_out == len(changes)
    assert "4 records are of older recipes" in trained_answer.sentences(there)[-1]


def test_the_set_of_people_with_most_runs_is_taken_and_the_newest_of_equals(tmp_path: Path) -> None:
    recipe = RECIPES[f"quick/{DPM}"]
    for number, (digest, seed) in enumerate([("aaa", 0), ("aaa", 1), ("bbb", 0), ("bbb", 1)]):
        data = {**DATA, "val": f"synthetic val {digest}"}
        write_run(tmp_path / "runs" / str(number), replace(recipe, seed=seed), 0.3 + number / 10, result={"data": data})
    collect([tmp_path / "runs"], Store(tmp_path / "records"))
    there = Evidence(records_root=tmp_path / "records")
    found = trained_runs.runs(there, "quick").by_network[DPM]
    assert [record.protocol["data_digest"] for record in found.values()] == ["bbb", "bbb"]


def test_runs_in_two_precisions_are_of_one_budget_and_never_compared(tmp_path: Path) -> None:
    """A network that has runs in fp32 alone is missing beside more runs in bf16."""
    for name, precision, seeds in ((DPM, "bf16", 3), (NORMAL, "bf16", 1), (DPM, "fp32", 1), (NORMAL, "fp32", 2)):
        for seed in range(seeds):
            recipe = replace(RECIPES[f"quick/{name}"], seed=seed, precision=precision)
            write_run(tmp_path / "runs" / name / precision / str(seed), recipe, 0.3)
    collect([tmp_path / "runs"], Store(tmp_path / "records"))
    there = Evidence(records_root=tmp_path / "records")
    assert {record.protocol["budget"] for record in there.store.records} == {"quick"}
    found = trained_runs.runs(there, "quick")
    assert (found.precision, found.left_out) == ("bf16", 3)
    assert {name: list(by_seed) for name, by_seed in found.by_network.items()} == {DPM: [0, 1, 2], NORMAL: [0]}
    assert "3 records are" in trained_answer.sentences(there)[-1]
    assert any("In bf16, a run in " in note for note in tables.table("table-2-synthetic", there).notes)


def test_no_time_is_told_where_no_network_of_a_table_has_a_run(tmp_path: Path) -> None:
    none = trained_runs.Runs(budget="quick", precision="", by_network={}, left_out=0)
    elsewhere = next(name for name in networks() if name not in none.needed(EMPTY, "table-2"))
    there = scored(tmp_path, {elsewhere: [0.3]})
    notes = tables.table("table-2-synthetic", there).notes
    assert not any("a run in" in note for note in notes)
    assert any(note.startswith(trained_runs.BUDGETS["quick"]) for note in notes)
    assert trained_runs.runs(there, "quick").minutes(there) == "5 minutes"


# Tables, answers and what is missing


def test_a_mean_over_seeds_by_hand(tmp_path: Path) -> None:
    """30, 34 and 38: mean 34, deviation 4, and t(0.975, 2) is 4.3027: 4.3027 * 4 / sqrt(3) = 9.94."""
    there = scored(tmp_path, {DPM: [0.30, 0.34, 0.38]})
    table = tables.table("table-5-synthetic", there)
    cell = table.cell("quick_dpm_ap", "dpn1_32")
    assert (cell.text, cell.note) == ("34.0", "±9.9")
    assert cell.sources()[-1] == (
        "mean of 3 runs: 30.0 with seed 0, 34.0 with seed 1, 38.0 with seed 2; 95 % t interval 24.1 to 43.9"
    )
    assert table.cell("quick_dpm_oks", "dpn1_32").text == "0.540"
    assert table.cell("quick_dpm_ap", "dpn2_32").state == "missing"
    assert table.cell("dpm", "dpn1_32").text == "50.6"
    assert any("Seeds of each network: 3." in note for note in table.notes)
    assert any("dpn2_32_lite" in note and "sweep table-5 --budget quick" in note for note in table.notes)


def test_runs_of_other_arithmetic_and_continued_ones_are_named(tmp_path: Path) -> None:
    leg = {"first_step": 0, "threads": 1, "processes": 1}
    for name, legs in (
        (DPM, [leg | {"bf16 products": "bf16"}]),
        (NORMAL, [leg | {"bf16 products": "fp32"}, leg | {"first_step": 9, "threads": 2, "bf16 products": "fp32"}]),
    ):
        write_run(tmp_path / "runs" / name, RECIPES[f"quick/{name}"], 0.3, result={"legs": legs})
    collect([tmp_path / "runs"], Store(tmp_path / "records"))
    there = Evidence(records_root=tmp_path / "records")
    for table in ("table-2-synthetic", "orderings-synthetic"):
        notes = tables.table(table, there).notes
        (exact,) = (note for note in notes if "products of bf16" in note)
        assert exact.startswith("Of 2 runs 1 multiplied in fp32 what they had rounded to bf16")
        assert exact.endswith(f": {NORMAL} (seed 0).")
        assert f"Continued with other versions, threads or another commit: {NORMAL} (seed 0)." in notes


def test_without_runs_one_line_says_what_makes_them(tmp_path: Path) -> None:
    (line,) = trained_answer.sentences(EMPTY)
    assert "python -m dpn sweep table-2 --budget quick --seeds 3" in line
    assert "python -m bench trained runs" in line
    empty = Publisher(records=str(tmp_path))
    shown = [empty.table(name).text for name in tables.TRAINED] + [empty.figure("training-curves").text]
    assert set(shown) == {""}
    assert empty.trained().text.startswith("<p>No network is trained")


def test_with_some_runs_the_page_has_what_is_there(tmp_path: Path) -> None:
    scored(tmp_path, {DPM: [0.3]})
    some = Publisher(records=str(tmp_path / "records"))
    shown = {name: bool(some.table(name).text) for name in tables.TRAINED}
    assert shown == {f"{name}-synthetic": True for name in trained_runs.TABLES} | {"orderings-synthetic": False}
    assert "24 of 24 networks have fewer than 3 runs" in some.trained().text


def test_with_all_runs_nothing_is_missing(quick: Evidence) -> None:
    assert not any("fewer than" in line for line in trained_answer.sentences(quick))
    for name in tables.TRAINED:
        assert tables.table(name, quick).counts().get("missing", 0) == 0
