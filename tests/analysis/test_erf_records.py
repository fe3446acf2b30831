"""Effective fields as records and as a figure: measured once, current or not shown, exact zeros where nothing reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.effective_fields import erf_inputs
from analysis.effective_fields.erf_expected import expected_field
from analysis.effective_fields.erf_records import HALF, METRIC, PROTOCOL, Protocol, measure_effective
from analysis.effective_fields.missing_records import key
from analysis.effective_fields.random_weights import draw_he
from analysis.evidence import Evidence
from analysis.plots import figure_erf, style
from analysis.plots.figure_files import write_figure
from analysis.receptive_fields.stacks import stack
from bench.records.record import METRICS
from bench.records.store import Store
from bench.subject import Subject, resolve
from dpn.zoo import ZOO

QUICK = Protocol(images=1, seeds=2)
EMPTY = Evidence(records_root=Path("/nonexistent"))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("records")
    assert measure_effective([resolve("dpn1_32_d8")], Store(root), QUICK) == 1
    return root


@pytest.fixture(scope="module")
def shown(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same field, as if it had been estimated as the page has it."""
    (record,) = Store(records).records
    root = tmp_path_factory.mktemp("shown")
    Store(root).append(record.model_copy(update={"protocol": PROTOCOL.of_record(resolve(record.subject))}))
    return root


def test_a_field_is_estimated_once(records: Path) -> None:
    subject, store = resolve("dpn1_32_d8"), Store(records)
    (record,) = store.records
    assert record.key() == key(subject, METRIC, QUICK.of_record(subject))
    assert measure_effective([subject], store, QUICK) == 0
    assert store.newest(key(subject, METRIC, Protocol(images=1, seeds=3).of_record(subject))) is None
    found = record.detail["scalars"][HALF]
    assert record.value == found["value"]
    assert found["interval"][0] <= found["value"] <= found["interval"][1]
    assert record.detail["n"] == QUICK.seeds


def test_gradients_stay_inside_the_exact_support(records: Path) -> None:
    """Shortcuts leave the support as it is: what no path of the module reaches has a gradient of exactly zero."""
    field = np.array(Store(records).records[0].detail["map"])
    spec = ZOO["dpn1_32_d8"]
    read = stack(spec.dilations, field.shape).backward("output", [(16, 12)])[0].support[0]  # type: ignore[attr-defined,arg-type]
    assert field.sum() == pytest.approx(1)
    assert np.array_equal(field > 0, read)


def test_the_figure_knows_exact_from_estimated(shown: Path) -> None:
    data = figure_erf.data(Evidence(records_root=shown))
    estimated = data[data.field == figure_erf.RANDOM].groupby("subject", sort=False).share.sum(min_count=1)
    assert estimated["dpn1_32_d8"] == pytest.approx(1)
    assert estimated.drop("dpn1_32_d8").isna().all()
    paths = data[(data.field == figure_erf.PATHS) & (data.subject == "dpn1_32")]
    truth = expected_field(ZOO["dpn1_32"].dilations, (32, 24), (16, 12))  # type: ignore[attr-defined]
    assert np.allclose(paths.share.to_numpy(float).reshape(32, 24), truth / truth.sum())
    assert set(data.field) == {figure_erf.PATHS, figure_erf.SHORTCUTS, figure_erf.RANDOM}


def test_a_field_of_trained_weights_gets_a_row_of_its_own(records: Path, tmp_path: Path) -> None:
    (record,) = Store(records).records
    trained = record.model_copy(update={"protocol": {**record.protocol, "weights": "sha256:0123"}})
    Store(tmp_path).append(trained)
    data = figure_erf.data(Evidence(records_root=tmp_path))
    assert set(data[data.field == figure_erf.TRAINED].subject) == {"dpn1_32_d8"}
    assert data[(data.field == figure_erf.RANDOM)].share.isna().all()


def test_a_light_network_stands_in_where_it_is_trained(records: Path, tmp_path: Path) -> None:
    (record,) = Store(records).records
    digest = ZOO["dpn1_32_d8_lite"].digest()
    there = {"subject": "dpn1_32_d8_lite", "spec_digest": digest}
    Store(tmp_path).append(record.model_copy(update=there))  # of random weights
    assert figure_erf.LIGHT not in set(figure_erf.data(Evidence(records_root=tmp_path)).field)
    trained = {"protocol": {**record.protocol, "weights": "sha256:0123"}}
    Store(tmp_path).append(record.model_copy(update=there | trained))
    data = figure_erf.data(Evidence(records_root=tmp_path))
    assert set(data[data.field == figure_erf.LIGHT].subject) == {"dpn1_32_d8"}
    assert figure_erf.TRAINED not in set(data.field)


def test_trained_weights_are_known_by_their_file(tmp_path: Path) -> None:
    subject, store = resolve("dpn1_32_d8"), Store(tmp_path / "records")
    torch.manual_seed(3)
    net = subject.factory()
    draw_he(net, 3)
    torch.save(net.state_dict(), tmp_path / "trained.pth")
    for added in (1, 0):
        assert measure_effective([subject], store, QUICK, trained=tmp_path / "trained.pth") == added
    (record,) = store.records
    assert str(record.protocol["weights"]).startswith("sha256:")
    assert record.detail["n"] == QUICK.images * QUICK.seeds
    data = figure_erf.data(Evidence(records_root=tmp_path / "records"))
    assert data[data.field == figure_erf.TRAINED].share.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match=r"trained\.pth"):
        measure_effective([resolve("dpn1_64")], store, QUICK, trained=tmp_path / "trained.pth")


