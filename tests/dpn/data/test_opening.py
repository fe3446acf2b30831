"""What users call a data set, and what they get."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpn.data.opening import Asked, LabelledPeople, open_data, open_examples, synthetic_options
from dpn.data.problems import DataError
from dpn.skeletons import COCO_17, MPII_16
from tests.dpn.data.made_coco_folder import content, put, write_official
from tests.dpn.samples import COCO, MPII, needs_samples


@pytest.fixture
def coco(tmp_path: Path) -> str:
    return str(write_official(tmp_path / "coco"))


def test_a_folder_of_coco_is_recognised(coco: str) -> None:
    data = open_data(Asked(data=coco))
    assert (data.kind, data.name, len(data), data.skeleton) == ("coco", "coco val2017", 3, COCO_17)


@needs_samples
def test_folders_of_samples_are_recognised() -> None:
    assert open_data(Asked(data=str(COCO))).kind == "coco"
    data = open_data(Asked(data=str(MPII)))
    assert (data.kind, len(data), data.skeleton) == ("mpii", 3, MPII_16)
    assert data.example(0).image.ndim == 3


@pytest.mark.parametrize("folder", ["", "annot"])
def test_files_of_coco_under_mpiis_names_are_not_taken_for_mpii(coco: str, folder: str, tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        put(tmp_path / "named" / folder / f"{name}.json", content())
    (tmp_path / "named" / "val2017").symlink_to(Path(coco) / "val2017")
    asked = Asked(data=str(tmp_path / "named"))
    assert asked.kind == "coco"
    with pytest.raises(DataError, match=r"choose by --annotations$" if not folder else "--split, or --annotations$"):
        open_data(asked)
    assert len(open_data(replace(asked, annotations=tmp_path / "named" / folder / "valid.json"))) == 3
    put(tmp_path / "named" / "annot" / "trainval.json", [])
    assert asked.kind == "mpii"


@pytest.mark.parametrize(("words", "kind", "joints"), [("synthetic", "coco", 17), ("synthetic-mpii", "mpii", 16)])
def test_synthetic_figures_need_no_folder(words: str, kind: str, joints: int) -> None:
    data = open_data(Asked(data=f"{words}:images=3"))
    assert (data.kind, len(data.skeleton.joints)) == (kind, joints)
    assert len(np.unique(data.people.image_ids)) <= 3
    other = open_data(Asked(data=f"{words}:images=3,seed=1"))
    assert other.digest != data.digest
    examples = open_examples(Asked(data=f"{words}:images=3", split="train"))
    assert (len(examples), examples.skeleton) == (3, data.skeleton)
    assert not np.array_equal(examples.example(0).image, data.example(0).image)


def test_options_of_synthetic_figures() -> None:
    assert synthetic_options("synthetic") == {"seed": 0, "images": 500}
    assert synthetic_options("synthetic:seed=7,images=12") == {"seed": 7, "images": 12}
    assert synthetic_options("synthetic-mpii:images=12") == {"seed": 0, "images": 12}
    assert synthetic_options("./synthetic") == synthetic_options("/data/coco") == {}


@pytest.mark.parametrize("option", ["seeds=1", "images=-1", "images=many", "images", "images=9999999999999999999"])
def test_unknown_options_are_refused_with_an_example(option: str) -> None:
    with pytest.raises(ValueError, match=f"'{option}' is no option of synthetic: write synthetic:seed=1,images=500"):
        open_data(Asked(data=f"synthetic:{option}"))


def test_inputs_and_protocols_are_the_publications_unless_others_are_asked_for(coco: str) -> None:
    asked = Asked(data=coco)
    assert (asked.known_input_hw, asked.known_protocol.name) == ((256, 192), "dpn coco")
    mpii = Asked(data="synthetic-mpii", protocol="sbl")
    assert (mpii.known_input_hw, mpii.known_protocol.name) == ((256, 256), "sbl mpii")
    tall = open_data(Asked(data=coco, input_hw=(384, 192)))
    ratios = tall.people.scales[:, 1] / tall.people.scales[:, 0]
    assert ratios.tolist() == pytest.approx([2, 2, 2])
    with pytest.raises(KeyError, match="no protocol named 'hrnt'; did you mean hrnet"):
        open_data(Asked(data=coco, protocol="hrnt"))


def test_learning_leaves_out_whoever_has_no_joint() -> None:
    data = open_data(Asked(data="synthetic:images=4"))
    hidden = data.people.visible.copy()
    hidden[0] = 0
    object.__setattr__(data.people, "visible", hidden)
    examples = LabelledPeople(data)
    assert len(examples) == len(data) - 1
    assert examples.rows.tolist() == list(range(1, len(data)))
    assert np.array_equal(examples.example(0).joints, data.people.joints[1])
    assert np.array_equal(examples.example(0).image, data.example(1).image)


def test_examples_of_a_folder(coco: str) -> None:
    examples = open_examples(Asked(data=coco))
    assert isinstance(examples, LabelledPeople)
    assert examples.data.truth is None  # 1 GB of COCO's training split, which nobody scores
    assert (len(examples), examples.skeleton) == (3, COCO_17)


def test_nobody_learns_from_detections(coco: str) -> None:
    with pytest.raises(ValueError, match="networks learn from true boxes"):
        open_examples(Asked(data=coco, boxes="detections"))


def test_given_files_are_used(coco: str, tmp_path: Path) -> None:
    value = content()
    del value["annotations"][0]
    annotations = put(tmp_path / "mine.json", value)
    images = Path(shutil.move(Path(coco) / "val2017", tmp_path / "elsewhere"))
    data = open_data(Asked(data=coco, annotations=annotations, images=images))
    assert data.people.ids.tolist() == [102, 105]
    assert data.example(0).image.shape == (48, 64, 3)


def test_given_files_are_refused_where_they_have_no_meaning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are for COCO's layout alone, not for synthetic"):
        open_data(Asked(data="synthetic:images=1", images=tmp_path))


@pytest.mark.parametrize("data", ["synthetic:images=1", "."])
def test_detections_without_detected_boxes_are_refused_and_not_passed_over(data: str) -> None:
    """Section 6: results on true boxes are some two AP better than those that publications give on detected ones."""
    with pytest.raises(ValueError, match=r"boxes\.json has no use with true boxes; ask for --boxes detections"):
        open_data(Asked(data=data, detections=Path("boxes.json")))


def test_folders_that_are_not_there_or_hold_nothing_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: there is no such folder"):
        open_data(Asked(data=str(tmp_path / "gone")))
    (tmp_path / "val2017.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"val2017\.zip: is a file; give a folder"):
        open_data(Asked(data=str(tmp_path / "val2017.zip")))
    with pytest.raises(DataError, match="no single annotation file; give the right folder"):
        open_data(Asked(data=str(tmp_path)))
