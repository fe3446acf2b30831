"""MPII: the published arithmetic to the last bit, its traps, and every bad file as one line."""

import copy
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpn.data import mpii
from dpn.data.mpii import open_mpii, people_of, problems_in, read_mpii
from dpn.data.problems import DataError
from dpn.protocols import protocol
from dpn.skeletons import MPII_16
from tests.dpn import mpii_files
from tests.dpn.samples import MPII, needs_samples

Entry = dict[str, Any]
PROTOCOL = protocol("dpn", "mpii")


def published(entry: Entry) -> tuple[list[float], float, list[list[float]]]:
    """Centre, scale and joints of a person, a step at a time in Python's own float64."""
    x, y = entry["center"]
    scale = entry["scale"]
    if x != -1:
        y = y + 15 * scale
        scale = scale * 1.25
    return [x - 1, y - 1], scale, [[jx - 1, jy - 1] for jx, jy in entry["joints"]]


def assert_as_published(entries: list[Entry]) -> None:
    people = people_of(entries)
    assert people.centers.dtype == people.scales.dtype == np.float64
    for row, entry in enumerate(entries):
        center, scale, joints = published(entry)
        assert people.centers[row].tolist() == center
        assert people.scales[row].tolist() == [scale, scale]
        for joint, visible in enumerate(entry["joints_vis"]):
            assert people.joints[row, joint].tolist() == (joints[joint] if visible else [0, 0])
        assert people.visible[row].tolist() == entry["joints_vis"]


@needs_samples
def test_samples_are_as_published_to_the_last_bit() -> None:
    entries = read_mpii(MPII / "valid.json")
    assert len(entries) == 3
    assert_as_published(entries)


@given(st.integers(0, 2**32))
def test_people_are_as_published_to_the_last_bit(seed: int) -> None:
    assert_as_published(mpii_files.people(3, seed))


def test_the_shift_uses_the_scale_without_padding() -> None:
    """Trap of section 2: `15 * s` comes before `s *= 1.25`, and one pixel is taken off after both."""
    person = mpii_files.people(1)[0] | {"center": [100.0, 200.0], "scale": 2.0}
    people = people_of([person])
    assert people.centers.tolist() == [[99.0, 229.0]]
    assert people.scales.tolist() == [[2.5, 2.5]]
    assert people.boxes.tolist() == [[99 - 200, 229 - 200, 400, 400]]


def test_joints_and_centre_are_counted_from_0_both() -> None:
    """Trap 11.10: mmpose 1.x takes 1 off the centre alone, a shift of a pixel that is then learned."""
    person = mpii_files.people(1)[0] | {"center": [50.0, 60.0], "scale": 1.0, "joints": [[50.0, 75.0]] * 16}
    person["joints_vis"] = [1] * 16
    people = people_of([person])
    assert (people.joints[0] == people.centers[0]).all()


def test_a_centre_of_minus_1_is_neither_moved_nor_padded() -> None:
    people = people_of([mpii_files.people(1)[0] | {"center": [-1.0, 300.0], "scale": 2.0}])
    assert people.centers.tolist() == [[-2.0, 299.0]]
    assert people.scales.tolist() == [[2.0, 2.0]]


def test_absent_joints_are_nowhere() -> None:
    """Taking 1 off would put an absent joint at (-2, -2)."""
    people = people_of(mpii_files.people(20))
    absent = people.visible == 0
    assert absent.any()
    assert (people.joints[absent] == 0).all()
    assert (people.joints[~absent] > 0).any()


def test_inputs_that_are_not_square_grow_the_box_to_their_aspect() -> None:
    inputs = (256, 256), (256, 192), (128, 256)
    square, tall, wide = (people_of(mpii_files.people(5), input_hw).scales for input_hw in inputs)
    assert (square[:, 0] == square[:, 1]).all()
    assert (tall[:, 0] == square[:, 0]).all()
    np.testing.assert_allclose(tall[:, 0] / tall[:, 1], 0.75)
    assert (wide[:, 1] == square[:, 1]).all()
    np.testing.assert_allclose(wide[:, 0] / wide[:, 1], 2.0)


def test_images_are_numbered_by_name() -> None:
    entries = mpii_files.people(6, images=3)
    people = people_of(entries)
    assert list(people.files.values()) == sorted({entry["image"] for entry in entries})
    assert [people.files[number] for number in people.image_ids.tolist()] == [entry["image"] for entry in entries]
    assert people.ids.tolist() == list(range(6))
    assert people.skeleton is MPII_16


