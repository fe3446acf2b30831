"""What a network is, as frozen data: `ModelSpec` and one subclass for each family. Imports no torch."""

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args, get_origin

from dpn import dilation
from dpn.digests import digest_of

Reading = Literal["costed", "printed"]
"""Of Table I: `printed` is the table itself, `costed` adds the 1x1 convolution that the published costs imply."""

__all__ = [
    "Basis",
    "CPNSpec",
    "DLCMSpec",
    "DPNLiteSpec",
    "DPNOnHRNetSpec",
    "DPNSpec",
    "DeeperCutSpec",
    "HRNetSpec",
    "HourglassSpec",
    "JADASpec",
    "MCASpec",
    "MaskRCNNSpec",
    "ModelSpec",
    "OpenPoseSpec",
    "PILSpec",
    "PyraNetSpec",
    "Reading",
    "SimpleBaselineSpec",
    "replace",
]


Basis = Literal["released code", "transcribed", "reconstructed", "of this workbench"]
"""How sure a network is: `released code` was run and counted, and ours has its names, shapes and costs; `transcribed`
was read in another framework's code; `reconstructed` follows a publication, and fills what that leaves open; what is
`of this workbench` is in no publication."""


def _allows(kind: Any, value: object, least: int) -> tuple[bool, str]:
    """Whether a field of that type may have this value, and what it may have, in words."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return any(value == one and type(value) is type(one) for one in choices), " or ".join(map(repr, choices))
    if get_origin(kind) is tuple:
        length = 0 if ... in get_args(kind) else len(get_args(kind))
        known = isinstance(value, tuple) and len(value) == (length or max(1, len(value))) and (
            all(type(one) is int and one >= least for one in value)
        )  # fmt: skip
        return known, f"a tuple of {length or 'one or more'} integers from {least} on"
    if kind is int:
        return type(value) is int and value >= least, f"an integer from {least} on"
    return isinstance(value, kind), f"of type {kind.__name__}"


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What every network has, whatever its family.

    Attributes:
        name: the name in the zoo; not part of the network's identity.
        paper: where the paper reports this network, for people: "Table VI, row DPN4_64".
        input_hw: height and width of the input in pixels.
        joints: number of heatmaps.
    """

    family: ClassVar[str]
    basis: ClassVar[Basis] = "released code"
    """How sure the networks of this family are."""
    stride_multiple: ClassVar[int] = 1
    """Height and width of an input must be multiples of this, in pixels."""

    name: str
    paper: str = ""
    input_hw: tuple[int, int] = (256, 192)
    joints: int = 17

    def __post_init__(self) -> None:
        """Raises ValueError where a field's value is none of its type, or a number below its least, mostly 1."""
        for field in dataclasses.fields(self):
            value, least = getattr(self, field.name), field.metadata.get("least", 1)
            fits, allowed = _allows(field.type, value, least)
            if not fits:
                raise ValueError(f"{self.name}: {field.name} is {allowed}, not {value!r}")

    def identity(self) -> dict[str, Any]:
        """Everything that makes this network the network it is: its family and fields, without name and paper row."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("name", "paper")}
        return {"family": self.family, **fields}

    def digest(self) -> str:
        """Twelve hexadecimal digits that change exactly when the network's definition changes."""
        return digest_of(self.identity())

    def check_input(self, height: int, width: int) -> None:
        """Raises ValueError, naming the nearest sizes that fit, when the network cannot take such an input."""
        step = self.stride_multiple
        if height > 0 and width > 0 and height % step == 0 and width % step == 0:
            return
        near = "x".join(str(max(step, round(side / step) * step)) for side in (height, width))
        raise ValueError(
            f"{self.name} cannot take an input of {height}x{width}: "
            f"height and width must be positive multiples of {step}, for example {near}"
        )


@dataclass(frozen=True, kw_only=True)
class DPNSpec(ModelSpec):
    """A Dilation Pyramid Network (Table I) or one of its ablations (Tables II-V).

    Attributes:
        modules: number of Dilation Pyramid Modules, the n of DPNn.
        width: channels of the 3x3 convolutions in a module, the suffix of DPNn_64; the stream has four times as many.
        dilations: dilation radius of each block of a module, input to output.
        conv2_blocks: ResNet-50 bottlenecks in conv2 before its 1x1 convolution (four for width 64, none for width 32).
        conv2_stride: 2 by default; 1 keeps the modules at a quarter of the input's resolution (Table IV).
        reading: which reading of Table I this is.
    """

    family: ClassVar[str] = "dpn"
    basis: ClassVar[Basis] = "reconstructed"
    stride_multiple: ClassVar[int] = 8

    modules: int
    width: int
    dilations: tuple[int, ...] = dilation.pyramid()
    conv2_blocks: int = dataclasses.field(metadata={"least": 0})
    conv2_stride: Literal[1, 2] = 2
    reading: Reading = "costed"

    @property
    def channels(self) -> int:
        """Channels of the stream through the modules."""
        return 4 * self.width

    @property
    def module_hw(self) -> tuple[int, int]:
        """Height and width of the maps that the modules run at, for the default input."""
        height, width = self.input_hw
        return height // (4 * self.conv2_stride), width // (4 * self.conv2_stride)


