"""Mask R-CNN whole: its published size and cost, torchvision's names, what it finds, and that it learns."""

import copy
import re
from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.macs import count
from dpn.build import build
from dpn.networks import rcnn_images, rcnn_training
from dpn.networks.feature_pyramid import FrozenBatchNorm2d
from dpn.networks.mask_rcnn import Detections, MaskRCNN
from dpn.networks.rcnn_training import Target
from dpn.networks.region_proposals import ProposalNetwork
from dpn.spec import MaskRCNNSpec, replace

FULL = MaskRCNNSpec(name="whole")
SMALL = replace(FULL, proposals=30, detections=2)
LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_keypoint"}


def on_meta(spec: MaskRCNNSpec) -> nn.Module:
    with torch.device("meta"):
        return build(spec)


def lively(spec: MaskRCNNSpec = SMALL) -> MaskRCNN:
    """A network in evaluation mode whose activations neither vanish nor explode and whose proposals differ."""
    torch.manual_seed(0)
    net = MaskRCNN(spec).eval()
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.1, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        elif name.endswith("bn3.weight"):
            buffer.fill_(0.2)
    return net


@pytest.fixture(scope="module")
def net() -> MaskRCNN:
    return lively()


def photograph(height: int, width: int, seed: int = 0) -> Tensor:
    blotches = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(blotches, size=(height, width), mode="bilinear", align_corners=False)[0]


# Size and cost


@pytest.mark.parametrize(("frozen", "params"), [(True, 59_137_258), (False, 59_190_378)])
def test_size_and_cost_of_a_whole_photograph(frozen: bool, params: int) -> None:
    counted = count(on_meta(replace(FULL, frozen_batch_norm=frozen)), (1, 3, 800, 1088))
    assert counted.complete
    assert counted.params == params
    assert counted.macs == 526_672_140_544


def test_cost_and_size_of_the_parts() -> None:
    net = on_meta(FULL)
    macs = Counter[str]()
    for operator in count(net, (1, 3, 800, 1088)).operators:
        macs[".".join(operator.module.split(".")[: 2 if operator.module.startswith("roi") else 1])] += operator.macs
    assert macs == {
        "backbone": 120_198_758_400,
        "rpn": 43_023_423_744,
        "roi_heads.box_head": 1000 * (256 * 7 * 7 * 1024 + 1024 * 1024),
        "roi_heads.box_predictor": 1000 * 1024 * 10,
        "roi_heads.keypoint_head": 100 * 3_468_165_120,
        "roi_heads.keypoint_predictor": 100 * 27_295_744,
    }
    assert macs["roi_heads.box_head"] + macs["roi_heads.box_predictor"] == 1000 * 13_903_872
    sizes = {path: sum(p.numel() for p in net.get_submodule(path).parameters()) for path in macs}
    assert list(sizes.values()) == [26_799_296, 593_935, 13_895_680, 10_250, 17_698_816, 139_281]


def test_the_spec_bounds_the_cost() -> None:
    least = count(on_meta(replace(FULL, proposals=1, detections=1)), (1, 3, 800, 1088)).macs
    assert count(on_meta(FULL), (1, 3, 800, 1088)).macs - least == 999 * 13_903_872 + 99 * 3_495_460_864
    assert count(on_meta(replace(FULL, proposals=1, detections=1)), (2, 3, 800, 1088)).macs == 2 * least


# Names


