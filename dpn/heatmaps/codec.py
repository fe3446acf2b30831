"""Which heatmaps there are: how large, how far apart their pixels, of which of the three codecs.

The codecs are described in `dpn.heatmaps`, which encodes and decodes them.
"""

from dataclasses import dataclass

from dpn.protocols import CodecName, Protocol


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How joints become heatmaps and heatmaps joints.

    Attributes:
        name: see `dpn.heatmaps`.
        input_hw: rows and columns of the network's input.
        stride: input pixels for each heatmap pixel.
        sigma: of the targets, in heatmap pixels.

    Raises:
        ValueError: stride or sigma is not positive, the input is no multiple of the stride, or `udp`'s heatmaps have a
            side of one pixel, which has no distance between its outermost ones.

    Example:
        >>> Codec(name="quarter", input_hw=(256, 192), sigma=2).heatmap_hw
        (64, 48)
    """

    name: CodecName
    input_hw: tuple[int, int]
    stride: int = 4
    sigma: float

    def __post_init__(self) -> None:
        if self.stride <= 0 or not self.sigma > 0:
            raise ValueError(f"stride and sigma of a codec are positive, not {self.stride} and {self.sigma}")
        if any(length <= 0 or length % self.stride for length in self.input_hw):
            raise ValueError(f"an input of {self.input_hw} is no multiple of the heatmaps' stride of {self.stride}")
        if self.name == "udp" and min(self.heatmap_hw) < 2:
            raise ValueError(f"udp needs heatmaps of 2 x 2 pixels at least; an input of {self.input_hw} is too small")

    @classmethod
    def of_protocol(cls, protocol: Protocol, input_hw: tuple[int, int], stride: int = 4) -> "Codec":
        """The protocol's codec for this input: targets are as wide in the image at any stride as they are at 4.

        That is a choice of this project where the stride is not 4, such as a sigma of 4 at a stride of 2.

        Example:
            >>> from dpn.protocols import protocol
            >>> [Codec.of_protocol(protocol("dpn", "coco"), (256, 192), stride).sigma for stride in (4, 2)]
            [2.0, 4.0]
        """
        sigma = protocol.sigma_at(input_hw) * 4 / stride
        return cls(name=protocol.codec, input_hw=input_hw, stride=stride, sigma=sigma)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Rows and columns of the heatmaps."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    @property
    def stride_xy(self) -> tuple[float, float]:
        """Crop pixels from the middle of a heatmap pixel to that of its neighbour.

        Example:
            >>> Codec(name="udp", input_hw=(256, 192), sigma=2).stride_xy == (191 / 47, 255 / 63)
            True
        """
        if self.name != "udp":
            return float(self.stride), float(self.stride)
        (height, width), (rows, columns) = self.input_hw, self.heatmap_hw
        return (width - 1) / (columns - 1), (height - 1) / (rows - 1)