@dataclass(frozen=True, kw_only=True)
class DPNLiteSpec(DPNSpec):
    """Dilation Pyramid Modules behind a stem of two convolutions, so that ablations train in minutes on a CPU.

    The modules and the head are those of the `DPNSpec` with the same fields, at the same resolution; `conv2_stride` is
    the stride of the stem's second convolution, and there are no ResNet blocks.

    Attributes:
        stem_channels: of the stem's first convolution.
    """

    family: ClassVar[str] = "dpn_lite"
    basis: ClassVar[Basis] = "of this workbench"

    stem_channels: int = 32
    conv2_blocks: int = dataclasses.field(default=0, metadata={"least": 0})


@dataclass(frozen=True, kw_only=True)
class HRNetSpec(ModelSpec):
    """A High-Resolution Network (Sun et al., CVPR 2019).

    Attributes:
        width: channels of the finest branch, the 32 of HRNet-W32; coarser branches have 2, 4 and 8 times as many.
    """

    family: ClassVar[str] = "hrnet"
    stride_multiple: ClassVar[int] = 32

    width: int


@dataclass(frozen=True, kw_only=True)
class DPNOnHRNetSpec(ModelSpec):
    """Dilation Pyramid Modules behind an HRNet, the DPN2_hrnet of Table VI.

    Attributes:
        backbone: the HRNet without its head.
        modules: number of Dilation Pyramid Modules.
        width: channels of the 3x3 convolutions in a module.
        dilations: dilation radius of each block of a module, input to output.
    """

    family: ClassVar[str] = "dpn_on_hrnet"
    basis: ClassVar[Basis] = "reconstructed"
    stride_multiple: ClassVar[int] = 32

    backbone: HRNetSpec
    modules: int
    width: int
    dilations: tuple[int, ...] = dilation.pyramid()

    def identity(self) -> dict[str, Any]:
        """As every spec's; the backbone by what it is, not by its name."""
        return super().identity() | {"backbone": self.backbone.identity()}


@dataclass(frozen=True, kw_only=True)
class SimpleBaselineSpec(ModelSpec):
    """SimpleBaseline, SBL: a ResNet and three transposed convolutions (Xiao et al., ECCV 2018).

    Attributes:
        depth: of the ResNet.
    """

    family: ClassVar[str] = "simple_baseline"
    stride_multiple: ClassVar[int] = 32

    depth: Literal[50, 101, 152]


@dataclass(frozen=True, kw_only=True)
class HourglassSpec(ModelSpec):
    """A stacked hourglass network (Newell et al., ECCV 2016).

    Attributes:
        stacks: number of hourglasses.
        channels: of the maps that pass through the stacks.
        post_residual: whether a residual block follows each hourglass, as in the published network.
    """

    family: ClassVar[str] = "hourglass"
    stride_multiple: ClassVar[int] = 64

    stacks: int
    channels: int = 256
    post_residual: bool = True


@dataclass(frozen=True, kw_only=True)
class CPNSpec(ModelSpec):
    """A Cascaded Pyramid Network with a ResNet-50 (Chen et al., CVPR 2018).

    Attributes:
        stride_in_1x1: the ResNet's stride is on the first 1x1 convolution of a block, as in the published costs.
        global_heads: GlobalNet's heatmaps are computed too, which only training needs.
    """

    family: ClassVar[str] = "cpn"
    stride_multiple: ClassVar[int] = 32

    stride_in_1x1: bool = True
    global_heads: bool = False


@dataclass(frozen=True, kw_only=True)
class OpenPoseSpec(ModelSpec):
    """OpenPose's body network: VGG-19 and six stages of two branches (Cao et al., CVPR 2017).

    `joints` counts body parts; there is one more heatmap, for the background.

    Attributes:
        limbs: pairs of parts that are joined; each has two maps, the x and y of its part affinity field.
    """

    family: ClassVar[str] = "openpose"
    stride_multiple: ClassVar[int] = 8

    limbs: int = 19


