"""What one training step does: targets, forward pass, loss; the position in the run decides all else."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn as ema

from dpn.checkpoints import compare
from dpn.data.samples import to_input
from dpn.half_precision import TYPES, arithmetic
from dpn.heatmaps import Codec, encode, joints_mse
from dpn.network_output import OutputError, final_heatmaps
from dpn.training.errors import TrainingError
from dpn.training.recipe import Recipe
from dpn.training.state import State
from dpn.training.stream import Batches

REMEDY = (
    "the last checkpoint is from before that: lower --lr, take --precision fp32, or look at the data with "
    "python -m dpn data check"
)


class PoseTask(lightning.LightningModule):
    """A network in training.

    Attributes:
        net: the network.
        average: its moving average, or None.
        step: steps done in the whole run, those before it was continued among them.
        batches: the batches of the process of a rank, from the next step on.
        waited_s: time that the process waited for the data of its steps, since it was last set to 0; a GPU may still
            have been at work on the step before.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, codec: Codec, per_epoch: int, start: State | None) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last) if recipe.channels_last else net  # type: ignore[call-overload]
        self.average: AveragedModel | None = None
        if recipe.ema:
            self.average = AveragedModel(net, multi_avg_fn=ema(recipe.ema), use_buffers=True)  # type: ignore[no-untyped-call]
            self.average.requires_grad_(False)  # several processes exchange the gradients of all that has some
        self.step = start.step if start else 0
        self.batches: Callable[[int], Batches] | None = None
        self.waited_s = 0.0
        self._recipe, self._codec, self._per_epoch = recipe, codec, per_epoch
        self._start = start
        self._half = TYPES.get(recipe.precision)
        self._compiled = torch.compile(net) if recipe.compile else None
        self._ended = time.perf_counter()
        if start:
            _load(net, start, recipe)
            if self.average is not None and start.average is not None:
                self.average.load_state_dict(start.average)

    @property
    def epoch(self) -> int:
        """The epoch of the next step, counted from 0."""
        return self.step // self._per_epoch

    @property
    def validated(self) -> nn.Module:
        """The network that is meant to be used: the average where there is one."""
        return self.net if self.average is None else self.average.module

    def train_dataloader(self) -> Batches:
        """The batches of this process; asked for when it knows its rank."""
        assert self.batches is not None
        return self.batches(self.global_rank)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam as the publications have it, with the state of the run that is continued."""
        recipe = self._recipe
        adam = torch.optim.Adam(self.net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        if self._start:
            adam.load_state_dict(dict(self._start.optimizer))
            self._start = None  # its tensors are in the optimiser now
        return adam

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Sets what the step's position decides: the learning rate, and the seed of whatever is random in a layer."""
        self.waited_s += time.perf_counter() - self._ended
        optimizer = self.optimizers()
        for group in optimizer.param_groups:  # type: ignore[union-attr]
            group["lr"] = self._recipe.learning_rate(self.epoch)
        torch.manual_seed(layer_seed(self._recipe.seed, self.step, self.global_rank))

    def training_step(self, batch: Mapping[str, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss of a batch; of every stage's heatmaps, for a network that has several."""
        net = self.net if self._compiled is None else self._compiled  # whose truth is its length
        images = to_input(batch["crop"], channels_last=self._recipe.channels_last)
        targets, weights = encode(batch["joints"], batch["visible"], self._codec)
        with arithmetic(self.device.type, self._half):
            outputs = net(images)
        return stages_loss(outputs, targets, weights, (images.shape[2], images.shape[3]))

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """The gradients of a batch."""
        with arithmetic(self.device.type, self._half):
            super().backward(loss, *args, **kwargs)

    def ended(self) -> None:
        """Counts a step and averages the weights."""
        self.step += 1
        if self.average is not None:
            self.average.update_parameters(self.net)

    def check_loss(self, loss: float) -> None:
        """Raises TrainingError where the loss of the step that has ended is not finite."""
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} at step {self.step}; {REMEDY}")

    def check_weights(self) -> None:
        """Raises TrainingError where weights are not finite, which they can be after a loss that is.

        Weights are the same in all processes, and so is what this finds.
        """
        if not self.has_finite_weights():
            raise TrainingError(f"weights are no numbers any more after step {self.step}; {REMEDY}")

    def has_finite_weights(self) -> bool:
        """Whether all weights are finite; on a GPU this waits for the step to end."""
        return bool(torch.stack([torch.isfinite(weight).all() for weight in self.net.parameters()]).all())

    def state(self, **fields: Any) -> State:
        """The state of the run after this step; `fields` are what the network and the average do not tell."""
        average = None if self.average is None else on_cpu(self.average.state_dict())
        return State(step=self.step, weights=on_cpu(self.net.state_dict()), average=average, **fields)

    def rest(self) -> None:
        """The time since the last step was spent on something else than waiting for data."""
        self._ended = time.perf_counter()


def layer_seed(seed: int, step: int, rank: int) -> int:
    """The seed of whatever is random in a layer, for a run's seed, a step and a process; below 2^63, as torch needs it.

    Example:
        >>> layer_seed(2, 5, 1), layer_seed(2**63 - 1, 0, 0) < 2**63
        (2018011100, True)
    """
    return ((seed * 1_000_003 + step) * 1_009 + rank) % 2**63


def stages_loss(output: object, targets: Tensor, weights: Tensor, input_hw: tuple[int, int]) -> Tensor:
    """The loss of all stages of a network together, a scalar.

    Args:
        output: what the network returns in training, see `every_stage`.
        targets: (B, joints, h, w).
        weights: (B, joints).
        input_hw: of the images that went in, in pixels.
    """
    stages = every_stage(output, targets.shape[1], input_hw)
    return torch.stack([joints_mse(stage.float(), targets, weights) for stage in stages]).sum()


def every_stage(output: object, joints: int, input_hw: tuple[int, int]) -> list[Tensor]:
    """The heatmaps of each stage that a network returns in training, all of them (B, joints, h, w).

    They are what its lists and tuples hold, those within others too, of the final heatmaps' shape; of something with
    names, the final ones alone. One loss serves all of them: CPN's online hard keypoint mining and smaller targets are
    not in it, nor are DLCM's parts.

    Raises:
        OutputError: there are none, or for other joints.
    """
    final = final_heatmaps(output, joints, input_hw)
    stages = []
    for part in _parts(output):
        with suppress(OutputError):
            stages.append(final_heatmaps(part, joints, input_hw))
    return [stage for stage in stages if stage.shape == final.shape]


def _parts(output: object) -> Iterator[object]:
    """What is in a list or tuple, and in those within it; something with names is one part."""
    if isinstance(output, list | tuple) and not hasattr(output, "_fields"):
        for part in output:
            yield from _parts(part)
    else:
        yield output


def _load(net: nn.Module, start: State, recipe: Recipe) -> None:
    """Raises TrainingError where the network is not the one any more whose weights were saved."""
    comparison = compare(net, start.weights)
    if not comparison.fits:
        raise TrainingError(
            f"the state at step {start.step} does not fit {recipe.network}: {comparison.summary()}; bring back the "
            "network that the run was begun with, or give another --folder to start afresh"
        )
    net.load_state_dict(start.weights)


def on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict on the CPU and in the default memory format, as it is kept in files."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
