"""How training samples vary: half bodies, scale, rotation and mirroring, then the crop. Imports no torch."""

from dataclasses import dataclass

import cv2
import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.data.crops import PIXEL_STD, affine, crop, to_aspect, transform
from dpn.data.people import Example
from dpn.protocols import Augmentation, Protocol
from dpn.skeletons import Skeleton

LOWER_PARTS = frozenset({"pelvis", "hip", "knee", "ankle"})
"""Joints of the lower body, by the last word of their name; all others are the upper body's."""

NONE = Augmentation(scale=0, rotation_deg=0, rotation_probability=0, flip_probability=0)
"""The augmentation that changes nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Change:
    """What becomes of one example.

    Attributes:
        center: (2,), of the box to crop, in pixels of the image as it is, before mirroring.
        scale: (2,), in units of 200 px.
        rotation_deg: of the box, see `dpn.data.crops.affine`; after mirroring.
        flipped: whether image and joints are mirrored.
    """

    center: Floats
    scale: Floats
    rotation_deg: float
    flipped: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One person, ready to learn from or to be asked about.

    Attributes:
        crop: (H, W, 3) uint8, in the protocol's order of colours.
        joints: (K, 2) float64, crop pixels; zeros for a joint that is not visible.
        visible: (K,) float64.
        center: (2,), of the box that was cropped, in pixels of the image, which is mirrored where the sample is.
        scale: (2,), in units of 200 px.
    """

    crop: Pixels
    joints: Floats
    visible: Floats
    center: Floats
    scale: Floats


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Where all randomness of one sample comes from: no process carries a state on from one sample to the next."""
    return np.random.default_rng((seed, epoch, index))


def draw(
    rng: np.random.Generator, augmentation: Augmentation, example: Example, skeleton: Skeleton, aspect: float
) -> Change:
    """A random change, as SimpleBaseline and HRNet draw it (JointsDataset), in their order.

    Half body, scale, rotation, mirroring. The factor on the scale is a Gaussian around 1, clipped: 32 % of all draws
    are one of the two ends. The rotation is a Gaussian, clipped at twice its sigma, so that 40 degrees mean up to 80.
    Six numbers are always taken from the generator: what one part draws does not depend on the others' being on.

    Args:
        rng: where all randomness comes from, see `generator`.
        augmentation: what is on, and how strong.
        example: the person.
        skeleton: whose joints these are.
        aspect: width by height of the network's input.
    """
    half_body_gate, upper_coin = rng.random(), rng.standard_normal()
    scale_draw = rng.standard_normal()
    rotation_gate, rotation_draw = rng.random(), rng.standard_normal()
    flip_gate = rng.random()

    center, scale = example.center, example.scale
    enough = example.visible.sum() > augmentation.half_body_joints
    if enough and half_body_gate < augmentation.half_body_probability:
        center, scale = half_body(example, skeleton, aspect, upper_coin, augmentation.half_body_padding)
    factor = np.clip(scale_draw * augmentation.scale + 1, 1 - augmentation.scale, 1 + augmentation.scale)
    rotation = 0.0
    if rotation_gate < augmentation.rotation_probability:
        limit = 2 * augmentation.rotation_deg
        rotation = float(np.clip(rotation_draw * augmentation.rotation_deg, -limit, limit))
    return Change(
        center=center,
        scale=scale * factor.astype(scale.dtype),  # a float32 scale stays one
        rotation_deg=rotation,
        flipped=bool(flip_gate < augmentation.flip_probability),
    )


def unchanged(example: Example) -> Change:
    """The change that is none: the box as it is."""
    return Change(center=example.center, scale=example.scale, rotation_deg=0.0, flipped=False)


def half_body(
    example: Example, skeleton: Skeleton, aspect: float, upper_coin: float, padding: float
) -> tuple[Floats, Floats]:
    """Centre and scale around the visible joints of the upper or of the lower body (HRNet, half_body_transform).

    The upper body is taken for a coin below 0.5; HRNet tosses a *normal* variate, for which that has probability 0.691.
    A half of fewer than three visible joints gives way to the other. All joints keep their weight.

    Returns:
        Two arrays of shape (2,), of the types of the example's own; those themselves where fewer than two joints are
        left or all are in one place.
    """
    lower = np.array([name.split("_")[-1] in LOWER_PARTS for name in skeleton.joints])
    seen = example.visible > 0
    halves = example.joints[seen & ~lower], example.joints[seen & lower]
    upper_half, lower_half = halves
    if upper_coin < 0.5 and len(upper_half) > 2:
        chosen = upper_half
    else:
        chosen = lower_half if len(lower_half) > 2 else upper_half
    if len(chosen) < 2 or not (size := np.ptp(chosen, axis=0)).any():
        return example.center, example.scale
    center = chosen.mean(axis=0).astype(example.center.dtype)
    scale = (to_aspect(size, aspect) / PIXEL_STD).astype(example.scale.dtype)
    return center, scale * scale.dtype.type(padding)


def apply(
    example: Example, change: Change, skeleton: Skeleton, protocol: Protocol, input_hw: tuple[int, int]
) -> Sample:
    """The example cropped as the change says, its joints moved along.

    Mirroring takes x to (image's width) - 1 - x and swaps left and right joints. The crop is one warp of the whole
    image, so that nothing is interpolated twice. Colours change their order in the crop, which gives the same bytes as
    changing them in the image and is less work.

    Args:
        example: the person.
        change: from `draw`, or `unchanged`.
        skeleton: whose joints these are.
        protocol: order of colours, and whether lengths are UDP's.
        input_hw: height and width of the network's input.
    """
    image, joints, visible, center = example.image, example.joints, example.visible, change.center
    if change.flipped:
        image = np.asarray(cv2.flip(image, 1), dtype=np.uint8)
        order = list(skeleton.mirrored)
        joints, visible = joints[order], visible[order]
        last = image.shape[1] - 1
        joints = np.column_stack((last - joints[:, 0], joints[:, 1]))
        center = np.array((last - center[0], center[1]), dtype=center.dtype)
    output_wh = input_hw[1], input_hw[0]
    matrix = affine(center, change.scale, change.rotation_deg, output_wh, unbiased=protocol.codec == "udp")
    cropped = crop(image, matrix, output_wh)
    if protocol.color == "rgb":
        cropped = np.asarray(cv2.cvtColor(cropped, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    seen = visible > 0
    return Sample(
        crop=cropped,
        joints=np.where(seen[:, None], transform(joints, matrix), 0.0),
        visible=visible,
        center=center,
        scale=change.scale,
    )
