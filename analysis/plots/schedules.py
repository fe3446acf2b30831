"""The schedules of dilations that figures show: their dilations, their names, and which of them a DPN has."""

from collections.abc import Mapping

from dpn import dilation
from dpn.spec import DPNSpec

TAPESTRIES: Mapping[str, tuple[int, ...]] = {
    "dpm": dilation.pyramid(),
    "reversed": dilation.reversed_pyramid(),
    "constant": dilation.constant(8),
    "normal": dilation.normal(),
}
"""Dilations of the tapestry's panels, by key of `style.SCHEDULES`."""

NAMES: Mapping[str, str] = {"dpm": "DPM", "reversed": "reversed", "constant": "constant", "normal": "normal"}
"""Of `TAPESTRIES` in the figures."""


def schedule_of(spec: DPNSpec) -> str:
    """The key of `style.SCHEDULES` by which a DPN is drawn: all dilations at high resolution share one."""
    if spec.conv2_stride == 1:
        return "highres"
    names = {dilation.pyramid(): "dpm", dilation.reversed_pyramid(): "reversed", dilation.normal(): "normal"}
    return names.get(spec.dilations, "constant")