def torchvisions_names() -> dict[str, tuple[int, ...]]:
    """Names and shapes in the state dict of torchvision's network, from its structure."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int, outputs: int | None = None) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": (outputs or shape[0],)})

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})

    body, inputs = "backbone.body", 64
    shapes[f"{body}.conv1.weight"] = (64, 3, 7, 7)
    norm(f"{body}.bn1", 64)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for i in range(blocks):
            block = f"{body}.layer{stage}.{i}"
            for k, (a, b, kernel) in enumerate(((inputs, width, 1), (width, width, 3), (width, 4 * width, 1)), start=1):
                shapes[f"{block}.conv{k}.weight"] = (b, a, kernel, kernel)
                norm(f"{block}.bn{k}", b)
            if i == 0:
                shapes[f"{block}.downsample.0.weight"] = (4 * width, inputs, 1, 1)
                norm(f"{block}.downsample.1", 4 * width)
            inputs = 4 * width
        layer(f"backbone.fpn.inner_blocks.{stage - 1}.0", 256, inputs, 1, 1)
        layer(f"backbone.fpn.layer_blocks.{stage - 1}.0", 256, 256, 3, 3)
    layer("rpn.head.conv.0.0", 256, 256, 3, 3)
    layer("rpn.head.cls_logits", 3, 256, 1, 1)
    layer("rpn.head.bbox_pred", 12, 256, 1, 1)
    layer("roi_heads.box_head.fc6", 1024, 256 * 49)
    layer("roi_heads.box_head.fc7", 1024, 1024)
    layer("roi_heads.box_predictor.cls_score", 2, 1024)
    layer("roi_heads.box_predictor.bbox_pred", 8, 1024)
    for i in range(8):
        layer(f"roi_heads.keypoint_head.{2 * i}", 512, 256 if i == 0 else 512, 3, 3)
    layer("roi_heads.keypoint_predictor.kps_score_lowres", 512, 17, 4, 4, outputs=17)
    return shapes


def test_names_and_shapes_are_torchvisions() -> None:
    own = {name: tuple(tensor.shape) for name, tensor in on_meta(FULL).state_dict().items()}
    assert own == torchvisions_names()


def test_a_released_file_loads_by_its_older_names() -> None:
    """The published files were written before torchvision nested two kinds of convolutions one level deeper."""
    net = on_meta(FULL)
    state = {
        re.sub(r"(_blocks\.\d)\.0|(head\.conv)\.0\.0", r"\1\2", name): tensor
        for name, tensor in net.state_dict().items()
    }
    assert {"backbone.fpn.inner_blocks.0.weight", "rpn.head.conv.bias"} < state.keys()
    assert {"backbone.fpn.layer_blocks.3.0.bias", "rpn.head.conv.0.0.weight"}.isdisjoint(state)
    net.load_state_dict(state, strict=True, assign=True)
    nn.ModuleDict({"inside": net}).load_state_dict({f"inside.{n}": t for n, t in state.items()}, assign=True)
    del state["rpn.head.cls_logits.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key.*cls_logits"):
        net.load_state_dict(state, assign=True)


def test_batch_norm_loads_into_frozen_batch_norm() -> None:
    norm = nn.BatchNorm2d(5).eval()
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    frozen = FrozenBatchNorm2d(5, eps=norm.eps)
    frozen.load_state_dict(norm.state_dict(), strict=True)
    x = torch.randn(2, 5, 3, 3)
    assert torch.allclose(frozen.train()(x), norm(x))
    assert list(frozen.parameters()) == []


# What it finds


@torch.no_grad()
def test_features_and_heads_equal_a_computation_without_modules(net: MaskRCNN) -> None:
    state = net.state_dict()
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))

    def conv(x: Tensor, name: str, padding: int = 0) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    stages = net.backbone.body.stages(images)
    merged = [conv(stage, f"backbone.fpn.inner_blocks.{i}.0") for i, stage in enumerate(stages)]
    for i in (2, 1, 0):
        merged[i] = merged[i] + merged[i + 1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    levels = [conv(level, f"backbone.fpn.layer_blocks.{i}.0", 1) for i, level in enumerate(merged)]
    levels.append(levels[-1][..., ::2, ::2])
    found = net.backbone(images)
    assert [level.shape[2:] for level in found] == [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]
    for ours, expected in zip(found, levels, strict=True):
        assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))

    objectness, deltas = net.rpn.head(found[2])
    hidden = conv(found[2], "rpn.head.conv.0.0", 1).relu()
    scores, codes = conv(hidden, "rpn.head.cls_logits"), conv(hidden, "rpn.head.bbox_pred")
    row, column, anchor = 3, 1, 2
    place = (row * 6 + column) * 3 + anchor
    assert torch.allclose(objectness[0, place], scores[0, anchor, row, column], atol=1e-5)
    assert torch.allclose(deltas[0, place], codes[0, 4 * anchor : 4 * anchor + 4, row, column], atol=1e-5)

    x = regions = torch.rand(1, 256, 14, 14, generator=torch.Generator().manual_seed(2))
    for i in range(0, 16, 2):
        x = conv(x, f"roi_heads.keypoint_head.{i}", 1).relu()
    name = "roi_heads.keypoint_predictor.kps_score_lowres"
    x = F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=2, padding=1)
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    heatmaps = net.roi_heads.keypoint_predictor(net.roi_heads.keypoint_head(regions))
    assert heatmaps.shape == (1, 17, 56, 56)
    assert torch.allclose(heatmaps, x, atol=1e-5 * float(x.abs().max()))


@torch.no_grad()
def test_from_photographs_to_people(net: MaskRCNN) -> None:
    photographs = [photograph(60, 80), photograph(90, 50, seed=1)]
    images, hws = rcnn_images.batch(photographs, shorter=48, longer=80)
    found = net(images, hws)
    again = net(images, hws)
    for people, same, hw, picture in zip(found, again, hws, photographs, strict=True):
        n = len(people.boxes)
        assert 1 <= n <= 2
        assert people.scores.shape == (n,)
        assert (people.keypoints.shape, people.keypoint_scores.shape) == ((n, 17, 2), (n, 17))
        assert all(map(torch.equal, people, same))
        assert bool((people.scores.diff() <= 0).all())
        assert bool((people.scores > 0.05).all())
        in_its_own = rcnn_images.in_photograph(people, hw, picture.shape[1:])
        for boxes, keypoints, (height, width) in (
            (people.boxes, people.keypoints, hw),
            (in_its_own.boxes, in_its_own.keypoints, picture.shape[1:]),
        ):
            limit = torch.tensor([width, height]) + 1e-3
            assert bool((boxes >= 0).all())
            assert bool((boxes[:, 2:] <= limit).all())
            assert bool((boxes[:, :2] < boxes[:, 2:]).all())
            assert bool((keypoints >= boxes[:, None, :2]).all())
            assert bool((keypoints <= boxes[:, None, 2:].clamp(min=1) + 1e-3).all())


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(net: MaskRCNN) -> None:
    images, _ = rcnn_images.batch([photograph(64, 64), photograph(64, 64, seed=3)], shorter=64)
    together, alone = net(images)[1], net(images[1:])[0]
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(together, alone, strict=True))


@torch.no_grad()
def test_nobody_is_found_where_no_score_suffices(net: MaskRCNN) -> None:
    blind = copy.deepcopy(net)
    blind.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([50.0, -50.0]))
    (people,) = blind(torch.zeros(1, 3, 64, 64))
    assert [tuple(part.shape) for part in people] == [(0, 4), (0,), (0, 17, 2), (0, 17)]


# Photographs


def test_a_photograph_of_480x640_makes_an_input_of_800x1088() -> None:
    images, hws = rcnn_images.batch([torch.full((3, 480, 640), 0.5)])
    assert (tuple(images.shape), hws) == ((1, 3, *FULL.input_hw), [(800, 1066)])
    assert torch.allclose(
        images[0, :, 0, 0], torch.tensor([(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, 0.094 / 0.225])
    )
    assert not images[..., 1066:].any()


def test_the_longer_side_is_limited() -> None:
    images, hws = rcnn_images.batch([torch.rand(3, 100, 500)])
    assert (tuple(images.shape), hws) == ((1, 3, 288, 1344), [(266, 1333)])


def test_findings_return_to_the_photograph() -> None:
    found = Detections(
        torch.tensor([[8.0, 6, 80, 60]]), torch.ones(1), torch.tensor([[[40.0, 30.0]]]), torch.ones(1, 1)
    )
    back = rcnn_images.in_photograph(found, (60, 80), (30, 20))
    assert back.boxes.tolist() == [[2, 3, 20, 30]]
    assert back.keypoints.tolist() == [[[10, 15]]]


@pytest.mark.parametrize("wrong", [torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(8, 8, 3), torch.zeros(8, 8)])
def test_what_is_no_photograph_is_refused(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match="divide bytes by 255"):
        rcnn_images.batch([wrong])


# Learning


def scene() -> tuple[Tensor, list[Target]]:
    """One image with one bright person, whose 17 joints stand on a diagonal."""
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1
    images[..., 10:58, 20:52] += 1
    along = torch.linspace(0.1, 0.9, 17)
    joints = torch.stack([20 + 32 * along, 10 + 48 * along, torch.ones(17)], dim=1)
    return images, [Target(torch.tensor([[20.0, 10.0, 52.0, 58.0]]), joints[None])]


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
def test_it_learns(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On regions that stay the same, because otherwise the sample, and with it the losses, would jump."""
    regions = torch.tensor([[17.0, 10, 52, 60], [20, 14, 55, 58], [0, 0, 12, 30], [30, 30, 40, 50], [50, 5, 64, 64]])
    monkeypatch.setattr(ProposalNetwork, "_best", lambda *_: regions)
    monkeypatch.setattr(rcnn_training, "REGIONS_PER_IMAGE", 8)
    net = lively(replace(SMALL, frozen_batch_norm=frozen)).train()
    constants = {name: buffer.clone() for name, buffer in net.named_buffers()}
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    images, targets = scene()
    course = []
    for step in range(8):
        torch.manual_seed(1)
        losses: dict[str, Tensor] = net(images, targets=targets)
        assert losses.keys() == LOSSES
        optimizer.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        for name, parameter in net.named_parameters() if step == 0 else ():
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            assert bool(parameter.grad.any()), name
        optimizer.step()
        course.append({name: loss.item() for name, loss in losses.items()} | {"all": total.item()})
    assert course[-1]["all"] < 0.8 * course[0]["all"], course
    never_lower = [name for name in LOSSES if min(losses[name] for losses in course[1:]) >= course[0][name]]
    assert never_lower == [], course
    if frozen:
        assert all(torch.equal(buffer, constants[name]) for name, buffer in net.named_buffers())


