"""Perfect heatmaps score perfectly, and would not if the pipeline, the data or the oracle itself were wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dpn import oracle as module
from dpn.data.opening import Asked, open_data
from dpn.data.people import DataSet
from dpn.data.samples import InferenceSamples
from dpn.heatmaps import Codec
from dpn.metrics.coco_scores import NAMES
from dpn.oracle import Verdict, joints_in_crops, oracle
from dpn.protocols import CodecName, protocol
from tests.dpn.dotted import coco_set, mpii_set
from tests.dpn.samples import COCO, MPII, needs_samples

CODECS: tuple[CodecName, ...] = ("quarter", "dark", "udp")
HW = (256, 192)


def asked(data: DataSet, codec: CodecName = "quarter", flip: bool = True, hw: tuple[int, int] = HW) -> Verdict:
    return oracle(data, replace(protocol("dpn", data.kind), codec=codec, flip_test=flip), hw)


@needs_samples
@pytest.mark.parametrize("hw", [(256, 192), (384, 288)])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("codec", CODECS)
def test_samples_of_coco_are_perfect(codec: CodecName, flip: bool, hw: tuple[int, int]) -> None:
    verdict = asked(open_data(Asked(data=str(COCO), input_hw=hw)), codec, flip, hw)
    assert [verdict.scores[name] for name in NAMES] == [1.0] * 10
    assert verdict.perfect
    assert verdict.passed
    assert (verdict.n_people, verdict.n_joints, verdict.n_outside) == (12, 181, 0)


@needs_samples
@pytest.mark.parametrize("codec", CODECS)
def test_samples_of_mpii_are_perfect(codec: CodecName) -> None:
    data = open_data(Asked(data=str(MPII)))
    for flip in (False, True):
        verdict = asked(data, codec, flip, (256, 256))
        assert verdict.scores["pckh@0.5"]["mean"] == 100
        assert verdict.perfect


@needs_samples
def test_rounded_targets_cost_what_the_protocol_says() -> None:
    """Trap: 1.60 crop pixels on the average of perfect heatmaps are no error (section 11.2); other codecs have none."""
    data = open_data(Asked(data=str(COCO)))
    assert asked(data, flip=False).mean_error_px == pytest.approx(1.60, abs=0.005)
    assert asked(data, "udp", flip=False).mean_error_px < 0.05
    assert asked(data, "dark", flip=False).mean_error_px < 0.05


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", [coco_set(), mpii_set()], ids=["coco", "mpii"])
def test_made_up_people_are_perfect(data: DataSet, codec: CodecName) -> None:
    for flip in (False, True):
        assert asked(data, codec, flip, HW if data.kind == "coco" else (256, 256)).perfect


@pytest.mark.parametrize("codec", CODECS)
def test_finer_heatmaps_are_perfect_and_no_further(codec: CodecName) -> None:
    """Rounding is half as far; the bias of mirrored heatmaps, half a pixel of the crop, is the same."""
    for flip in (False, True):
        known = replace(protocol("dpn", "coco"), codec=codec, flip_test=flip)
        fine, coarse = (oracle(coco_set(), known, HW, stride) for stride in (2, 4))
        assert fine.perfect
        assert fine.passed
        expected = coarse.mean_error_px / 2 if codec == "quarter" else coarse.mean_error_px
        assert fine.mean_error_px == pytest.approx(expected, abs=0.15)


def test_synthetic_figures_pass() -> None:
    data = open_data(Asked(data="synthetic:images=6"))
    for codec in CODECS:
        verdict = asked(data, codec)
        assert verdict.passed
        assert verdict.n_joints > 100
    assert asked(data, "udp").perfect


def test_joints_are_those_of_the_crops_that_networks_see() -> None:
    data = coco_set()
    for codec in CODECS:
        known = replace(protocol("dpn", "coco"), codec=codec)
        found = joints_in_crops(data.people, Codec.of_protocol(known, HW))
        samples = InferenceSamples(data, known, HW)
        expected = torch.stack([samples[row]["joints"] for row in range(len(data))]).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-9)


# The oracle can fail


@pytest.mark.parametrize("mistake", ["no pairs", "other codec", "centres", "rows"])
def test_a_mistake_in_the_pipeline_is_not_perfect(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left and right not exchanged, another grid, another box, another person's keypoints."""
    right = {name: getattr(module, name) for name in ("flip_average", "to_image", "scores_of")}
    if mistake == "no pairs":
        monkeypatch.setattr(
            module, "flip_average", lambda *maps, shift: right["flip_average"](*maps[:2], (), shift=shift)
        )
    elif mistake == "other codec":
        monkeypatch.setattr(
            module, "to_image", lambda *a: right["to_image"](*a[:3], replace(a[3], input_hw=(192, 192)))
        )
    elif mistake == "centres":
        monkeypatch.setattr(module, "to_image", lambda c, x, s, k: right["to_image"](c, x + 12, s, k))
    else:
        monkeypatch.setattr(module, "scores_of", lambda data, found, p: right["scores_of"](data, found[::-1], p))
    verdict = asked(coco_set())
    assert not verdict.perfect
    assert not verdict.passed