BROKEN: dict[str, tuple[Callable[[Entry], Any], str]] = {
    "no image": (lambda e: e.pop("image"), r"\[1\]\.image: is missing"),
    "no center": (lambda e: e.pop("center"), r"\[1\]\.center: is missing"),
    "no scale": (lambda e: e.pop("scale"), r"\[1\]\.scale: is missing"),
    "no joints": (lambda e: e.pop("joints"), r"\[1\]\.joints: is missing"),
    "no flags": (lambda e: e.pop("joints_vis"), r"\[1\]\.joints_vis: is missing"),
    "NaN in a joint": (lambda e: e["joints"][3].__setitem__(0, float("nan")), r"\[1\]\.joints: is not 16 pairs"),
    "infinite centre": (lambda e: e.update(center=[1.0, float("inf")]), r"\[1\]\.center: is not a pair"),
    "huge integer": (lambda e: e.update(center=[1, 10**400]), r"\[1\]\.center: is not a pair"),
    "a flat centre": (lambda e: e.update(center=3.0), r"\[1\]\.center: is not a pair"),
    "scale of 0": (lambda e: e.update(scale=0), r"\[1\]\.scale: is not a positive number"),
    "true as a scale": (lambda e: e.update(scale=True), r"\[1\]\.scale: is not a positive number"),
    "NaN as a scale": (lambda e: e.update(scale=float("nan")), r"\[1\]\.scale: is not a positive number"),
    "17 joints": (lambda e: e["joints"].append([1, 1]), r"\[1\]\.joints: is not 16 pairs"),
    "15 flags": (lambda e: e["joints_vis"].pop(), r"\[1\]\.joints_vis: is not 16 times"),
    "a joint of three": (lambda e: e["joints"][0].append(1), r"\[1\]\.joints: is not 16 pairs"),
    "a flag of 2": (lambda e: e["joints_vis"].__setitem__(0, 2), r"\[1\]\.joints_vis: is not 16 times"),
    "a path as a name": (lambda e: e.update(image="../1.jpg"), r"\[1\]\.image: is not the name of a file"),
    "no name": (lambda e: e.update(image=""), r"\[1\]\.image: is not the name of a file"),
    "a surrogate as a name": (lambda e: e.update(image="\ud800.jpg"), r"\[1\]\.image: is not the name of a file"),
}


@pytest.mark.parametrize(("break_it", "expected"), BROKEN.values(), ids=BROKEN)
def test_bad_people_are_one_line_each(tmp_path: Path, break_it: Callable[[Entry], Any], expected: str) -> None:
    entries = mpii_files.people(3)
    break_it(entries[1])
    file = tmp_path / "valid.json"
    file.write_text(json.dumps(entries))
    with pytest.raises(DataError, match=expected) as caught:
        read_mpii(file)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{file}: [1].")
    assert "\n" not in str(caught.value)


