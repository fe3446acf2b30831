"""Neighbours' cosines as records and as a table: measured once, told with intervals, and never mixed."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.catalogue import answers, tables
from analysis.effective_fields import erf_inputs
from analysis.effective_fields.gridding_measured import Measured, Watched
from analysis.effective_fields.gridding_records import (
    LIGHT,
    SHOWN,
    STEPS,
    Protocol,
    last_module,
    measure_neighbours,
    pictures,
    record,
)
from analysis.effective_fields.missing_records import digest_of
from analysis.effective_fields.random_weights import draw_he
from analysis.evidence import Evidence
from analysis.field_tables import neighbours as gridding_table
from analysis.outlets.render import to_csv
from bench.records.record import Record
from bench.records.store import Store
from bench.subject import resolve
from dpn.zoo import ZOO

QUICK = Protocol(images=2, seeds=2)
EMPTY = Evidence(records_root=Path("/nonexistent"))
BETWEEN = tuple(f"dpm.1.{block}" for block in range(5))


def made_up(
    name: str, value: float, weights: str, *,
    images: int = 32, half: float = 0.01, networks: int = 1, entering: float | None = None,
) -> Record:  # fmt: skip
    """A record as `measure_neighbours` makes it, of a cosine that is the same on every map but perhaps the first."""
    values = dict.fromkeys((*BETWEEN, "conv2", "mean"), value)
    if entering is not None:
        values["conv2"] = entering
    rows = [
        Measured(
            map=at, value=value, low=value and value - half, high=value and value + half, images=images, units=2,
            networks=networks,
        )
        for at, value in values.items()
    ]  # fmt: skip
    watched = Watched(units=((16, 12),), of="dpm.1.5", to=BETWEEN, also=("conv2",), steps=STEPS)
    told: dict[str, Any] = {
        "input_hw": [256, 192], "of": watched.of, "weights": weights, "source": "synthetic figures", "images": images,
        "seeds": networks,
    }  # fmt: skip
    return record(resolve(name), watched, rows, told)


def evidence(root: Path, *records: Record) -> Evidence:
    for one in records:
        Store(root).append(one)
    return Evidence(records_root=root)


def test_the_last_module_of_a_network_is_watched() -> None:
    watched = last_module(resolve("dpn2_32_lite"))
    assert (watched.of, watched.units) == ("dpm.2.5", ((16, 12),))
    assert watched.to == tuple(f"dpm.2.{block}" for block in range(5))
    assert watched.also == ("dpm.1",)
    with pytest.raises(ValueError, match="Two has no dilation modules"):
        last_module(resolve("tests.analysis.test_field_verbs:Two", (8, 8)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    subjects = [resolve("dpn1_32_lite"), resolve("dpn1_32_reversed_lite")]
    assert measure_neighbours(subjects, Store(folder), QUICK) == 2
    return folder


def test_networks_are_measured_once_and_the_wiring_s_zeros_are_exact(root: Path) -> None:
    store = Store(root)
    assert measure_neighbours([resolve("dpn1_32_lite")], store, QUICK) == 0
    pyramid, reverse = store.records
    assert pyramid.protocol["weights"] == "random, calibrated"
    assert (pyramid.protocol["images"], pyramid.protocol["seeds"], pyramid.protocol["of"]) == (2, 2, "dpm.1.5")
    assert "synthetic figures, version" in str(pyramid.protocol["source"])
    low, high = pyramid.detail["interval"]
    assert 0 < low <= pyramid.value <= high < 1
    assert pyramid.detail["between"] == list(BETWEEN)
    assert (reverse.value, reverse.detail["interval"]) == (0, [0, 0])
    assert reverse.detail["maps"]["conv2"]["value"] > pyramid.detail["maps"]["conv2"]["value"]


def test_trained_weights_are_known_by_their_file(tmp_path: Path) -> None:
    subject, store = resolve("dpn1_32_lite"), Store(tmp_path / "records")
    net = subject.factory()
    draw_he(net, 3)
    torch.save(net.state_dict(), tmp_path / "trained.pth")
    for added in (1, 0):
        assert measure_neighbours([subject], store, QUICK, trained=tmp_path / "trained.pth") == added
    (found,) = store.records
    assert str(found.protocol["weights"]).startswith("sha256:")
    assert (found.protocol["seeds"], found.detail["networks"], found.protocol["images"]) == (1, 1, 2)
    with pytest.raises(ValueError, match=r"trained\.pth"):
        measure_neighbours([resolve("dpn1_64")], store, QUICK, trained=tmp_path / "trained.pth")


@pytest.mark.parametrize("protocol", [Protocol(images=1), Protocol(seeds=0)])
def test_too_little_is_refused(protocol: Protocol, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two images, and random weights one initialisation"):
        measure_neighbours([resolve("dpn1_32_lite")], Store(tmp_path), protocol)


def test_images_that_would_fill_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erf_inputs, "MOST_BYTES", 12 * 256 * 192)
    with pytest.raises(ValueError, match=r"2 images of 256x192 .* give fewer --images"):
        pictures(resolve("dpn1_32_lite"), QUICK)


def test_a_factory_is_known_by_what_it_builds() -> None:
    subject = resolve("tests.analysis.test_field_verbs:Two", (8, 8))
    assert digest_of(subject) == subject.digest(subject.factory()) != subject.name
    assert digest_of(resolve("dpn1_32_lite")) == ZOO["dpn1_32_lite"].digest()


def test_the_table_has_every_network_and_names_what_makes_the_missing_records(tmp_path: Path) -> None:
    table = tables.table("table-neighbours", EMPTY)
    assert [row.id for row in table.rows] == list(SHOWN)
    assert {row.cells["random"].state for row in table.rows} == {"missing"}
    assert [round(float(row.cells["wired"].value)) for row in table.rows] == [1, 0, 1, 0, 0, 0, 0, 1]  # type: ignore[arg-type]
    (note,) = table.notes
    assert note.startswith("16 of 16 measurements are missing; run: python -m analysis neighbours; python -m analysis ")
    assert note.count("--weights") == len(SHOWN)
    assert gridding_table.sentence(EMPTY) == ""
    there = evidence(tmp_path, made_up("dpn1_32_lite", 0.25, "random, calibrated", networks=8))
    note = tables.table("table-neighbours", there).notes[-1]
    assert "15 of 16" in note
    assert "; python -m analysis neighbours dpn1_32_lite --weights FILE; " in note
    assert note.endswith("; python -m analysis neighbours dpn4_32 --weights released.")
    everything = [made_up(name, 0.2, weights) for name in SHOWN for weights in ("random, calibrated", "sha256:1")]
    assert not any(
        "missing" in note for note in tables.table("table-neighbours", evidence(tmp_path, *everything)).notes
    )


def test_a_cell_is_its_record_with_its_interval(tmp_path: Path) -> None:
    records = [
        made_up("dpn1_32_lite", 0.25, "random, calibrated", networks=8), made_up("dpn1_32_lite", 0.066, "sha256:1"),
        made_up("dpn1_32_reversed_lite", 0.0, "sha256:2"),
    ]  # fmt: skip
    there = evidence(tmp_path, *records)
    table = tables.table("table-neighbours", there)
    cells = [table.cell("dpn1_32_lite", column) for column in ("random", "trained", "trained_input")]
    assert [(cell.text, cell.note) for cell in cells] == [
        ("25.0", "23.7–26.3"), ("6.6", "5.5–7.7"), ("6.6", "5.5–7.7"),
    ]  # fmt: skip
    assert [cell.record for cell in cells] == [*records[:2], records[1]]
    zero = table.cell("dpn1_32_reversed_lite", "trained")
    assert (zero.text, zero.note, zero.state) == ("0", "", "measured")
    assert any("mean over 8 initialisations" in note for note in table.notes)
    assert any("is of what very many images would give" in note for note in table.notes)
    first = next(csv.DictReader(io.StringIO(to_csv(table))))
    assert [float(first[f"random_{name}"]) for name in ("low", "high", "n")] == pytest.approx(
        [0.2371, 0.2629, 8], abs=1e-4
    )
    assert float(first["trained_n"]) == 32  # images of one network, which its interval is over
    assert gridding_table.sentence(there) == (
        "After training on synthetic figures, one run each, the cosine of neighbouring outputs' squared gradients is "
        "exactly 0 inside reversed, as the wiring demands; 6.6 % (5.5–7.7) inside DPM, down from 25.0 % (23.7–26.3) "
        "with random weights. At a module's input it is 0 for the reversed one and 6.6 % (5.5–7.7) for DPM."
    )
    assert answers.ALL["fields"](there).endswith(gridding_table.sentence(there))


def test_what_holds_inside_may_be_the_other_way_round_at_the_input(tmp_path: Path) -> None:
    ours = made_up("dpn1_32_lite", 0.2, "sha256:1")
    for inside, other_way in ((0.0, "it is the other way round, "), (0.6, "it is ")):
        reverse = made_up("dpn1_32_reversed_lite", inside, "sha256:2", entering=0.6)
        said = gridding_table.sentence(evidence(tmp_path / str(inside), ours, reverse))
        assert said.endswith(f"At a module's input {other_way}60.0 % (58.9–61.1) for the reversed one and "
                             "20.0 % (18.9–21.1) for DPM.")  # fmt: skip
    deep = made_up("dpn4_32", 0.2, "sha256:4")  # whose last module is no match for a light network's only one
    assert "input" not in gridding_table.sentence(evidence(tmp_path / "deep", deep, reverse))
    several = [made_up("dpn1_32_lite", 0.2, f"sha256:{seed}") for seed in (1, 3)]
    assert "one run each" not in gridding_table.sentence(evidence(tmp_path / "more", *several))


def test_overlapping_intervals_decide_nothing(tmp_path: Path) -> None:
    there = evidence(
        tmp_path, made_up("dpn1_32_lite", 0.25, "random, calibrated"), made_up("dpn1_32_lite", 0.24, "sha256:1")
    )
    assert "inside DPM, not measurably other than 25.0 %" in gridding_table.sentence(there)


def test_several_runs_are_a_mean_with_the_widest_ends(tmp_path: Path) -> None:
    runs = [made_up("dpn1_32_lite", value, f"sha256:{value}") for value in (0.1, 0.2, 0.3)]
    table = tables.table("table-neighbours", evidence(tmp_path, *runs, made_up("dpn1_32_lite", 0.2, "sha256:0.2")))
    cell = table.cell("dpn1_32_lite", "trained")
    assert (cell.text, cell.note, len(cell.further), cell.n) == ("20.0", "8.9–31.1", 2, 3)
    assert any("up to 3 runs" in note for note in table.notes)


def test_random_weights_of_unlike_numbers_of_seeds_or_kinds_never_stand_side_by_side(tmp_path: Path) -> None:
    most = [made_up(name, 0.2, "random, calibrated", networks=8) for name in LIGHT[1:]]
    fewer, other = (
        made_up(LIGHT[0], 0.9, "random, calibrated", networks=2), made_up(LIGHT[0], 0.8, "random, he", networks=8),
    )  # fmt: skip
    trained = made_up(LIGHT[0], 0.1, "sha256:1")
    table = tables.table("table-neighbours", evidence(tmp_path, *most, fewer, other, trained))
    assert table.cell(LIGHT[0], "random").state == "missing"
    assert table.cell(LIGHT[0], "trained").value == 0.1
    assert {table.cell(name, "random").n for name in LIGHT[1:]} == {8}


def test_stale_records_and_other_images_are_never_mixed(tmp_path: Path) -> None:
    stale = made_up("dpn1_32_lite", 0.9, "sha256:1").model_copy(update={"spec_digest": "0"})
    fewer = made_up("dpn1_32_lite", 0.8, "sha256:2", images=4)
    most = [made_up(name, 0.2, "random, calibrated") for name in LIGHT]
    table = tables.table("table-neighbours", evidence(tmp_path, stale, fewer, *most))
    assert table.cell("dpn1_32_lite", "trained").state == "missing"
    assert {table.cell(name, "random").value for name in LIGHT} == {0.2}
    assert all(ZOO[name].digest() == one.spec_digest for name, one in zip(LIGHT, most, strict=True))
