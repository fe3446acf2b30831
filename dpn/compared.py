"""The networks that Tables VI and VII compare with: one function each, and where they are listed. Imports no torch."""

from typing import Literal, TypeVar

from dpn.spec import (
    CPNSpec,
    DeeperCutSpec,
    DLCMSpec,
    DPNOnHRNetSpec,
    HourglassSpec,
    HRNetSpec,
    JADASpec,
    MaskRCNNSpec,
    MCASpec,
    ModelSpec,
    OpenPoseSpec,
    PILSpec,
    PyraNetSpec,
    SimpleBaselineSpec,
    replace,
)

Spec = TypeVar("Spec", bound=ModelSpec)

MPII_HW = (256, 256)


def mpii(base: Spec, paper: str = "") -> Spec:
    """Input 256x256 and 16 joints (Table VII): DPN4_32 costs 1.4 and DPN4_64 4.0 "GFLOPs", SBL-152 20.9.

    Measured: 1.409 and 4.003 Gi MACs; SBL-152 has 15.769, and prints 21.0 as its authors count.
    """
    return replace(base, name=f"{base.name}_mpii", paper=paper, input_hw=MPII_HW, joints=16)


def large(base: Spec) -> Spec:
    """Input 384x288, the larger of the two sizes that SBL and HRNet are published for; not in this paper."""
    return replace(base, name=f"{base.name}_384x288", paper="", input_hw=(384, 288))


# --- Table VI ----------------------------------------------------------------------------------------------------


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


# --- Table VII ---------------------------------------------------------------------------------------------------


def deepercut_r101() -> DeeperCutSpec:
    """DeeperCut as it was costed (Table VII): 42.6 M parameters and 41.2 "GFLOPs"; 14 joints, output stride 8.

    Measured: 42,586,218 parameters and 41.257 Gi MACs, printed with its digits cut off.
    """
    return DeeperCutSpec(name="deepercut_r101", paper="Table VII, Deepercut", input_hw=MPII_HW, joints=14)


def deepercut_r101_released() -> DeeperCutSpec:
    """DeeperCut as released, of stride 16 with transposed heads: 43,403,384 parameters and 12.093 Gi MACs."""
    return replace(deepercut_r101(), name="deepercut_r101_released", paper="", output_stride=16, transposed_heads=True)


def mca() -> MCASpec:
    """Multi-context attention (Table VII): 58 M parameters and 128 GFLOPs, two operations a multiply-add.

    Measured: 58,312,088 parameters and 63,863,619,584 MACs.
    """
    return MCASpec(name="mca", paper="Table VII, MCA", input_hw=MPII_HW, joints=16)


def jada() -> JADASpec:
    """The pose network of JADA (Table VII): 26.0 M parameters and 55.0 GFLOPs, two operations a multiply-add.

    Measured: 25,434,496 parameters and 27,440,185,344 MACs.
    """
    return JADASpec(name="jada", paper="Table VII, JADA", input_hw=MPII_HW, joints=16)


def jada_training() -> JADASpec:
    """JADA with the agent that chooses its augmentation, which only training needs."""
    return replace(jada(), name="jada_training", paper="", agent=True)


def pyranet() -> PyraNetSpec:
    """LFP, the pyramid residual network (Table VII): 28.0 M parameters and 46.0 GFLOPs, two operations a multiply-add.

    Measured: 28,131,832 parameters and 22,829,322,956 MACs.
    """
    return PyraNetSpec(name="pyranet", paper="Table VII, LFP", input_hw=MPII_HW, joints=16)


def dlcm() -> DLCMSpec:
    """The deeply learned compositional model (Table VII): 15.5 M parameters and 15.6 "GFLOPs".

    Reconstructed: its internals were chosen so that both come near; see `dpn/networks/dlcm.py`.
    """
    return DLCMSpec(name="dlcm", paper="Table VII, Deeply", input_hw=MPII_HW, joints=16)


def pil() -> PILSpec:
    """The parsing induced learner (Table VII): 26.0 M parameters and 63.0 GFLOPs, two operations a multiply-add.

    Measured: 26,424,988 parameters and 31,289,442,304 MACs, with the released 17 outputs.
    """
    return PILSpec(name="pil", paper="Table VII, PIL", input_hw=MPII_HW, joints=17)


def compared() -> tuple[ModelSpec, ...]:
    """All of them, at every input size that their authors published or the paper compares at."""
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
        deepercut_r101(),
        deepercut_r101_released(),
        mca(),
        jada(),
        jada_training(),
        pyranet(),
        dlcm(),
        pil(),
    )
