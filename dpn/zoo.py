"""Every network of the paper's tables: name -> spec. Imports no torch.

One function for each base network; a variant is a function whose first line names its base and replaces what differs.
"""

import difflib
from typing import Literal, TypeVar

from dpn import dilation
from dpn.spec import (
    CPNSpec,
    DPNOnHRNetSpec,
    DPNSpec,
    HourglassSpec,
    HRNetSpec,
    MaskRCNNSpec,
    ModelSpec,
    OpenPoseSpec,
    SimpleBaselineSpec,
    replace,
)

Spec = TypeVar("Spec", bound=ModelSpec)


def dpn_64(modules: int) -> DPNSpec:
    """DPN1_64 .. DPN4_64 (Tables I, II, IV, VI): 2.1, 2.4, 2.7, 3.0 "GFLOPs"; DPN4_64 has 3.3 M parameters.

    Measured: 2.106, 2.405, 2.704, 3.003 Gi MACs; DPN4_64 has 3.337 M parameters.
    """
    return DPNSpec(
        name=f"dpn{modules}_64",
        paper=f"Tables II and IV, DPN{modules}_64" if modules < 4 else "Tables I, II, IV and VI, DPN4_64",
        modules=modules,
        width=64,
        conv2_blocks=4,
    )


def dpn_32(modules: int) -> DPNSpec:
    """DPN1_32 .. DPN4_32 (Tables I, III, V, VI): DPN4_32 has 0.7 M parameters and 1.1 "GFLOPs".

    Measured: DPN4_32 has 0.704 M parameters and 1.057 Gi MACs.
    """
    papers = {1: "Tables III and V", 4: "Tables I, III, V and VI"}
    return DPNSpec(
        name=f"dpn{modules}_32",
        paper=f"{papers.get(modules, 'Table V')}, DPN{modules}_32",
        modules=modules,
        width=32,
        conv2_blocks=0,
    )


def normal(base: DPNSpec) -> DPNSpec:
    """Ordinary convolutions in place of dilated ones (Table II "Normal"; Table III "D=1"): costs of the base."""
    table = "Table II, Normal" if base.width == 64 else "Table III, D=1"
    return replace(base, name=f"{base.name}_normal", paper=table, dilations=dilation.normal())


def constant(base: DPNSpec, d: int) -> DPNSpec:
    """Every dilation set to D (Table III): costs of the base."""
    return replace(base, name=f"{base.name}_d{d}", paper=f"Table III, D={d}", dilations=dilation.constant(d))


def reversed_(base: DPNSpec) -> DPNSpec:
    """The reversed module, RDPM (Table V): costs of the base."""
    return replace(base, name=f"{base.name}_reversed", paper="Table V, RDPM", dilations=dilation.reversed_pyramid())


def highres(base: DPNSpec) -> DPNSpec:
    """Modules at 64x48 (Table IV): 6.0, 7.2, 8.4, 9.6 "GFLOPs" for DPN1_64 .. DPN4_64.

    Measured: 5.993, 7.189, 8.384, 9.579 Gi MACs.
    """
    return replace(base, name=f"{base.name}_highres", paper="Table IV, 64x48", conv2_stride=1)


def mpii(base: Spec, paper: str = "") -> Spec:
    """Input 256x256 and 16 joints (Table VII): DPN4_32 costs 1.4 and DPN4_64 4.0 "GFLOPs", SBL-152 20.9.

    Measured: 1.409 and 4.003 Gi MACs; SBL-152 has 15.769, and prints 21.0 as its authors count.
    """
    return replace(base, name=f"{base.name}_mpii", paper=paper, input_hw=(256, 256), joints=16)


def large(base: Spec) -> Spec:
    """Input 384x288, the larger of the two sizes that SBL and HRNet are published for; not in this paper."""
    return replace(base, name=f"{base.name}_384x288", paper="", input_hw=(384, 288))


def printed(base: DPNSpec) -> DPNSpec:
    """Table I to the letter, without the 1x1 convolution that the published costs imply; heatmaps always at 1/4."""
    return replace(base, name=f"{base.name}_printed", paper=f"{base.paper}, Table I to the letter", reading="printed")


# --- Table VI: the networks that the paper compares with ---------------------------------------------------------


def hrnet(width: int) -> HRNetSpec:
    """HRNet-W32 and W48 (Table VI): 28.5 and 63.6 M parameters, 7.1 and 14.6 "GFLOPs".

    Measured: 28,536,113 and 63,595,745 parameters, 7.120 and 14.614 Gi MACs.
    """
    return HRNetSpec(name=f"hrnet_w{width}", paper=f"Table VI, HRNet-w{width}", width=width)


