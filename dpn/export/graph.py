"""A network as it is deployed: from the pixels of an image to joints, in one graph that exporters can follow."""

# ruff: noqa: N803 - the capitals at the end of a name are its axes

from typing import Literal

import torch
from torch import Tensor, nn

from dpn.data.crops import MEAN, STD
from dpn.heatmaps import Codec
from dpn.heatmaps.peaks import quarter_step
from dpn.network_output import final_heatmaps

Pixels = Literal["uint8", "float"]
"""Of the image that goes in, red first: `uint8` is (B, H, W, 3) from 0 to 255, as images are decoded, and `float` is
(B, 3, H, W) float32 from 0 to 1, as torchvision's ToTensor makes them."""

OUTPUTS = ("coordinates", "scores", "heatmaps")
"""Names of what comes out: (B, K, 2) float32, x and y in pixels of the input; (B, K) float32, the heatmaps' maxima;
(B, K, h, w) float32."""


class Deployed(nn.Module):
    """Normalisation, network and decoding.

    It computes what `dpn.data.samples.to_input`, the network and `dpn.heatmaps.decode` do. Those two cannot be exported
    as they are: one works in place with constants that it keeps for each device, the other searches maxima with numpy.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, net: nn.Module, codec: Codec, joints: int, pixels: Pixels = "uint8", *, bgr: bool = False
    ) -> None:
        """Puts the parts together.

        Args:
            net: takes normalised images, returns heatmaps.
            codec: of the heatmaps; only `quarter`.
            joints: number of heatmaps.
            pixels: see `Pixels`.
            bgr: the network was trained with blue first.

        Raises:
            ValueError: another codec.
        """
        super().__init__()
        if codec.name != "quarter":
            raise ValueError(f"only the quarter codec is exported, not {codec.name}")
        self.net, self.codec, self.joints = net, codec, joints
        self.pixels, self.bgr = pixels, bgr
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images -> coordinates, scores and heatmaps, see `OUTPUTS`."""
        heatmaps = final_heatmaps(self.net(self.normalised(images)), self.joints, self.codec.input_hw).float()
        coordinates, scores = self.decoded(heatmaps)
        return coordinates, scores, heatmaps

    def normalised(self, images: Tensor) -> Tensor:
        """Images -> (B, 3, H, W) float32 as the network takes them, bit for bit as `dpn.data.samples.to_input`."""
        if self.pixels == "uint8":
            images = images.permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255.0
        if self.bgr:
            images = images.flip(1)
        return (images - self.mean) / self.std

    def decoded(self, heatmaps_BKHW: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmaps -> coordinates (B, K, 2) in input pixels and scores (B, K), as `dpn.heatmaps.decode`."""
        columns = self.codec.heatmap_hw[1]
        scores, index = heatmaps_BKHW.flatten(2).max(-1)
        peaks = torch.stack((index % columns, index // columns), -1)
        peaks = torch.where(scores[..., None] > 0, peaks, torch.zeros_like(peaks))
        found = peaks.float() + quarter_step(heatmaps_BKHW, peaks)
        return found * float(self.codec.stride), scores
