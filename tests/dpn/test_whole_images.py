"""OpenPose and Mask R-CNN on whole photographs: what they find comes back in the photograph's own pixels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dpn.build import build
from dpn.data.problems import DataError
from dpn.network_names import Network
from dpn.network_output import OutputError
from dpn.networks.mask_rcnn import Detections
from dpn.networks.rcnn_images import MEAN, STANDARD_DEVIATION
from dpn.predicting import Drawing, predict_images
from dpn.runtime import Runtime
from dpn.skeletons import COCO_17, COCO_18
from dpn.verbs.predict import predict
from dpn.whole_images import WholeImages
from dpn.zoo import ZOO
from tests.dpn.dotted import joints_at

MIDDLES = ((120.0, 150.0), (310.0, 160.0))
PEOPLE = [joints_at(COCO_18, middle, scale) for middle, scale in zip(MIDDLES, (1.0, 0.8), strict=True)]
BLUE = (250, 40, 10)  # blue, green, red


def photograph(hw: tuple[int, int] = (300, 420)) -> np.ndarray:
    return np.full((*hw, 3), BLUE, np.uint8)


class Fields(nn.Module):
    """An OpenPose that knows where everybody is, in pixels of the photograph of a height."""

    def __init__(self, people: Sequence[np.ndarray], height_px: int) -> None:
        super().__init__()
        self.people, self.height_px, self.seen = people, height_px, torch.empty(0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen = images
        _, _, height, width = images.shape
        assert height % 8 == width % 8 == 0
        y, x = np.mgrid[: height // 8, : width // 8]
        heatmaps = np.zeros((19, *x.shape))
        fields = np.zeros((38, *x.shape))
        for person in self.people:
            cells = (person + 0.5) * 368 / self.height_px / 8 - 0.5
            for part, (at_x, at_y) in enumerate(cells):
                bump = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * 0.875**2))
                heatmaps[part] = np.maximum(heatmaps[part], bump)
            for limb, (start, end) in enumerate(COCO_18.limb_ends):
                along = cells[end] - cells[start]
                length = float(np.hypot(*along)) or 1.0
                unit = along / length
                ahead = (x - cells[start, 0]) * unit[0] + (y - cells[start, 1]) * unit[1]
                aside = (x - cells[start, 0]) * unit[1] - (y - cells[start, 1]) * unit[0]
                near = (ahead > -1) & (ahead < length + 1) & (np.abs(aside) < 1)
                fields[2 * limb : 2 * limb + 2, near] = unit[:, None]
        return torch.tensor(fields)[None].float(), torch.tensor(heatmaps)[None].float()


class Regions(nn.Module):
    """A Mask R-CNN that knows where everybody is, in pixels of the photograph of a size."""

    def __init__(self, people: Sequence[np.ndarray], hw: tuple[int, int]) -> None:
        super().__init__()
        self.people, self.hw, self.seen = people, hw, torch.empty(0)

    def forward(self, images: Tensor, hws: list[tuple[int, int]]) -> list[Detections]:
        self.seen = images
        factors = torch.tensor([hws[0][1] / self.hw[1], hws[0][0] / self.hw[0]])
        joints = torch.tensor(np.array(self.people)).float()[:, list(COCO_18.find(COCO_17))] * factors
        scores = torch.tensor([0.5, 0.9])[: len(joints)]
        return [Detections(torch.zeros(len(joints), 4), scores, joints, torch.zeros(joints.shape[:2]))]


def finder(name: str, net: nn.Module) -> WholeImages:
    return WholeImages(network=Network(name=name, net=net, spec=ZOO[name]), runtime=Runtime())


@pytest.mark.parametrize("hw", [(300, 420), (500, 421), (301, 700)])
def test_openposes_people_come_back_in_the_photographs_pixels(hw: tuple[int, int]) -> None:
    net = Fields(PEOPLE, hw[0])
    rows = finder("openpose", net).people_in(photograph(hw), 7)
    assert [row["image_id"] for row in rows] == [7, 7]
    expected = [person[list(COCO_18.find(COCO_17))] for person in PEOPLE]
    for joints in expected:
        nearest = min(np.abs(np.array(row["keypoints"]).reshape(17, 3)[:, :2] - joints).max() for row in rows)
        assert nearest < 1.0
    assert net.seen[0, :, 0, 0].tolist() == pytest.approx([value / 256 - 0.5 for value in BLUE])


def test_a_part_that_openpose_does_not_find_is_at_zero_with_no_score() -> None:
    net = Fields(PEOPLE[:1], 300)
    whole = net.forward

    def without_nose(images: Tensor) -> tuple[Tensor, Tensor]:
        fields, heatmaps = whole(images)
        heatmaps[:, COCO_18.joints.index("nose")] = 0
        return fields, heatmaps

    net.forward = without_nose  # type: ignore[method-assign]
    (row,) = finder("openpose", net).people_in(photograph())
    keypoints = np.array(row["keypoints"]).reshape(17, 3)
    assert keypoints[0].tolist() == [0, 0, 0]
    assert (keypoints[1:, 2] > 0.5).sum() >= 12


def test_mask_rcnns_people_come_back_in_the_photographs_pixels_best_first() -> None:
    net = Regions(PEOPLE, (300, 420))
    rows = finder("mask_rcnn_r50", net).people_in(photograph())
    assert [row["score"] for row in rows] == pytest.approx([0.9, 0.5])
    for row, person in zip(rows, reversed(PEOPLE), strict=True):
        keypoints = np.array(row["keypoints"]).reshape(17, 3)
        np.testing.assert_allclose(keypoints[:, :2], person[list(COCO_18.find(COCO_17))], atol=1e-3)
        assert (keypoints[:, 2] == 0.5).all()
    red_first = [(value / 255 - m) / s for value, m, s in zip(BLUE[::-1], MEAN, STANDARD_DEVIATION, strict=True)]
    assert net.seen[0, :, 5, 5].tolist() == pytest.approx(red_first, abs=1e-5)
    assert min(net.seen.shape[2:]) >= 800


def test_a_photograph_that_openpose_would_see_without_end_is_refused() -> None:
    net = Fields([], 1)
    with pytest.raises(DataError, match="of 32766 x 1 px: OpenPose would see 12,057,888 x 368 px, more than 8,192"):
        finder("openpose", net).people_in(photograph((1, 32_766)))
    finder("openpose", net).people_in(photograph((1, 22)))
    assert net.seen.shape[2:] == (368, 8096)


def test_an_image_without_people_has_no_rows() -> None:
    assert finder("openpose", Fields([], 300)).people_in(photograph()) == []


def test_outputs_that_are_no_numbers_are_one_line() -> None:
    net = Regions([np.full_like(PEOPLE[0], np.nan)], (300, 420))
    with pytest.raises(OutputError, match="not finite; look at the weights"):
        finder("mask_rcnn_r50", net).people_in(photograph())


def test_whole_images_are_drawn_and_written_and_boxes_refused(tmp_path: Path) -> None:
    path = tmp_path / "beach.png"
    cv2.imwrite(str(path), photograph())
    found = finder("openpose", Fields(PEOPLE, 300))
    (one,) = predict_images(found, [path], None, Drawing(output=tmp_path / "out"))
    assert len(one.rows) == 2
    assert one.drawing is not None
    assert (cv2.imread(str(one.drawing)) != photograph()).any()
    with pytest.raises(ValueError, match="openpose finds people in the whole image; leave out --boxes"):
        next(predict_images(found, [path], {}, Drawing(output=tmp_path / "out")))


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        (Runtime(precision="bf16"), "in fp32; leave out --precision$"),
        (Runtime(workers=0, channels_last=True), "leave out --workers and --channels-last$"),
        (Runtime(batch=2), "one by one, .*; leave out --batch$"),
    ],
)
def test_what_whole_images_make_no_use_of_is_refused(runtime: Runtime, said: str) -> None:
    network = finder("openpose", nn.Identity()).network
    assert WholeImages(network=network, runtime=Runtime(device="cpu")).runtime.device == "cpu"
    with pytest.raises(ValueError, match=f"openpose takes photographs {said}" if "one" in said else said):
        WholeImages(network=network, runtime=runtime)


@pytest.mark.parametrize("given", [{"input_": "256x192"}, {"protocol": "hrnet"}], ids=["--input", "--protocol"])
def test_options_of_boxes_are_refused_by_the_verb(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpn.network_names.network", lambda *_: finder("openpose", nn.Identity()).network)
    with pytest.raises(ValueError, match=f"openpose .*; leave out --{next(iter(given)).strip('_')}$"):
        predict("openpose", (Path("a.png"),), **given)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openpose", "mask_rcnn_r50"])
def test_the_networks_themselves_run_on_a_photograph(name: str) -> None:
    """With random weights they find whatever they find; nothing may fail on a size that is no multiple of anything."""
    torch.manual_seed(0)
    found = WholeImages(
        network=Network(name=name, net=build(ZOO[name]), spec=ZOO[name]), runtime=Runtime(), height_px=91
    )
    rows = found.people_in(photograph((37, 53)))
    assert all(len(row["keypoints"]) == 51 for row in rows)


def test_which_networks_they_are() -> None:
    able = {name for name, spec in ZOO.items() if WholeImages.can(Network(name=name, net=nn.Identity(), spec=spec))}
    assert able == {"openpose", "mask_rcnn_r50"}
    assert not WholeImages.can(replace(finder("openpose", nn.Identity()).network, spec=None))
