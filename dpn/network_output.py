"""Which of the things that a network returns are the heatmaps to decode."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from dpn.input_size import hw_text


class OutputError(RuntimeError):
    """What a network returns cannot be decoded; the message says why, and what to do where something can be done."""


def final_heatmaps(output: object, joints: int | None, input_hw: tuple[int, int]) -> Tensor:
    """The heatmaps to decode, among what a network returns.

    Of several stages in a list or tuple the last counts (hourglass, CPN's training graph); of something with names,
    a dictionary or named tuple, what is called `heatmaps` (the parsing induced learner).

    Args:
        output: of the network.
        joints: of the data set; None takes as many as there are.
        input_hw: of the images that went in, in pixels.

    Returns:
        (B, joints, h, w).

    Raises:
        OutputError: there are none, as of Mask R-CNN or DeeperCut, or for other joints, as of OpenPose, or they are no
            whole fraction of the input.
    """
    found = output
    while not isinstance(found, Tensor):
        if isinstance(found, Mapping):
            if "heatmaps" not in found:
                names = ", ".join(map(str, found)) or "none"
                raise OutputError(f"the network returns {_kind(found)}: name the entry 'heatmaps'; it has {names}")
            found = found["heatmaps"]
        elif isinstance(found, tuple) and hasattr(found, "_fields"):
            found = getattr(found, "heatmaps", None)
        elif isinstance(found, Sequence) and not isinstance(found, str) and len(found):
            found = found[-1]
        else:
            raise OutputError(f"the network returns {_kind(output)} and no heatmaps (B, {joints or 'joints'}, h, w)")
    if not found.is_floating_point():
        kind = str(found.dtype).removeprefix("torch.")
        raise OutputError(f"the network returns heatmaps of {kind}; return floating-point ones, such as float32")
    if found.ndim != 4:
        shape = tuple(found.shape)
        raise OutputError(f"the network returns {_kind(output)} of {shape}, not (B, {joints or 'joints'}, h, w)")
    if joints is not None and found.shape[1] != joints:
        raise OutputError(
            f"the network has {found.shape[1]} heatmaps and this data {joints} joints; build it for {joints} joints, "
            "or give data with the joints that it was trained for"
        )
    stride_of((found.shape[2], found.shape[3]), input_hw)
    return found


def stride_of(heatmap_hw: tuple[int, int], input_hw: tuple[int, int]) -> int:
    """Input pixels for each heatmap pixel.

    Example:
        >>> stride_of((64, 48), (256, 192))
        4

    Raises:
        OutputError: it is no whole number, or not the same on both axes.
    """
    stride = input_hw[0] // heatmap_hw[0]
    if stride < 1 or (heatmap_hw[0] * stride, heatmap_hw[1] * stride) != tuple(input_hw):
        raise OutputError(
            f"heatmaps of {hw_text(heatmap_hw)} are no whole fraction of an input of {hw_text(input_hw)}; "
            "try another --input"
        )
    return stride


def _kind(output: object) -> str:
    name = type(output).__name__
    return f"an empty {name}" if isinstance(output, Sequence) and not len(output) else f"a {name}"