@dataclass(frozen=True, kw_only=True)
class MaskRCNNSpec(ModelSpec):
    """Mask R-CNN for keypoints with a ResNet-50 and a feature pyramid (He et al., ICCV 2017).

    Attributes:
        input_hw: of a whole image, by default a photograph of 480x640 as the released network takes it.
        frozen_batch_norm: batch norm's four tensors are constants, as in the released networks.
        proposals: regions that are kept after non-maximum suppression of the proposals.
        detections: people that are kept at the end; each costs one pass of the keypoint head.
    """

    family: ClassVar[str] = "mask_rcnn"
    stride_multiple: ClassVar[int] = 32

    input_hw: tuple[int, int] = (800, 1088)
    frozen_batch_norm: bool = True
    proposals: int = 1000
    detections: int = 100


@dataclass(frozen=True, kw_only=True)
class DeeperCutSpec(ModelSpec):
    """DeeperCut for one person: a dilated ResNet-101 with part and offset maps (Insafutdinov et al., ECCV 2016).

    Attributes:
        output_stride: 8 with 1x1 heads is the network behind the published cost; 16 with transposed heads is released.
        transposed_heads: heads double the resolution of the last map.
    """

    family: ClassVar[str] = "deepercut"
    basis: ClassVar[Basis] = "transcribed"
    stride_multiple: ClassVar[int] = 32

    output_stride: Literal[8, 16] = 8
    transposed_heads: bool = False


@dataclass(frozen=True, kw_only=True)
class MCASpec(ModelSpec):
    """Multi-context attention on stacked hourglasses (Chu et al., CVPR 2017).

    Attributes:
        stacks: number of hourglasses; the second half has attention for each part.
        attention_kernel: of the one convolution that the attention's iterations share.
    """

    family: ClassVar[str] = "mca"
    basis: ClassVar[Basis] = "transcribed"
    stride_multiple: ClassVar[int] = 64

    stacks: int = 8
    attention_kernel: int = 11


@dataclass(frozen=True, kw_only=True)
class JADASpec(ModelSpec):
    """The pose network of adversarial data augmentation: a plain stacked hourglass (Peng et al., CVPR 2018).

    Attributes:
        stacks: number of hourglasses.
        agent: the augmentation agent, which only training needs, is built and runs too.
    """

    family: ClassVar[str] = "jada"
    stride_multiple: ClassVar[int] = 64

    stacks: int = 8
    agent: bool = False


@dataclass(frozen=True, kw_only=True)
class PyraNetSpec(ModelSpec):
    """Stacked hourglasses of pyramid residual modules, LFP (Yang et al., ICCV 2017).

    Attributes:
        stacks: number of hourglasses.
        base_width: a block of `c` channels has pyramids of `c // base_width` channels.
        cardinality: number of levels of a pyramid.
        fractional_pooling: true fractional max pooling, random in training and at test, in place of adaptive pooling.
    """

    family: ClassVar[str] = "pyranet"
    basis: ClassVar[Basis] = "transcribed"
    stride_multiple: ClassVar[int] = 64

    stacks: int = 8
    base_width: int = 9
    cardinality: int = 4
    fractional_pooling: bool = False


@dataclass(frozen=True, kw_only=True)
class DLCMSpec(ModelSpec):
    """The deeply learned compositional model, reconstructed from its publication (Tang et al., ECCV 2018).

    Attributes:
        levels: semantic levels; bottom-up and top-down stages need 2 * levels - 1 hourglasses.
        parts: parts at each level, from joints upward.
        part_ends: score maps of the higher levels come with the joints', where the parts end.
    """

    family: ClassVar[str] = "dlcm"
    basis: ClassVar[Basis] = "reconstructed"
    stride_multiple: ClassVar[int] = 64

    levels: int = 3
    parts: tuple[int, ...] = (16, 12, 6)
    part_ends: bool = True


@dataclass(frozen=True, kw_only=True)
class PILSpec(ModelSpec):
    """The parsing induced learner: a parsing network makes kernels for the last hourglass (Nie et al., CVPR 2018).

    Attributes:
        stacks: hourglasses of the pose network; the parsing network has one.
        classes: of the parsing.
        unused_shortcuts: weights that the release makes in every hourglass and never uses; the published size has them.
    """

    family: ClassVar[str] = "pil"
    stride_multiple: ClassVar[int] = 64

    stacks: int = 8
    classes: int = 20
    unused_shortcuts: bool = True
