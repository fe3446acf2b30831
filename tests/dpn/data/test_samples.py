"""Samples as tensors: the same whatever the number of workers, other ones in each epoch, torchvision's arithmetic."""

import pickle
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dpn.data.augment import apply, unchanged
from dpn.data.people import DataSet, Example, Examples
from dpn.data.problems import DataError, Problem
from dpn.data.samples import InferenceSamples, TrainingSamples, collate, to_input, worker_init
from dpn.protocols import protocol
from dpn.skeletons import COCO_17, MPII_16, Skeleton
from tests.dpn.data.made_people import MadeImages, made_set, person

DPN = protocol("dpn", "coco")
INPUT_HW = (64, 48)

few_cores = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def data() -> DataSet:
    return made_set(images=6, each=3)


class Twins(Examples):
    """The same person again and again, so that samples differ by their augmentation alone."""

    skeleton = COCO_17

    def __len__(self) -> int:
        return 32

    def example(self, index: int) -> Example:  # noqa: ARG002
        return person()


class OpenCVThreads(Dataset[int]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        return cv2.getNumThreads()


def batches(samples: Dataset[Any], workers: int, **options: Any) -> list[dict[str, Tensor]]:
    return list(DataLoader(samples, batch_size=4, num_workers=workers, worker_init_fn=worker_init, **options))


def assert_equal(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> None:
    assert len(one) == len(other) > 0
    for batch, partner in zip(one, other, strict=True):
        assert batch.keys() == partner.keys()
        for key, values in batch.items():
            assert values.dtype == partner[key].dtype
            assert torch.equal(values, partner[key]), key


@few_cores
@pytest.mark.parametrize("kind", ["training", "inference"])
def test_any_number_of_workers_gives_the_same_bits(data: DataSet, kind: str) -> None:
    """Trap 11.8: nothing comes from a generator that a process carries on."""
    samples: Dataset[Any] = TrainingSamples(data, DPN, INPUT_HW, seed=5)
    if kind == "inference":
        samples = InferenceSamples(data, DPN, INPUT_HW)
    alone = batches(samples, 0)
    in_order = torch.stack([samples[number]["joints"] for number in range(len(data))])
    assert torch.equal(torch.cat([batch["joints"] for batch in alone]), in_order)
    for workers in (2, 4):
        assert_equal(alone, batches(samples, workers))


def test_workers_do_not_draw_the_same_numbers() -> None:
    """Trap 11.8: forked workers with one stream of numbers would give everything twice."""
    whole = replace(DPN, augmentation=replace(DPN.augmentation, half_body_probability=0))
    found = batches(TrainingSamples(Twins(), whole, INPUT_HW), 2)
    scales = torch.cat([batch["scale"][:, 0] for batch in found])
    inner = scales[(scales > scales.min()) & (scales < scales.max())]  # the two ends are drawn often
    assert len(inner) > 12
    assert len(inner.unique()) == len(inner)


def test_epochs_differ_and_one_epoch_repeats(data: DataSet) -> None:
    samples = TrainingSamples(data, DPN, INPUT_HW)
    first = batches(samples, 0)
    samples.set_epoch(1)
    second = batches(samples, 0)
    assert_equal(second, batches(samples, 2))
    for one, other in zip(first, second, strict=True):
        assert (one["crop"] != other["crop"]).flatten(1).any(dim=1).all()
    samples.set_epoch(0)
    assert_equal(first, batches(samples, 0))
    samples.seed = 1
    for one, other in zip(first, batches(samples, 0), strict=True):
        assert (one["crop"] != other["crop"]).flatten(1).any(dim=1).all()


def test_samples_depend_on_no_global_generator_and_leave_it_alone(data: DataSet) -> None:
    samples = TrainingSamples(data, DPN, INPUT_HW)
    first = samples[3]["crop"]
    state, torch_state = pickle.dumps(np.random.get_state()), torch.get_rng_state()
    again = samples[3]["crop"]
    assert pickle.dumps(np.random.get_state()) == state
    assert torch.equal(torch.get_rng_state(), torch_state)
    samples[0], samples[7]  # nor on what came before
    assert torch.equal(first, again)
    assert torch.equal(first, samples[3]["crop"])


@pytest.mark.slow
@few_cores
def test_workers_that_are_spawned_give_the_same_bits(data: DataSet) -> None:
    samples = TrainingSamples(data, DPN, INPUT_HW)
    assert_equal(batches(samples, 0), batches(samples, 2, multiprocessing_context="spawn"))


@pytest.mark.parametrize(
    ("skeleton", "kind"), [(COCO_17, torch.float32), (MPII_16, torch.float64)], ids=["coco", "mpii"]
)
def test_shapes_and_types_of_a_batch(skeleton: Skeleton, kind: torch.dtype) -> None:
    samples = TrainingSamples(made_set(2, 2, skeleton), DPN, INPUT_HW)
    (batch,) = batches(samples, 0)
    joints = len(skeleton.joints)
    expected = {
        "crop": ((4, 64, 48, 3), torch.uint8), "joints": ((4, joints, 2), torch.float64),
        "visible": ((4, joints), torch.float64), "center": ((4, 2), kind), "scale": ((4, 2), kind),
    }  # fmt: skip
    assert {key: (tuple(values.shape), values.dtype) for key, values in batch.items()} == expected


def test_inference_takes_boxes_as_they_are(data: DataSet) -> None:
    samples = InferenceSamples(data, DPN, INPUT_HW)
    assert len(samples) == len(data)
    for index in (0, 7, len(data) - 1):
        example = data.example(index)
        expected = apply(example, unchanged(example), COCO_17, DPN, INPUT_HW)
        found = samples[index]
        np.testing.assert_array_equal(found["crop"].numpy(), expected.crop)
        np.testing.assert_array_equal(found["joints"].numpy(), expected.joints)
        np.testing.assert_array_equal(found["center"].numpy(), data.people.centers[index])
        np.testing.assert_array_equal(found["scale"].numpy(), data.people.scales[index])


def test_inference_decodes_an_image_once_for_all_its_people() -> None:
    data = made_set(images=4, each=5)
    assert isinstance(data.images, MadeImages)
    list(batches(InferenceSamples(data, DPN, INPUT_HW), 0))
    assert data.images.reads == 4


def test_a_missing_image_is_named() -> None:
    data = made_set(images=2, each=1)
    samples = InferenceSamples(replace(data, images=MadeImages(1)), DPN, INPUT_HW)
    samples[0]
    for _ in range(2):  # what cannot be read is not kept
        with pytest.raises(DataError, match=r"made/1\.jpg: is missing; make it"):
            samples[1]


def test_a_batch_has_what_is_named_or_what_is_wrong(data: DataSet) -> None:
    samples = [TrainingSamples(data, DPN, INPUT_HW)[number] for number in (2, 5)]
    batch = collate(samples, ("crop", "scale"))
    assert isinstance(batch, dict)
    assert list(batch) == ["crop", "scale"]
    assert torch.equal(batch["crop"], torch.stack([sample["crop"] for sample in samples]))
    first, second = (DataError(Problem(f"{number}.jpg", "", "is missing", "make it")) for number in (1, 2))
    assert collate([samples[0], first, second], ("crop",)) is first


def test_released_simplebaseline_weights_see_blue_first(data: DataSet) -> None:
    """Trap 11.6: the sbl protocol's crops are those of the others, with their channels in the other order."""
    rgb, bgr = (InferenceSamples(data, protocol(name, "coco"), INPUT_HW)[1]["crop"] for name in ("hrnet", "sbl"))
    assert torch.equal(rgb, bgr.flip(2))
    assert not torch.equal(rgb, bgr)
    image = data.example(1).image
    red, blue = image[..., 2].mean(dtype=float), image[..., 0].mean(dtype=float)
    assert red != blue  # so the test above looks at colours that differ


def test_udps_crops_have_udps_lengths(data: DataSet) -> None:
    """Section 11.1: where the centre comes to lie."""
    example = data.example(0)
    centre_as_joint = replace(
        data, people=replace(data.people, joints=np.broadcast_to(data.people.centers[:, None], (18, 17, 2)))
    )
    assert example.visible.all()
    for codec, middle in (("quarter", (24, 32)), ("dark", (24, 32)), ("udp", (23.5, 31.5))):
        found = InferenceSamples(centre_as_joint, replace(DPN, codec=codec), INPUT_HW)[0]["joints"]
        np.testing.assert_allclose(found.numpy(), np.broadcast_to(middle, (17, 2)), atol=1e-3)


def every_byte() -> Tensor:
    return torch.arange(256, dtype=torch.uint8)[None, :, None, None].repeat(1, 1, 2, 3)


def expected_input() -> Tensor:
    """ToTensor and Normalize, number by number in float32: (1, 3, 256, 2)."""
    mean = np.array((0.485, 0.456, 0.406), dtype=np.float32)
    std = np.array((0.229, 0.224, 0.225), dtype=np.float32)
    values = (np.arange(256, dtype=np.float32)[None] / np.float32(255) - mean[:, None]) / std[:, None]
    return torch.from_numpy(np.repeat(values[None, :, :, None], 2, axis=3))


def test_inputs_are_torchvisions_bit_for_bit() -> None:
    found = to_input(every_byte())
    assert found.dtype == torch.float32
    assert found.is_contiguous()
    assert torch.equal(found, expected_input())


def test_inputs_are_the_same_in_both_memory_formats() -> None:
    crops = torch.randint(0, 256, (2, 8, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = to_input(crops, channels_last=True)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, to_input(crops))


def test_padding_becomes_less_than_any_colour() -> None:
    """Section 3: zeros outside the image, normalised like everything else."""
    found = to_input(torch.zeros(1, 1, 1, 3, dtype=torch.uint8)).flatten()
    assert found.tolist() == pytest.approx((-2.118, -2.036, -1.804), abs=5e-4)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_inputs_on_a_gpu_are_the_same_bits() -> None:
    assert torch.equal(to_input(every_byte().cuda()).cpu(), expected_input())


def test_opencv_keeps_to_the_workers_own_thread() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        found = [int(batch) for batch in DataLoader(OpenCVThreads(), num_workers=1, worker_init_fn=worker_init)]
    finally:
        cv2.setNumThreads(threads)
    assert found == [1, 1]