def test_a_shift_of_udp_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap: UDP with the shift; it moves joints by half a pixel of the heatmap, 2 of the crop."""
    before = asked(coco_set(), "udp").mean_error_px
    monkeypatch.setattr(module, "shifts", lambda _: True)
    verdict = asked(coco_set(), "udp")
    assert verdict.mean_error_px > before + 1
    assert verdict.perfect  # AP alone would not tell
    assert not verdict.passed


def test_a_missing_shift_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap: without it the average is 0.75 / 2 heatmap pixels off, 1.5 crop pixels, with it 0.5."""
    assert asked(coco_set(), "dark").mean_error_px == pytest.approx(0.5, abs=0.1)
    monkeypatch.setattr(module, "shifts", lambda _: False)
    verdict = asked(coco_set(), "dark")
    assert verdict.mean_error_px == pytest.approx(1.5, abs=0.1)
    assert not verdict.passed


def test_a_joint_outside_its_crop_counts_against_the_score_alone() -> None:
    """Its map is all zero, and it is found at the map's corner."""
    data = coco_set()
    content, joints = dict(data.truth), data.people.joints.copy()
    joints[0, 9:11] = 4000  # wrists
    first = content["annotations"][0]
    keypoints = np.array(first["keypoints"]).reshape(-1, 3)
    keypoints[9:11, :2] = 4000
    content["annotations"] = [first | {"keypoints": keypoints.reshape(-1).tolist()}, *content["annotations"][1:]]
    verdict = asked(replace(data, truth=content, people=replace(data.people, joints=joints)))
    assert verdict.n_outside == 2
    assert verdict.scores["AP"] < 1
    assert verdict.reachable["AP"] == 1
    assert verdict.perfect
    assert content["annotations"][0]["num_keypoints"] == 17


def with_areas(data: DataSet, factor: float, *, of: int | None = None) -> DataSet:
    """The data set with other areas, of one person or of all."""
    annotations = [
        one | {"area": one["area"] * factor} if of in (None, one["id"]) else one for one in data.truth["annotations"]
    ]
    return replace(data, truth=data.truth | {"annotations": annotations})


def test_rounding_alone_is_forgiven() -> None:
    """Of a person with a tiny area, a pixel of the crop makes another."""
    verdict = asked(with_areas(coco_set(3), 1 / 40, of=10), flip=False)
    assert 0.9 < verdict.scores["AP"] < 1
    assert not verdict.perfect
    assert verdict.passed
    everybody = asked(with_areas(coco_set(3), 1e-3), flip=False)
    assert everybody.scores["AP"] < 0.9
    assert not everybody.passed


def test_a_person_who_is_there_twice_is_suppressed_and_told_of() -> None:
    data = coco_set(60)
    again = data.truth["annotations"][0] | {"id": 9999}
    truth = data.truth | {"annotations": [*data.truth["annotations"], again]}
    twice = replace(data, truth=truth, people=data.people.take([0, *range(len(data))]))
    verdict = asked(twice)
    assert verdict.n_suppressed == 1
    assert verdict.scores["AP"] < 1
    assert verdict.passed
    few = replace(twice, people=twice.people.take(slice(6)), truth=truth | {"images": truth["images"][:3]})
    kept = {image["id"] for image in few.truth["images"]}
    rows = [one for one in truth["annotations"] if one["image_id"] in kept]
    assert not asked(replace(few, truth=few.truth | {"annotations": rows})).passed  # one of six is no rare accident


def test_detected_boxes_and_missing_truth_are_refused() -> None:
    data = coco_set()
    for other in (replace(data, boxes="detections"), replace(data, truth=None)):
        with pytest.raises(ValueError, match="dots: the oracle needs true boxes and joints"):
            asked(other)
