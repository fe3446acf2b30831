"""The top-down protocols of the publications, as data: boxes, colours, augmentation, targets, decoding, scoring.

What the DPN paper does not say is HRNet's released recipe. Imports no torch.
"""

import difflib
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["coco", "mpii"]
"""Of data: whose joints and boxes, and how it is scored: by COCO's average precision, or by MPII's PCKh."""

CodecName = Literal["quarter", "dark", "udp"]
"""How joints become heatmaps and heatmaps joints: argmax with a quarter offset (SimpleBaseline, HRNet), the
distribution-aware decoding of DARK, or the unbiased data processing of UDP."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training samples vary (SimpleBaseline's and HRNet's JointsDataset); 0 or None switches a part off.

    Attributes:
        scale: sigma and clipping distance of the Gaussian factor on the scale: 0.30 means 0.7 to 1.3.
        rotation_deg: sigma of the Gaussian rotation, which is clipped at twice this.
        rotation_probability: of rotating at all.
        flip_probability: of mirroring.
        half_body_probability: of taking the upper or the lower body alone, where enough joints are visible.
        half_body_joints: half a body is taken only of people with more visible joints than this.
        half_body_padding: factor on the box around those joints.
    """

    scale: float
    rotation_deg: float
    rotation_probability: float = 0.6
    flip_probability: float = 0.5
    half_body_probability: float = 0.0
    half_body_joints: int = 8
    half_body_padding: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How people become inputs and targets, and heatmaps become results.

    Attributes:
        name: with the kind of data, as in records: "dpn coco".
        color: order of the network's input channels. SimpleBaseline's released weights were trained on BGR images,
            normalised with the mean and deviation of RGB ones.
        box_padding: factor on the box, after its aspect was made the input's.
        augmentation: of training samples.
        sigma: of the targets at an input 256 px high, in heatmap pixels of stride 4; it is half as large again at 384.
        codec: see `CodecName`.
        flip_test: whether heatmaps are averaged with those of the mirrored image.
        shift_flipped: whether mirrored heatmaps move by one pixel first, which makes up for most of the bias of the
            quarter codec at a stride of 4 and gains nothing at 2 (see `dpn.heatmaps`); wrong with udp.
        joint_threshold: only joints with a larger score take part in a person's score.
        nms_oks: a person is dropped whose similarity to a better one is larger.
        soft_nms: whether likeness to better ones moves people back instead, and 20 of an image stay
            (`dpn.metrics.oks.soft_nms`). Not in the text of a protocol, by which predictions are kept: it changes none.
    """

    name: str
    color: Literal["rgb", "bgr"] = "rgb"
    box_padding: float = 1.25
    augmentation: Augmentation
    sigma: float = 2.0
    codec: CodecName = "quarter"
    flip_test: bool = True
    shift_flipped: bool = True
    joint_threshold: float = 0.2
    nms_oks: float = 0.9
    soft_nms: bool = field(default=False, repr=False)

    def sigma_at(self, input_hw: tuple[int, int]) -> float:
        """Sigma of the targets for this input, in pixels of heatmaps of stride 4: 2 at 256x192, 3 at 384x288."""
        return self.sigma * input_hw[0] / 256


_HRNET = Protocol(name="hrnet coco", augmentation=Augmentation(scale=0.35, rotation_deg=45, half_body_probability=0.3))
_DPN = replace(
    _HRNET, name="dpn coco", augmentation=Augmentation(scale=0.30, rotation_deg=40, half_body_probability=0.3)
)
"""The DPN paper, section IV-A: scale 30 %, rotation 40 degrees, flip and half body, on both data sets."""
_ON_MPII = Augmentation(scale=0.25, rotation_deg=30)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _DPN,
        _HRNET,
        Protocol(name="sbl coco", color="bgr", augmentation=Augmentation(scale=0.30, rotation_deg=40)),
        replace(_DPN, name="dpn mpii"),
        replace(_HRNET, name="hrnet mpii", augmentation=_ON_MPII),
        Protocol(name="sbl mpii", color="bgr", augmentation=_ON_MPII),
    )
}


def protocol(name: str, kind: Kind) -> Protocol:
    """The protocol of that publication for that kind of data.

    Example:
        >>> protocol("dpn", "coco").augmentation.rotation_deg
        40

    Raises:
        KeyError: no such protocol; names those that there are.
    """
    wanted = f"{name} {kind}"
    if wanted in PROTOCOLS:
        return PROTOCOLS[wanted]
    names = sorted({known.split()[0] for known in PROTOCOLS})
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise KeyError(f"no protocol named {name!r}; {hint}there are {', '.join(names)}")