def one_convolution(dilation: int) -> Subject:
    return Subject("mine:net", (32, 24), lambda: nn.Conv2d(3, 4, 3, padding=dilation, dilation=dilation))


def test_a_factory_is_known_by_what_it_builds(tmp_path: Path) -> None:
    """Its name stays the same when it is edited."""
    store, protocol = Store(tmp_path), Protocol(of="output", to="input", images=1, seeds=2)
    for dilation, added in ((1, 1), (1, 0), (2, 1), (1, 0), (2, 0)):
        assert measure_effective([one_convolution(dilation)], store, protocol) == added
    first, second = store.records
    assert (first.subject, first.protocol) == (second.subject, second.protocol)
    subject = one_convolution(1)
    assert first.spec_digest == subject.digest(subject.factory()) != second.spec_digest


def test_images_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erf_inputs, "MOST_BYTES", 12 * 32 * 24)
    protocol = Protocol(of="output", to="input", images=2, seeds=1)
    with pytest.raises(ValueError, match=r"2 images of 32x24 .* give fewer --images"):
        measure_effective([one_convolution(1)], Store(tmp_path), protocol)


def test_a_stale_field_is_not_shown(shown: Path, tmp_path: Path) -> None:
    (record,) = Store(shown).records
    Store(tmp_path).append(record.model_copy(update={"spec_digest": "0"}))
    data = figure_erf.data(Evidence(records_root=tmp_path))
    assert data[data.field == figure_erf.RANDOM].share.isna().all()


def test_a_field_of_an_older_version_is_not_shown(shown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = METRICS[METRIC]
    monkeypatch.setitem(METRICS, METRIC, metric.model_copy(update={"version": metric.version + 1}))
    data = figure_erf.data(Evidence(records_root=shown))
    assert data[data.field == figure_erf.RANDOM].share.isna().all()


OTHERWISE: tuple[dict[str, Any], ...] = (
    {"input_hw": [384, 288]}, {"of": "dpm.1.4"}, {"to": "dpm.1.0"}, {"recipe": "absolute"}, {"weights": "random, he"},
    {"source": "images of a folder"}, {"images": 1}, {"seeds": 2},
)  # fmt: skip


@pytest.mark.parametrize("change", OTHERWISE)
def test_a_field_that_was_estimated_otherwise_is_not_shown(change: dict[str, Any], shown: Path, tmp_path: Path) -> None:
    (record,) = Store(shown).records
    for protocol in (record.protocol, record.protocol | {"weights": "sha256:0123"}):
        Store(tmp_path).append(record.model_copy(update={"protocol": protocol | change}))
    data = figure_erf.data(Evidence(records_root=tmp_path))
    assert data[data.field == figure_erf.RANDOM].share.isna().all()
    may = change.keys() & {"source", "images", "seeds"}
    assert (figure_erf.TRAINED in set(data.field)) == bool(may)


def test_a_record_names_its_images_and_its_weights() -> None:
    subject = resolve("dpn1_32")
    assert "synthetic figures, version" in Protocol(source="synthetic").of_record(subject)["source"]
    assert (PROTOCOL.of_record(subject)["weights"], PROTOCOL.of_record(subject)["source"]) == (
        "random, calibrated", "noise",
    )  # fmt: skip
    assert Protocol(initial="he").of_record(subject)["weights"] == "random, he"
    own = resolve("tests.analysis.test_field_verbs:Two", (8, 8))
    assert PROTOCOL.of_record(own)["weights"] == "random, given"


def test_what_is_drawn_is_the_field(shown: Path) -> None:
    data = figure_erf.data(Evidence(records_root=shown))
    with style.figure_style():
        figure = figure_erf.draw(data)
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(images) == 2 * len(figure_erf.COLUMNS) + 1
    estimated = np.array(Store(shown).records[0].detail["map"])
    assert np.array_equal(np.ma.getmaskarray(images[-1]), estimated == 0)
    assert "gradients, random weights, D = 8: window of half 46 %" in figure_erf.alt(data)
    assert "paths, no shortcuts, D = 8: effective inputs 1 %" in figure_erf.alt(data)
    words = [text.get_text() for text in figure.texts]
    assert words[:3] == [
        "paths, no shortcuts (%: effective inputs)", "with shortcuts (%: effective inputs)",
        "gradients, random weights (%: window of half)",
    ]  # fmt: skip
    assert "not estimated yet" in figure_erf.alt(figure_erf.data(EMPTY))


def test_the_legends_grey_is_there_where_axes_have_no_faces(tmp_path: Path) -> None:
    """In an svg, whose axes are transparent; the maps are pictures inside it, so only the legend names the colour."""
    write_figure(figure_erf.draw, figure_erf.data(EMPTY), "figure-erf", tmp_path)
    for name in ("figure-erf.svg", "figure-erf.dark.svg"):
        assert f"fill: {figure_erf.ZERO}" in (tmp_path / name).read_text(encoding="utf-8")
