"""JADA: a stacked hourglass, and the agent that chooses its augmentation in training (Peng et al., CVPR 2018)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn

from dpn.networks.hourglass import LEVELS, Hourglass, StackedHourglass
from dpn.spec import HourglassSpec, JADASpec

CHANNELS = 256
SCALES = tuple(round(-0.6 + 0.2 * i, 1) for i in range(7))
"""Centres of the bins of the scale, as the exponent of two by which the crop grows."""
ROTATIONS_DEG = tuple(range(-60, 61, 20))
"""Centres of the bins of the rotation."""


class AugmentedPose(NamedTuple):
    """What the network with its agent gives.

    Attributes:
        heatmaps: as without agent: in training every stack's, in evaluation the last, (B, J, H/4, W/4) each; trained
            with the mean squared error.
        scales: (B, 7), logits of the distribution over `SCALES`; trained towards the distribution under which the
            network fails, by the Kullback-Leibler divergence.
        rotations: (B, 7), likewise over `ROTATIONS_DEG`.
    """

    heatmaps: Tensor | list[Tensor]
    scales: Tensor
    rotations: Tensor


class PostActivationResidual(nn.Module):
    """A bottleneck whose batch norm and ReLU follow each convolution, the last pair behind the sum with the shortcut.

    Convolutions (1x1, 3x3, 1x1) have biases. The shortcut is the identity, or a plain 1x1 convolution, `adapter`, where
    the number of channels changes. Takes (B, in_channels, H, W), returns (B, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels // 2
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.adapter = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        shortcut = x if self.adapter is None else self.adapter(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y) + shortcut))  # type: ignore[no-any-return]


class AugmentationAgent(nn.Module):
    """From the maps of an hourglass to distributions over scales and rotations of the image.

    Each map passes a residual; from the finest on, what was seen so far is halved, added to the next map and passes
    another; three more follow at the coarsest, then the mean over the map and a linear layer for each distribution.
    """

    def __init__(self) -> None:
        super().__init__()

        def residuals(count: int) -> list[nn.Module]:
            return [PostActivationResidual(CHANNELS, CHANNELS) for _ in range(count)]

        self.maps = nn.ModuleList(residuals(LEVELS + 1))
        self.merges = nn.ModuleList(residuals(LEVELS))
        self.deep = nn.Sequential(*residuals(3))
        self.pool = nn.MaxPool2d(2)
        self.scales = nn.Linear(CHANNELS, len(SCALES))
        self.rotations = nn.Linear(CHANNELS, len(ROTATIONS_DEG))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps (B, 256, h, w), .., (B, 256, h/16, w/16), finest first -> logits of scales and of rotations, (B, 7)."""
        x, *coarser = (residual(map_) for residual, map_ in zip(self.maps, maps, strict=True))
        for map_, merge in zip(coarser, self.merges, strict=True):
            x = merge(self.pool(x) + map_)
        x = self.deep(x).mean((2, 3))
        return self.scales(x), self.rotations(x)


class JADA(StackedHourglass):
    """The standard stacked hourglass of post-activation residuals; joint adversarial augmentation is in its training.

    With `spec.agent` the augmentation agent runs too, in either mode, on what the first hourglass passes beside its
    halvings and at its bottom. No gradient flows back from it into the pose network: they play against each other.

    Structure and start are those of the released code (zhiqiangdon/pose-adv-aug, models/asn_stacked_hg.py), whose
    scripts have two stacks; that the published cost is of eight follows from its value. It takes the bins as passed in
    by the release's data/joint_train_s_r_agent.py, which was not read. Names are this project's hourglass's.
    Convolutions start uniform within 1 / sqrt(fan in), scales of batch norms uniform between 0 and 1.
    """

    def __init__(self, spec: JADASpec) -> None:
        pose = HourglassSpec(
            name=spec.name, input_hw=spec.input_hw, joints=spec.joints, stacks=spec.stacks, channels=CHANNELS
        )
        super().__init__(pose, residual=PostActivationResidual)
        self.agent = AugmentationAgent() if spec.agent else None
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.is_meta:  # drawing there takes seconds
                nn.init.uniform_(module.weight)

    def forward(self, x: Tensor) -> Tensor | list[Tensor] | AugmentedPose:  # type: ignore[override]  # with an agent
        """Images (B, 3, H, W) -> heatmaps (B, J, H/4, W/4), in training all stacks'; with agent `AugmentedPose`."""
        if self.agent is None:
            return super().forward(x)
        with _maps_of(self.get_submodule("hgs.0.0")) as maps:
            heatmaps = super().forward(x)
        return AugmentedPose(heatmaps, *self.agent([maps[place].detach() for place in sorted(maps)]))


@contextmanager
def _maps_of(hourglass: nn.Module) -> Iterator[dict[int, Tensor]]:
    """Collects, while it runs, what an hourglass passes beside its halvings, finest first, and its bottom's map."""
    blocks = []
    while isinstance(hourglass, Hourglass):
        blocks.append(hourglass.up1)
        hourglass = hourglass.low2
    maps: dict[int, Tensor] = {}

    def keep(place: int) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        return lambda _block, _inputs, map_: maps.update({place: map_})

    hooks = [block.register_forward_hook(keep(place)) for place, block in enumerate((*blocks, hourglass))]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()
