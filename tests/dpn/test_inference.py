"""Prediction against a plain loop over people written from the protocol, and what comes out of strange networks."""

from collections import namedtuple
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dpn import inference
from dpn.build import build
from dpn.data.crops import MEAN, STD
from dpn.data.people import DataSet, Images, People
from dpn.data.problems import DataError
from dpn.heatmaps import Codec, decode, encode
from dpn.inference import Forward, codec_of, device_of, predict, workers_of
from dpn.network_output import OutputError, final_heatmaps, stride_of
from dpn.protocols import CodecName, Protocol, protocol
from dpn.runtime import Runtime
from dpn.skeletons import COCO_17
from dpn.spec import CPNSpec, OpenPoseSpec, PILSpec
from tests.dpn.dotted import coco_set

HW = (64, 48)
PLAIN = protocol("dpn", "coco")


class Noise(Images):
    """Blurred noise: every pixel matters, and no two images are alike."""

    def read(self, name: str) -> np.ndarray:
        pixels = np.random.default_rng(int(name)).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        return cv2.GaussianBlur(pixels, (0, 0), 2)

    def find(self, name: str) -> str | None:
        return name


def noise_set(people: int = 7, hw: tuple[int, int] = HW) -> DataSet:
    rng = np.random.default_rng(3)
    height = rng.uniform(0.2, 0.6, people)
    table = People(
        skeleton=COCO_17,
        centers=rng.uniform(10, 80, (people, 2)).astype(np.float32),
        scales=np.stack((height * hw[1] / hw[0], height), axis=1).astype(np.float32),
        boxes=np.ones((people, 4)),
        scores=np.ones(people),
        joints=np.zeros((people, 17, 2)),
        visible=np.zeros((people, 17)),
        ids=np.arange(people),
        image_ids=np.arange(people) // 2,
        files={number: str(number) for number in range(people)},
    )
    return DataSet(name="noise", kind="coco", boxes="truth", people=table, images=Noise(), truth=None, digest="noise")


