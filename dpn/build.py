"""spec -> torch.nn.Module."""

from collections.abc import Callable
from typing import Any

from torch import nn

from dpn.networks.cpn import CPN
from dpn.networks.deepercut import DeeperCut
from dpn.networks.dlcm import DLCM
from dpn.networks.dpn import DPN, DPNLite
from dpn.networks.dpn_on_hrnet import DPNOnHRNet
from dpn.networks.hourglass import StackedHourglass
from dpn.networks.hrnet import HRNet
from dpn.networks.jada import JADA
from dpn.networks.mask_rcnn import MaskRCNN
from dpn.networks.mca import MCA
from dpn.networks.openpose import OpenPose
from dpn.networks.pil import PIL
from dpn.networks.pyranet import PyraNet
from dpn.networks.simple_baseline import SimpleBaseline
from dpn.spec import (
    CPNSpec,
    DeeperCutSpec,
    DLCMSpec,
    DPNLiteSpec,
    DPNOnHRNetSpec,
    DPNSpec,
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
)

_BUILDERS: dict[type[ModelSpec], Callable[[Any], nn.Module]] = {
    DPNSpec: DPN,
    DPNLiteSpec: DPNLite,
    HRNetSpec: HRNet,
    DPNOnHRNetSpec: DPNOnHRNet,
    SimpleBaselineSpec: SimpleBaseline,
    OpenPoseSpec: OpenPose,
    HourglassSpec: StackedHourglass,
    CPNSpec: CPN,
    MaskRCNNSpec: MaskRCNN,
    PyraNetSpec: PyraNet,
    PILSpec: PIL,
    DLCMSpec: DLCM,
    DeeperCutSpec: DeeperCut,
    JADASpec: JADA,
    MCASpec: MCA,
}


def build(spec: ModelSpec) -> nn.Module:
    """The network that the spec describes, freshly initialised, in training mode, on torch's current default device.

    Example:
        >>> import torch
        >>> from dpn.zoo import ZOO
        >>> with torch.device("meta"):  # no memory for weights
        ...     net = build(ZOO["dpn4_64"])
        >>> sum(p.numel() for p in net.parameters())
        3336529

    Raises:
        TypeError: no builder knows this kind of spec.
    """
    if type(spec) not in _BUILDERS:
        known = ", ".join(kind.__name__ for kind in _BUILDERS)
        raise TypeError(f"no builder for a {type(spec).__name__} ({spec!r}); dpn/build.py knows {known}")
    return _BUILDERS[type(spec)](spec)