def sbl(depth: Literal[50, 101, 152]) -> SimpleBaselineSpec:
    """SimpleBaseline (Table VI, SBL with ResNet-50): 34.0 M parameters and 8.9 "GFLOPs".

    Measured: 33,999,697 parameters and 5.054 Gi MACs; 8.9 counts deconvolutions at their output size, cut off.
    """
    return SimpleBaselineSpec(name=f"sbl_r{depth}", paper="Table VI, SBL" if depth == 50 else "", depth=depth)


def hourglass8() -> HourglassSpec:
    """The 8-stack hourglass (Table VI): 25.1 M parameters and 14.3 "GFLOPs".

    Measured: 25,437,960 parameters and 19.178 Gi MACs. No variant meets both printed numbers.
    """
    return HourglassSpec(name="hourglass8", paper="Table VI, Hourglass", stacks=8)


def hourglass8_no_post_residual() -> HourglassSpec:
    """Without the residual block after each hourglass, which meets the printed 14.3: 23,721,736 and 14.303 Gi MACs."""
    return replace(
        hourglass8(),
        name="hourglass8_no_post_residual",
        paper="Table VI, Hourglass, by its cost",
        post_residual=False,
    )


def cpn_r50() -> CPNSpec:
    """CPN with ResNet-50 (Table VI), the inference graph: 27.0 M parameters and 6.2 "GFLOPs".

    Measured: 26,985,826 parameters and 6.204 Gi MACs.
    """
    return CPNSpec(name="cpn_r50", paper="Table VI, CPN")


def cpn_r50_training() -> CPNSpec:
    """CPN's training graph, with GlobalNet's heatmaps and the public port's strides: 27,406,826 and 6.813 Gi MACs."""
    return replace(cpn_r50(), name="cpn_r50_training", paper="", stride_in_1x1=False, global_heads=True)


def openpose() -> OpenPoseSpec:
    """OpenPose (Table VI, no cost printed), at the 368x368 that it was published for.

    Measured: 52,311,446 parameters and 126.598 Gi MACs.
    """
    return OpenPoseSpec(name="openpose", paper="Table VI, OpenPose", input_hw=(368, 368), joints=18)


def mask_rcnn_r50() -> MaskRCNNSpec:
    """Mask R-CNN with ResNet-50 (Table VI, no cost printed), a whole image with 1000 proposals and 100 people.

    Measured: 59,137,258 parameters and 490.502 Gi MACs.
    """
    return MaskRCNNSpec(name="mask_rcnn_r50", paper="Table VI, Mask-RCNN")


def dpn2_hrnet() -> DPNOnHRNetSpec:
    """Two Dilation Pyramid Modules behind HRNet-W32 (Table VI): 29.5 M parameters and 7.8 "GFLOPs".

    Measured: 29.459 M parameters and 7.78 Gi MACs, with a 1x1 transition; the paper does not describe it.
    """
    return DPNOnHRNetSpec(name="dpn2_hrnet", paper="Table VI, DPN2_hrnet", backbone=hrnet(32), modules=2, width=64)


def _compared() -> tuple[ModelSpec, ...]:
    hrnets, baselines = [hrnet(32), hrnet(48)], [sbl(50), sbl(101), sbl(152)]
    return (
        *hrnets,
        *baselines,
        hourglass8(),
        hourglass8_no_post_residual(),
        cpn_r50(),
        cpn_r50_training(),
        openpose(),
        mask_rcnn_r50(),
        dpn2_hrnet(),
        mpii(hrnets[0]),
        *(mpii(net, "Table VII, SBL" if net.depth == 152 else "") for net in baselines),
        mpii(hourglass8()),
        *(large(net) for net in hrnets),
        *(large(net) for net in baselines),
    )


def _networks() -> tuple[ModelSpec, ...]:
    wide = [dpn_64(n) for n in (1, 2, 3, 4)]
    slim = [dpn_32(n) for n in (1, 2, 3, 4)]
    ends = (slim[0], slim[3])
    high = [highres(net) for net in wide]
    on_mpii = [mpii(net, "Table VII") for net in (slim[3], wide[3])]
    return (
        *slim,
        *wide,
        *(normal(net) for net in wide),
        *(normal(net) for net in ends),
        *(constant(net, d) for net in ends for d in (2, 4, 6, 8)),
        *high,
        *(reversed_(net) for net in slim),
        *on_mpii,
        *(printed(net) for net in (slim[3], *wide, *high, *on_mpii)),
        *_compared(),
    )


ZOO: dict[str, ModelSpec] = {spec.name: spec for spec in _networks()}


def lookup(name: str) -> ModelSpec:
    """The spec of that name; a KeyError names the nearest names when there is none.

    Example:
        >>> lookup("dpn4_64").digest() == ZOO["dpn4_64"].digest()
        True
    """
    if name in ZOO:
        return ZOO[name]
    near = difflib.get_close_matches(name, ZOO, n=4, cutoff=0.5) or sorted(ZOO)[:4]
    raise KeyError(f"no network named {name!r}; the nearest names are {', '.join(near)} (all: python -m bench list)")