def small(seed: int = 0) -> nn.Module:
    """A network without any symmetry, whose heatmaps are now and then below zero everywhere."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=4, padding=3), nn.BatchNorm2d(8), nn.Tanh(), nn.Conv2d(8, 17, 3, padding=1)
    )
    with torch.no_grad():
        net[3].bias.copy_(torch.linspace(-3, 1, 17))
    return net


def plainly(net: nn.Module, data: DataSet, known: Protocol, mistake: str = "") -> np.ndarray:
    """One person after the other, from sections 3 and 7 of the protocol; `mistake` is one that is made on purpose."""
    height, width = HW
    order = list(range(17))
    for left, right in [(k, k + 1) for k in range(1, 17, 2)]:
        order[left], order[right] = right, left
    net.eval()
    rows = []
    for person in range(len(data)):
        example = data.example(person)
        image = (
            example.image
            if mistake == "bgr" or known.color == "bgr"
            else cv2.cvtColor(example.image, cv2.COLOR_BGR2RGB)
        )
        center, scale_px = example.center.astype(np.float64), float(example.scale[0]) * 200
        zoom = width / scale_px
        matrix = np.array([[zoom, 0, width / 2 - zoom * center[0]], [0, zoom, height / 2 - zoom * center[1]]])
        crop = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
        pixels = torch.from_numpy(((crop / 255 - MEAN) / STD).astype(np.float32).transpose(2, 0, 1))[None]
        with torch.no_grad():
            heatmaps = net(pixels)[0].numpy()
            if known.flip_test:
                mirrored = net(torch.flip(pixels, (3,)))[0].numpy()[:, :, ::-1]
                mirrored = mirrored if mistake == "no swap" else mirrored[order]
                if mistake != "no shift":
                    shifted = mirrored.copy() if mistake != "zero column" else np.zeros_like(mirrored)
                    shifted[:, :, 1:] = mirrored[:, :, :-1]
                    mirrored = shifted
                heatmaps = (heatmaps + mirrored) * 0.5
        rows.append([_joint(heatmap, center, scale_px, mistake) for heatmap in heatmaps])
    return np.array(rows)


def _joint(heatmap: np.ndarray, center: np.ndarray, scale_px: float, mistake: str) -> tuple[float, float, float]:
    rows, columns = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), columns)
    best = float(heatmap[y, x])
    found = np.array([x, y], float)
    if best <= 0 and mistake != "negative maxima":
        found[:] = 0
        x = y = 0
    if 1 < x < columns - 1 and 1 < y < rows - 1:
        found += 0.25 * np.sign([heatmap[y, x + 1] - heatmap[y, x - 1], heatmap[y + 1, x] - heatmap[y - 1, x]])
    placed = (found - (columns / 2, rows / 2)) * scale_px / columns + center
    return (*placed.tolist(), best)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("name", ["dpn", "sbl"])
def test_a_batch_is_a_loop_over_people(name: str, flip: bool) -> None:
    known = replace(protocol(name, "coco"), flip_test=flip)
    data, net = noise_set(), small()
    expected = plainly(net, data, known)
    found = predict(net, data, known, HW, Runtime(device="cpu", batch=3))
    assert found.shape == (7, 17, 3)
    assert found.dtype == np.float64
    assert (expected[..., 2] <= 0).any()
    assert (expected[..., 2] > 0).any()
    np.testing.assert_allclose(found[..., :2], expected[..., :2], atol=1e-3)
    np.testing.assert_allclose(found[..., 2], expected[..., 2], atol=2e-3)  # a byte of a crop may differ by one


@pytest.mark.parametrize("mistake", ["bgr", "no swap", "no shift", "zero column", "negative maxima"])
def test_each_trap_of_inference_would_be_noticed(mistake: str) -> None:
    """Colours, left and right, the shift by a pixel, the column that it leaves behind, and maxima below zero."""
    data, net = noise_set(), small()
    found = predict(net, data, PLAIN, HW)
    assert np.abs(found - plainly(net, data, PLAIN, mistake)).max() > 0.01


def test_mirrored_heatmaps_of_udp_do_not_move() -> None:
    """Trap: a UDP network with the shift, or another without, loses about 2 AP."""
    data, net = noise_set(), small()
    udp = replace(PLAIN, codec="udp")
    shifting, still = (predict(net, data, replace(udp, shift_flipped=shift), HW) for shift in (True, False))
    np.testing.assert_array_equal(shifting, still)
    assert np.abs(predict(net, data, replace(PLAIN, shift_flipped=False), HW) - predict(net, data, PLAIN, HW)).max() > 1


def test_batches_and_formats_change_nothing_but_rounding() -> None:
    data, net = noise_set(), small()
    expected = predict(net, data, PLAIN, HW, Runtime(device="cpu", batch=1))
    for runtime in (Runtime(device="cpu"), Runtime(device="cpu", batch=4, channels_last=True)):
        found = predict(net, data, PLAIN, HW, runtime)
        np.testing.assert_allclose(found[..., 2], expected[..., 2], atol=1e-3)
        moved = np.abs(found - expected).max(axis=2) > 1e-3  # an untrained network has maxima that are nearly equal
        assert moved.mean() < 0.02
    half = predict(net, data, PLAIN, HW, Runtime(device="cpu", precision="bf16"))
    assert 0 < np.abs(half[..., 2] - expected[..., 2]).max() < 0.1
    assert len(predict(net, replace(data, people=data.people.take([])), PLAIN, HW)) == 0


def test_workers_change_nothing() -> None:
    data, net = noise_set(), small()
    found = [predict(net, data, PLAIN, HW, Runtime(batch=2, workers=workers)) for workers in (0, 2)]
    np.testing.assert_array_equal(*found)


def test_workers_send_what_is_needed_alone() -> None:
    (batch,) = inference._batches(noise_set(2), PLAIN, HW, Runtime(), torch.device("cpu"))
    assert list(batch) == ["crop", "center", "scale"]


def test_no_more_workers_start_than_there_are_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def loader(*samples: Any, num_workers: int, **options: Any) -> DataLoader[Any]:
        started.append(num_workers)
        return DataLoader(*samples, num_workers=0, **options)

    monkeypatch.setattr(inference, "DataLoader", loader)
    data, net = noise_set(), small()
    for batch in (3, 7, 1):
        predict(net, data, PLAIN, HW, Runtime(batch=batch, workers=5))
    predict(net, replace(data, people=data.people.take([])), PLAIN, HW, Runtime(workers=5))
    assert started == [3, 1, 5, 0]


def test_a_gpu_has_workers_by_default_and_a_cpu_none(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda:1")
    monkeypatch.setattr(inference, "cores", lambda: 16)
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "fork")
    assert [workers_of(Runtime(), device, 99) for device in (cpu, gpu)] == [0, 4]
    assert workers_of(Runtime(), gpu, 1) == 0  # one photograph's people
    assert [workers_of(Runtime(workers=workers), gpu, 3) for workers in (0, 2, 5)] == [0, 2, 3]
    monkeypatch.setattr(inference, "cores", lambda: 2)
    assert workers_of(Runtime(), gpu, 99) == 2


def test_workers_that_would_run_the_script_again_start_where_they_are_asked_for_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "forkserver")
    assert [workers_of(Runtime(workers=workers), torch.device("cuda"), 99) for workers in (None, 2)] == [0, 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_one_line_from_a_worker_too(workers: int) -> None:
    data = coco_set(2, (64, 48), broken="000000000002.png")
    with pytest.raises(DataError) as caught:
        predict(small(), data, PLAIN, HW, Runtime(workers=workers))
    assert str(caught.value) == "000000000002.png: the image is broken; mend it"


def test_done_is_told_of_each_batch_and_may_stop() -> None:
    told: list[tuple[int, int]] = []
    predict(small(), noise_set(), PLAIN, HW, Runtime(batch=3), done=lambda first, rows: told.append((first, len(rows))))
    assert told == [(0, 3), (3, 3), (6, 1)]


def test_the_network_keeps_its_modes() -> None:
    """A frozen batch norm of a network in training stays frozen: net.train() would wake it."""
    net = small()
    net[1].eval()
    predict(net, noise_set(2), PLAIN, HW)
    assert [module.training for module in net] == [True, False, True, True]
    assert net.training


def test_what_torch_export_wrote_is_asked_in_the_one_mode_that_it_has() -> None:
    """It refuses to change its mode: "Calling eval() is not supported yet"."""
    net, data = small().eval(), noise_set(2)
    written = torch.export.export(net, (torch.zeros(1, 3, *HW),)).module()
    modes = [module.training for module in written.modules()]
    found = predict(written, data, PLAIN, HW, Runtime(batch=1))
    np.testing.assert_allclose(found, predict(net, data, PLAIN, HW, Runtime(batch=1)), atol=1e-5)
    assert [module.training for module in written.modules()] == modes


def test_heatmaps_that_are_no_numbers_are_refused() -> None:
    net = small()
    with torch.no_grad():
        net[3].bias[2] = torch.nan
    with pytest.raises(OutputError, match="not finite; run with --precision fp32"):
        predict(net, noise_set(2), PLAIN, HW)


def test_boxes_of_another_aspect_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.750 times as wide as high, and this network's is 64x64"):
        predict(small(), noise_set(2), PLAIN, (64, 64))


def test_a_device_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ValueError, match="no device 'abacus' here"):
        predict(small(), noise_set(2), PLAIN, HW, Runtime(device="abacus"))


@pytest.mark.parametrize("there", [True, False])
def test_by_default_a_gpu_is_used_where_there_is_one(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    assert device_of(Runtime().device).type == ("cuda" if there else "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_changes_nothing_but_rounding() -> None:
    data = noise_set()
    expected = predict(small(), data, PLAIN, HW, Runtime(device="cpu"))
    found = predict(small(), data, PLAIN, HW, Runtime(device="cuda"))
    close = np.isclose(found, expected, atol=0.05).all(axis=2)
    assert close.mean() > 0.95  # where two places are all but equally high, rounding decides


# What networks return

MAPS = torch.zeros(2, 17, 16, 12)
OTHER = torch.zeros(2, 17, 16, 12)
Named = namedtuple("Named", ("parsing", "heatmaps"))
Unnamed = namedtuple("Unnamed", ("scores", "offsets"))


@pytest.mark.parametrize(
    "output",
    [MAPS, [OTHER, MAPS], (OTHER, MAPS), ([OTHER, OTHER], MAPS), {"heatmaps": MAPS}, Named(OTHER, [OTHER, MAPS])],
)
def test_the_last_heatmaps_count(output: Any) -> None:
    assert final_heatmaps(output, 17, HW) is MAPS
    assert final_heatmaps(output, None, HW) is MAPS


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(2, 16, 16, 12), "16 heatmaps and this data 17 joints"),
        (torch.zeros(2, 34), r"a Tensor of \(2, 34\)"),
        (torch.zeros(2, 17, 16, 12, dtype=torch.int64), "heatmaps of int64; return floating-point ones"),
        (torch.zeros(2, 17, 16, 12, dtype=torch.complex64), "heatmaps of complex64; return floating-point ones"),
        (torch.zeros(2, 17, 16, 16), "16x16 are no whole fraction of an input of 64x48"),
        (torch.zeros(2, 17, 128, 96), "128x96 are no whole fraction"),
        ([], "an empty list and no heatmaps"),
        ("heatmaps", "a str and no heatmaps"),
        (None, "a NoneType and no heatmaps"),
        ({"out": MAPS, "aux": MAPS}, "a dict: name the entry 'heatmaps'; it has out, aux$"),
        ([{}], "a dict: name the entry 'heatmaps'; it has none$"),
        ({"heatmaps": None}, "a dict and no heatmaps"),
        (Unnamed(MAPS, MAPS), "a Unnamed and no heatmaps"),
    ],
)
def test_what_is_no_heatmap_is_one_line(output: Any, message: str) -> None:
    with pytest.raises(OutputError, match=message) as caught:
        final_heatmaps(output, 17, HW)
    assert "\n" not in str(caught.value)


def test_strides() -> None:
    assert stride_of((96, 72), (384, 288)) == 4
    assert stride_of((32, 24), (64, 48)) == 2


def test_the_heatmaps_own_stride_decides_and_not_that_of_four() -> None:
    """An input of 66x50 is no multiple of 4, and need not be for heatmaps of half its size."""
    codec = codec_of(torch.zeros(1, 17, 33, 25), PLAIN, (66, 50))
    assert (codec.stride, codec.heatmap_hw) == (2, (33, 25))


@pytest.mark.parametrize("name", ["dark", "udp"])
def test_finer_heatmaps_are_decoded_as_wide_as_their_targets(name: CodecName) -> None:
    """Targets as wide in the image at stride 2 as at 4 are twice as wide on the map; noise moves joints where the
    decoder takes them for narrower ones."""
    known, generator = replace(PLAIN, codec=name), torch.Generator().manual_seed(0)
    codec = Codec.of_protocol(known, (256, 192), 2)
    joints = torch.rand((24, 17, 2), generator=generator, dtype=torch.float64) * 120 + 36
    heatmaps = encode(joints, torch.ones(24, 17), codec)[0]
    heatmaps += 0.1 * torch.randn(heatmaps.shape, generator=generator)

    def error_px(decoder: Codec) -> float:
        found = decode(heatmaps, decoder)[0] * torch.tensor(codec.stride_xy)
        return float(torch.linalg.vector_norm(found - joints, dim=2).mean())

    own = codec_of(heatmaps, known, (256, 192))
    assert own == codec
    assert own.sigma == 2 * PLAIN.sigma_at((256, 192))
    assert error_px(own) < 0.75 * error_px(replace(own, sigma=PLAIN.sigma_at((256, 192))))


@pytest.mark.parametrize(
    "spec",
    [
        CPNSpec(name="cpn", global_heads=True),
        PILSpec(name="pil", stacks=1),
    ],
    ids=lambda spec: spec.name,
)
def test_networks_of_several_outputs_have_heatmaps(spec: Any) -> None:
    with torch.device("meta"):
        net = build(spec).eval()
        assert final_heatmaps(net(torch.zeros(1, 3, 128, 128)), 17, (128, 128)).shape == (1, 17, 32, 32)


class Failing(nn.Module):
    """Anybody's network, which fails in its own way."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__()
        self.error = error

    def forward(self, images: Tensor) -> Tensor:
        if self.error:
            raise self.error
        return torch.zeros(0, 17, images.shape[2] // 4, images.shape[3] // 4)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AttributeError("no 'stem'"), r"Failing fails on an image of 64x48, .*: AttributeError: no 'stem'"),
        (AssertionError(), r"\(1, 3, 64, 48\): AssertionError$"),
        (SystemExit(0), r"Failing leaves \(SystemExit: 0\)"),
        (SystemExit(3), r"Failing leaves \(SystemExit: 3\); a forward pass must return, never leave$"),
        (None, "heatmaps of 0 images for 1"),
    ],
)
def test_a_network_that_fails_is_one_line_with_its_name(error: BaseException | None, message: str) -> None:
    forward = Forward(Failing(error), COCO_17, protocol("dpn", "coco"), Runtime(device="cpu"))
    with pytest.raises(OutputError, match=message):
        forward.try_out((64, 48))


@pytest.mark.parametrize(("dtype", "name"), [(torch.float16, "float16"), (torch.float64, "float64")])
def test_a_network_of_other_numbers_than_float32_is_told_to_be_built_in_it(dtype: torch.dtype, name: str) -> None:
    forward = Forward(nn.Conv2d(3, 17, 4, 4).to(dtype), COCO_17, protocol("dpn", "coco"), Runtime(device="cpu"))
    with pytest.raises(OutputError, match=rf"Conv2d fails on .*; its weights are {name}: build it .*net\.float\(\)$"):
        forward.try_out((64, 48))


def test_openpose_is_refused() -> None:
    with torch.device("meta"):
        output = build(OpenPoseSpec(name="op", joints=18)).eval()(torch.zeros(1, 3, 64, 48))
    with pytest.raises(OutputError, match="the network has 19 heatmaps and this data 17 joints"):
        final_heatmaps(output, 17, HW)