def test_losses_of_an_image_without_people_are_finite(net: MaskRCNN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rcnn_training, "REGIONS_PER_IMAGE", 8)
    learner = copy.deepcopy(net).train()
    losses = learner(torch.randn(1, 3, 64, 64), targets=[Target(torch.zeros(0, 4), torch.zeros(0, 17, 3))])
    assert losses.keys() == LOSSES
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert [losses[name].item() for name in ("loss_rpn_box_reg", "loss_box_reg", "loss_keypoint")] == [0, 0, 0]


def test_training_without_targets_says_what_to_do(net: MaskRCNN) -> None:
    with pytest.raises(ValueError, match=r"pass them, or call eval\(\)"):
        copy.copy(net).train()(torch.zeros(1, 3, 64, 64))
    net.eval()


# torchvision


def torchvisions_network() -> Any:
    """Its network with frozen batch norm without epsilon, or None where no working torchvision is installed."""
    try:
        import torchvision
        from torchvision.models.detection import KeypointRCNN, backbone_utils

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError):  # absent, or its operators do not fit this torch
        return None
    frozen = torchvision.ops.misc.FrozenBatchNorm2d
    body = torchvision.models.resnet50(weights=None, norm_layer=lambda channels: frozen(channels, eps=0.0))
    options = {"min_size": 160, "max_size": 260, "rpn_post_nms_top_n_test": 30, "box_detections_per_img": 2}
    return KeypointRCNN(backbone_utils._resnet_fpn_extractor(body, 5), 2, **options).eval()


@pytest.mark.slow
@torch.no_grad()
def test_equals_torchvision(net: MaskRCNN) -> None:
    theirs = torchvisions_network()
    if theirs is None:
        pytest.skip("no working torchvision is installed")
    theirs.load_state_dict(net.state_dict(), strict=True)
    photographs = [photograph(120, 150), photograph(100, 90, seed=1)]
    images, hws = rcnn_images.batch(photographs, shorter=160, longer=260)
    for expected, people, hw, picture in zip(theirs(photographs), net(images, hws), hws, photographs, strict=True):
        found = rcnn_images.in_photograph(people, hw, picture.shape[1:])
        assert torch.allclose(found.boxes, expected["boxes"], atol=1e-2)
        assert torch.allclose(found.scores, expected["scores"], atol=1e-5)
        assert torch.allclose(found.keypoints, expected["keypoints"][..., :2], atol=1e-2)
        assert torch.allclose(found.keypoint_scores, expected["keypoints_scores"], rtol=1e-4, atol=1e-4)
