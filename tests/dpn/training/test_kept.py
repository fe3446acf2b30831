"""Memory for what is the same in every epoch."""

import multiprocessing
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dpn.arrays import Pixels
from dpn.data.opening import Asked, LabelledPeople, open_data
from dpn.data.people import DataSet, Images
from dpn.inference import predict
from dpn.protocols import protocol
from dpn.training.kept import Kept, KeptImages, kept, kept_images, kept_people
from tests.dpn.training.tiny_network import without_dropout

ROOM = 10**6


def row(size: int) -> dict[str, Any]:
    return {
        "image": np.arange(size * 5 * 3, dtype=np.uint8).reshape(size, 5, 3),
        "center": np.array([size, 0.5]), "scale": np.float32([1, size]),
    }  # fmt: skip


def assert_same(found: Any, wanted: dict[str, Any]) -> None:
    assert found.keys() == wanted.keys()
    assert all(found[name].dtype == wanted[name].dtype and np.array_equal(found[name], wanted[name]) for name in wanted)


def test_rows_of_any_size_come_back_and_do_not_touch_each_other() -> None:
    rows = Kept(row(1), 20, ROOM)
    sizes = [7, 1, 0, 30, 2]
    for number, size in enumerate(sizes):
        rows.put(2 * number, row(size))
    for number, size in enumerate(sizes):
        assert_same(rows.get(2 * number), row(size))
        assert rows.get(2 * number + 1) is None
    assert rows.missing() == 15


def test_the_first_of_two_rows_of_one_number_stays() -> None:
    rows = Kept(row(1), 2, ROOM)
    rows.put(1, row(3))
    seen = rows.get(1)
    rows.put(1, row(4))
    assert_same(seen, row(3))
    assert_same(rows.get(1), row(3))


def test_what_finds_no_room_is_not_kept_and_harms_nothing() -> None:
    rows = kept(row(2), 4, 4 * 3 * 64, alike=False)
    assert rows is not None
    rows.put(1, row(200))
    rows.put(2, row(4))
    assert rows.get(1) is None
    assert_same(rows.get(0), row(2))
    assert_same(rows.get(2), row(4))


def test_rows_that_would_take_more_than_the_room_have_none() -> None:
    assert kept(row(2), 5, 4 * 3 * 64, alike=False) is None
    assert kept(row(2), 2**48, 2**62, alike=False) is None  # more than any system has


def _put(rows: Kept, first: int) -> None:
    for number in range(first, 400, 2):
        rows.put(number, row(number % 9))
        rows.put(number // 2, row(number // 2 % 9))


def test_processes_that_keep_at_once_lose_nothing() -> None:
    rows = Kept(row(1), 400, ROOM)
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_put, args=(rows, first)) for first in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    for number in range(400):
        assert_same(rows.get(number), row(number % 9))


class Counted:
    """Images of which it is known how often they were read."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.asked: list[str] = []

    def read(self, name: str) -> Pixels:
        self.asked.append(name)
        return self.images.read(name)

    def find(self, name: str) -> str | None:
        return self.images.find(name)


@pytest.fixture(scope="module")
def data() -> DataSet:
    return open_data(Asked(data="synthetic:seed=2,images=3", split="val", protocol="dpn", input_hw=(256, 192)))


@pytest.mark.parametrize(("room", "times"), [(10**9, 1), (0, 2)])
def test_images_are_read_once_in_all_validations(data: DataSet, room: int, times: int) -> None:
    counted = Counted(data.images)
    asked = replace(data, images=kept_images(replace(data, images=counted), room))
    net, rules = without_dropout(), protocol("dpn", "coco")
    found = [predict(net, one, rules, (256, 192)) for one in (asked, asked, data)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert sorted(counted.asked) == sorted(times * list(data.people.files.values()))


def test_an_image_with_two_people_is_read_once_for_both(data: DataSet) -> None:
    counted = Counted(data.images)
    twice = replace(data, images=counted, people=data.people.take([0, 0, 1, 1]))
    people = kept_people(LabelledPeople(twice), 10**9)
    for _ in range(2):
        for number in range(4):
            made = LabelledPeople(replace(twice, images=data.images)).example(number)
            assert_same(vars(people.example(number)), vars(made))
    assert len(counted.asked) == 2


def test_kept_images_are_read_only_and_no_process_that_shares_no_memory_has_them(data: DataSet) -> None:
    name = data.people.files[int(data.people.image_ids[0])]
    images = KeptImages(data.images, [name], ROOM)
    kept_image = images.read(name)
    assert not kept_image.flags.writeable
    elsewhere = pickle.loads(pickle.dumps(images))
    assert np.array_equal(elsewhere.read(name), kept_image)
    assert elsewhere.read(name).flags.writeable
    assert images.find(name) == data.images.find(name)
