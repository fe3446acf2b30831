"""A minute of doubt before hours of training: the data, one batch learnt by heart, perfect heatmaps scored."""

import copy
from typing import Any

import torch

from dpn.data.samples import TrainingSamples, to_input
from dpn.data.subset import first_people
from dpn.heatmaps import encode
from dpn.oracle import oracle
from dpn.training.errors import TrainingError
from dpn.training.order import spread
from dpn.training.prepare import Prepared
from dpn.training.recipe import Recipe
from dpn.training.task import stages_loss

PEOPLE = 8
"""That are looked at, and learnt by heart."""

OVERFIT_STEPS = 100
OVERFIT_TO = 0.9
"""The loss on one batch falls to this share of its first value within those steps, for the networks of the zoo after
some ten or thirty; it does not where weights are frozen, units are dead or targets are empty."""

ORACLE_PEOPLE = 64


def check(prepared: Prepared, recipe: Recipe, device: str) -> None:
    """Makes samples, overfits one batch with a copy of the network, and scores perfect heatmaps.

    Raises:
        DataError: a sample cannot be made.
        TrainingError: nothing is visible, the loss does not fall, or perfect heatmaps are not found.
    """
    samples = TrainingSamples(prepared.examples, prepared.protocol, prepared.input_hw, recipe.seed)
    batch = [samples[number] for number in spread(len(samples), PEOPLE)]
    crops, joints, visible = (torch.stack([sample[name] for sample in batch]) for name in ("crop", "joints", "visible"))
    if not bool(visible.any()):
        raise TrainingError(f"none of {len(batch)} samples of {recipe.data} shows a joint; python -m dpn data show")
    first, last = _overfit(prepared, crops.to(device), joints.to(device), visible.to(device))
    if not last < OVERFIT_TO * first:
        raise TrainingError(
            f"the loss on {len(batch)} people went from {first:.2e} to {last:.2e} in {OVERFIT_STEPS} steps: the "
            "network learns nothing from its own targets; python -m dpn data show draws them (--no-sanity trains all "
            "the same)"
        )
    data = first_people(prepared.data, ORACLE_PEOPLE)
    verdict = oracle(data, prepared.protocol, prepared.input_hw, prepared.codec.stride)
    if verdict.n_joints > verdict.n_outside and verdict.mean_error_px > 2 * prepared.codec.stride:
        raise TrainingError(
            f"perfect heatmaps are decoded {verdict.mean_error_px:.1f} px beside the true joints of {data.name}; "
            "python -m dpn oracle shows more"
        )


def idle(prepared: Prepared) -> list[str]:
    """Names of parameters that the loss does not reach, such as those of a shortcut that is not taken; on a CPU.

    Several processes wait for the gradients of all parameters but those. The network's copy alone is touched.
    """
    net, joints = copy.deepcopy(prepared.net).train(), len(prepared.data.skeleton.joints)
    targets, weights = torch.zeros(2, joints, *prepared.codec.heatmap_hw), torch.ones(2, joints)
    loss = stages_loss(net(torch.zeros(2, 3, *prepared.input_hw)), targets, weights, prepared.input_hw)
    reached = _leaves(loss)
    return [name for name, weight in net.named_parameters() if weight.requires_grad and weight not in reached]


def _leaves(loss: torch.Tensor) -> set[torch.Tensor]:
    """All tensors that a gradient of the loss would reach; compared by identity."""
    nodes: set[Any] = {loss.grad_fn}
    leaves: set[torch.Tensor] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        if hasattr(node, "variable"):
            leaves.add(node.variable)
        new = {after for after, _ in getattr(node, "next_functions", ())} - nodes
        nodes |= new  # kept, for others are made in the place of those that nobody holds
        left += new
    return leaves


def _overfit(
    prepared: Prepared, crops: torch.Tensor, joints: torch.Tensor, visible: torch.Tensor
) -> tuple[float, float]:
    """The loss on one batch before and after steps that end when it is low; the network's copy alone is touched."""
    net = copy.deepcopy(prepared.net).to(crops.device).train()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    images = to_input(crops)
    targets, weights = encode(joints, visible, prepared.codec)
    losses = []
    for _ in range(OVERFIT_STEPS + 1):
        loss = stages_loss(net(images), targets, weights, (images.shape[2], images.shape[3]))
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        losses.append(float(loss.detach()))
        if losses[-1] < OVERFIT_TO * losses[0]:
            break
    return losses[0], losses[-1]