def test_all_problems_are_listed() -> None:
    entries: list[Any] = mpii_files.people(4)
    del entries[0]["scale"]
    entries[2] = "nobody"
    entries[3]["center"] = [1]
    fields = [problem.field for problem in problems_in(entries, "valid.json")]
    assert fields == ["[0].scale", "[2]", "[3].center"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1", "null", "[" * 100_000, '"\udcff"', "[NaN]", "9" * 5000])
def test_what_is_no_list_of_people_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "valid.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"valid\.json: ") as caught:
        read_mpii(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"valid\.json: there is no such file"):
        read_mpii(tmp_path / "valid.json")
    with pytest.raises(DataError, match="is a folder; give the path of the file in it"):
        read_mpii(tmp_path)


JUNK = (
    None,
    True,
    -1,
    0,
    2,
    1e300,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x",
    [],
    {},
    [[]],
    [1, 2],
    {"a": 1},
    "\ud800",
)


def mutated(content: Any, rng: random.Random) -> Any:
    """Another content, with one value somewhere replaced, dropped, doubled or renamed."""
    content = copy.deepcopy(content)
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys)
        inner = place[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            place = inner
            continue
        change = rng.randrange(4)
        if change == 0:
            del place[key]
        elif change == 1 and isinstance(place, list):
            place.append(inner)
        elif change == 2 and isinstance(place, dict):
            place[f"{key}_"] = place.pop(key)
        else:
            place[key] = rng.choice(JUNK)
        return content


def test_mutated_files_raise_nothing_but_data_errors(tmp_path: Path) -> None:
    rng = random.Random(7)
    plain = mpii_files.people(3)
    file = tmp_path / "valid.json"
    messages = []
    for turn in range(500):
        data = json.dumps(mutated(plain, rng)).encode()
        if turn % 5 == 0:
            data = data[: rng.randrange(len(data))]
        elif turn % 5 == 1:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        file.write_bytes(data)
        try:
            people = people_of(read_mpii(file))
        except DataError as error:
            messages.append(str(error))
        else:
            assert np.isfinite(people.joints).all()
            assert np.isfinite(people.centers).all()
            assert (people.scales > 0).all()
    assert all(message.startswith(f"{file}: ") and "\n" not in message for message in messages)
    assert 300 < len(messages) < 500


def test_every_field_that_is_dropped_or_of_another_kind_is_noticed() -> None:
    """So that the fuzzing above does not only pass because nothing is ever refused."""
    for field in ("image", "center", "scale", "joints", "joints_vis"):
        for junk in ("", [], {}, None, True):
            entry = mpii_files.people(1)[0] | {field: junk}
            assert [problem.field for problem in problems_in([entry], "f")] == [f"[0].{field}"]


def root_of(folder: Path, entries: list[Entry], *, split: str = "valid") -> Path:
    """A data root with grey images."""
    (folder / "annot").mkdir(parents=True)
    (folder / "annot" / f"{split}.json").write_text(json.dumps(entries))
    (folder / "images").mkdir()
    for name in {entry["image"] for entry in entries}:
        cv2.imwrite(str(folder / "images" / name), np.full((8, 9, 3), 90, np.uint8))
    return folder


def opened(root: Path, split: str = "val") -> Any:
    return open_mpii(root, split, input_hw=(256, 256), protocol=PROTOCOL)


def test_a_root_opens_with_the_truth_beside_its_annotations(tmp_path: Path) -> None:
    entries = mpii_files.people(5)
    root = root_of(tmp_path / "mpii", entries)
    plain = opened(root)
    assert (plain.name, plain.kind, len(plain)) == ("mpii valid", "mpii", 5)
    assert plain.truth.heads == "points"
    assert plain.example(2).image.shape == (8, 9, 3)
    assert len(plain.digest) == 12
    assert opened(root, "valid").digest == plain.digest
    mpii_files.write(root / "annot" / "gt_valid.mat", mpii_files.truth_of(entries))
    scored = opened(root)
    assert scored.truth.heads == "boxes"
    assert scored.digest != plain.digest
    visible = scored.people.visible > 0
    assert (scored.truth.missing == ~visible).all()
    np.testing.assert_array_equal(scored.truth.joints[visible], scored.people.joints[visible])


def test_images_may_lie_in_an_archive(tmp_path: Path) -> None:
    root = root_of(tmp_path / "mpii", mpii_files.people(2))
    digest = opened(root).images_digest
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for image in (root / "images").iterdir():
            archive.write(image, f"images/{image.name}")
            image.unlink()
    (root / "images").rmdir()
    assert opened(root).example(1).image.shape == (8, 9, 3)
    assert opened(root).images_digest == digest is not None


def test_other_images_are_another_question(tmp_path: Path) -> None:
    entries = mpii_files.people(2)
    one, other = (opened(root_of(tmp_path / name, entries)) for name in ("one", "other"))
    black = np.zeros((8, 9, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "other" / "images" / entries[0]["image"]), black)
    assert one.digest == other.digest
    assert one.images_digest != other.images_digest


@needs_samples
def test_the_samples_open_as_they_lie() -> None:
    data = opened(MPII)
    example = data.example(1)
    assert example.image.shape == (720, 1280, 3)
    assert (example.joints[example.visible > 0] < (1280, 720)).all()


def test_truth_of_other_people_is_an_error(tmp_path: Path) -> None:
    entries = mpii_files.people(5)
    root = root_of(tmp_path / "mpii", entries)
    mpii_files.write(root / "annot" / "gt_valid.mat", mpii_files.truth_of(entries[:4]))
    with pytest.raises(DataError, match=r"gt_valid\.mat: pos_gt_src: has 4 people, valid\.json has 5"):
        opened(root)
    mpii_files.write(root / "annot" / "gt_valid.mat", mpii_files.truth_of(entries[::-1]))
    with pytest.raises(DataError, match="in another order"):
        opened(root)


def test_the_test_set_has_no_joints_and_no_truth(tmp_path: Path) -> None:
    entries = [{key: entry[key] for key in ("image", "center", "scale")} for entry in mpii_files.people(3)]
    data = opened(root_of(tmp_path / "mpii", entries, split="test"), "test")
    assert data.truth is None
    assert not data.people.visible.any()
    (tmp_path / "mpii" / "annot" / "valid.json").write_text(json.dumps(entries))
    with pytest.raises(DataError, match=r"\[0\]\.joints: is missing"):
        opened(tmp_path / "mpii")


def test_what_is_missing_in_a_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no annot/valid\.json; give the folder"):
        opened(tmp_path)
    root = root_of(tmp_path / "mpii", mpii_files.people(1))
    for image in (root / "images").iterdir():
        image.unlink()
    (root / "images").rmdir()
    with pytest.raises(DataError, match=r"has no images/ and no images\.zip; unpack"):
        opened(root)


def test_the_distributed_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    root = root_of(tmp_path / "mpii", mpii_files.people(1))
    (root / "images").rename(root / "elsewhere")
    archive = root / "mpii_human_pose_v1.tar.gz"
    archive.write_bytes(b"")
    for given_root in (root, archive):
        with pytest.raises(DataError, match=r"; unpack it.*tar xf mpii_human_pose_v1\.tar\.gz"):
            opened(given_root)


def test_official_counts() -> None:
    """The issue's, and that trainval is not the sum of the other two (section 2)."""
    assert mpii.OFFICIAL_PEOPLE == {"train": 22246, "valid": 2958, "trainval": 29116, "test": 7247}
