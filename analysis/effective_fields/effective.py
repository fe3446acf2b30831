"""Estimates effective receptive fields from gradients: any unit, any maps, all from one backward pass. Needs torch.

The default recipe squares the gradient of a unit's channels under random signs, one draw for each image. Its
expectation is the sum of squares of all derivatives between the unit and a position, in which nothing cancels, so that
in random networks it follows the paths (`analysis.effective_fields.erf_expected`). The other recipes are there for
comparison.

Modules are watched by hooks outside the network, and gradients are taken from hooks on tensors, not kept in them: a
hook tells of the map as it was when its module returned it, also where the next module overwrites it in place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.effective_fields.erf_estimate import Estimate
from analysis.effective_fields.erf_metrics import Place, Shape, Values
from analysis.effective_fields.field_pass import RECIPES, FieldPass, as_it_was
from analysis.effective_fields.image_batches import Images, batches_of, each, like
from analysis.effective_fields.random_weights import drawn
from analysis.effective_fields.untraced_axes import untraced
from analysis.receptive_fields.field_trace import trace
from analysis.receptive_fields.receptive_field import FieldGraph

__all__ = ["RECIPES", "Estimate", "Question", "estimate_random", "estimates", "squared_gradients"]

Done = Callable[[int], None]
"""Told how many images are done since it was last told."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a network.

    Attributes:
        units: row and column of each unit; None is the one in the middle, (H // 2, W // 2).
        of: the map of the units: the dotted path of the module that returns it, at its first call, or "output".
        to: the maps to tell of, by name, "input" among them; None is every named map that leads to the units.
        recipe: a key of `RECIPES`.
        seed: of the random signs.
        batch: images in one pass.
        training: leave every module in the mode that it is in; where statistics of the batch are then part of the
            network, the images of a batch are part of each other's fields.
    """

    units: Sequence[tuple[int, int]] | None = None
    of: str = "output"
    to: Sequence[str] | None = ("input",)
    recipe: str = "squared"
    seed: int = 0
    batch: int = 8
    training: bool = False

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(f"no recipe named {self.recipe!r}, only {', '.join(RECIPES)}")
        if self.units is not None and not self.units:
            raise ValueError("no units; give row and column of each, or None for the one in the middle")
        if self.batch < 1 or self.seed < 0:
            raise ValueError(f"batch {self.batch}, seed {self.seed}: at least one image a pass, and no negative seed")


@dataclass(frozen=True)
class _Found:
    """The answer: maps (units, n, H, W) by name, the units, the size of the images, and the shapes of the maps."""

    maps: Mapping[str, Values]
    units: Sequence[tuple[int, int]]
    image: tuple[int, ...]
    shapes: Mapping[str, Shape]


def squared_gradients(
    net: nn.Module, images: Images, units: Sequence[tuple[int, int]], of: str = "output",
    to: Sequence[str] | None = None, seed: int = 0, *, done: Done | None = None,
) -> dict[str, Values]:  # fmt: skip
    """Squared gradients of units with random signs over their channels, in every map or in those named, image by image.

    Args:
        net: any network on images; it is run in evaluation mode and left as it was.
        images: a batch (n, C, H, W), or images (C, H, W).
        units: row and column of each.
        of: the map of the units, as in `Question`.
        to: the maps to tell of; None is every named map that leads to the units.
        seed: of the signs, which differ from image to image and from unit to unit, however these come in batches.
        done: told how many images are done.

    Returns:
        (units, n, H, W) for each map by name, summed over its channels.

    Raises:
        CountError: the forward pass failed.
        KeyError: no map has that name; names the nearest.
        ValueError: a unit is not on the map, or there are no images.
    """
    return dict(_ask(net, images, Question(units=tuple(units), of=of, to=to, seed=seed), done).maps)


def estimates(net: nn.Module, images: Images, question: Question, *, done: Done | None = None) -> dict[str, Estimate]:
    """The effective receptive fields of one unit in several maps, by name, from one backward pass for each batch.

    Example:
        >>> one = estimates(nn.Conv2d(1, 4, 3, padding=1), torch.ones(2, 1, 5, 7), Question())["input"]
        >>> one.unit, one.n, (one.mean > 0).sum(axis=0).tolist()
        ((2, 3), 2, [0, 0, 3, 3, 3, 0, 0])

    Args:
        net: any network on images, with the weights that it has; it is left as it was.
        images: a batch (n, C, H, W), or anything that yields images (C, H, W).
        question: which unit, in which maps.
        done: told how many images are done.

    Raises:
        CountError: the forward pass failed.
        KeyError: no map has that name; names the nearest.
        ValueError: there is more than one unit, it is not on the map, or there are no images.
    """
    found = _ask(net, images, question, done)
    return _estimates(net, question, found, np.arange(found.image[0]))


def shapes_read(net: nn.Module, images: Tensor, of: str, to: Sequence[str]) -> dict[str, Shape]:
    """Channels, height and width of some maps by name, as they are taken; arguments and errors as in `Question`."""
    with as_it_was(net, training=False):
        forward = FieldPass(like(net, images[:1]), RECIPES["squared"], of, to)
        forward.run(net)
    return {name: forward.shapes[name] for name in (of, *to)}


def estimate_random(
    build: Callable[[], nn.Module], seeds: Sequence[int], images: Images, question: Question | None = None, *,
    weights: str = "calibrated", done: Done | None = None,
) -> dict[str, Estimate]:  # fmt: skip
    """The effective receptive fields over several random initialisations, all images through each of them.

    With several seeds an initialisation counts as one independent draw; with one, the images do, given its weights.

    Args:
        build: makes the network; called with torch's generator seeded.
        seeds: one for each initialisation, of its weights and its signs.
        images: a batch (n, C, H, W), or images (C, H, W), which are kept.
        question: what is asked; its seed is not used.
        weights: a key of `analysis.effective_fields.random_weights.WEIGHTS`.
        done: told how many images are done, each once for every seed.

    Raises:
        KeyError: no map or way to initialise has that name.
        ValueError: there are no seeds or no images, or as in `estimates`.
    """
    question, kept = question or Question(), list(each(images))
    if not seeds or not kept:
        raise ValueError(f"{len(seeds)} seeds and {len(kept)} images; give at least one of each")
    parts: list[_Found] = []
    for seed in seeds:
        net = drawn(build, seed, torch.stack(kept[: question.batch]), weights)
        parts.append(_ask(net, kept, replace(question, seed=seed), done))
    maps = {name: np.concatenate([part.maps[name] for part in parts], axis=1) for name in parts[0].maps}
    clusters = np.repeat(np.arange(len(seeds)), len(kept)) if len(seeds) > 1 else np.arange(len(kept))
    return _estimates(net, question, replace(parts[0], maps=maps), clusters)


def _ask(net: nn.Module, images: Images, question: Question, done: Done | None = None) -> _Found:
    """Runs the batches, and puts their maps together."""
    batches: list[dict[str, Values]] = []
    reached: set[str] = set()
    units = list(question.units or ())
    first, shapes = 0, dict[str, Shape]()
    image: tuple[int, ...] = ()
    with as_it_was(net, training=question.training, seed=question.seed):
        for batch in batches_of(images, question.batch):
            forward = FieldPass(like(net, batch), RECIPES[question.recipe], question.of, question.to)
            forward.run(net)
            shapes = forward.shapes
            units = units or [(forward.of_hw[0] // 2, forward.of_hw[1] // 2)]
            batches.append(forward.fields(units, question.seed, first))
            reached |= forward.reached
            first += len(batch)
            image = (first, *batch.shape[1:])
            if done is not None:
                done(len(batch))
    if not batches:
        raise ValueError("no images to estimate from; give at least one")
    lost = set(question.to or ()) - reached
    if lost:
        raise ValueError(f"{question.of!r} does not depend on {', '.join(sorted(lost))}; name maps that lead to it")
    maps = {name: np.concatenate([one[name] for one in batches], axis=1) for name in batches[0] if name in reached}
    for name, values in maps.items():
        if not np.isfinite(values).all():
            raise ValueError(f"gradients in {name!r} are not finite; check the weights, or initialise the network anew")
    return _Found(maps, units, image, shapes)


def _estimates(net: nn.Module, question: Question, found: _Found, clusters: NDArray[np.int64]) -> dict[str, Estimate]:
    if len(found.units) != 1:
        raise ValueError(f"an estimate is of one unit, not of {len(found.units)}; ask once for each")
    (unit,) = found.units
    graph, of_shape = _graph(net, found.image[1:]), found.shapes[question.of]
    return {
        name: Estimate(
            maps=maps[0],
            unit=unit,
            centre=_centre(graph, question.of, name, unit, of_shape[1:], maps.shape[-2:]),
            of=question.of,
            to=name,
            recipe=question.recipe,
            clusters=clusters,
            of_shape=of_shape,
            to_shape=found.shapes[name],
            untraced=untraced(graph, {of: found.shapes[of] for of in (question.of, name)}),
        )
        for name, maps in found.maps.items()
    }


def _graph(net: nn.Module, image: tuple[int, ...]) -> FieldGraph | None:
    """The network's wiring, where it can be traced."""
    try:
        return trace(net, (1, *image))
    except (ValueError, RuntimeError):
        return None


def _centre(
    graph: FieldGraph | None, of: str, to: str, unit: tuple[int, int], of_hw: tuple[int, int], to_hw: tuple[int, ...]
) -> Place:
    """Where a unit lies in another map: on the grid of its map's units, or by both sizes where that cannot be told."""
    try:
        if graph is not None:
            extent = graph.extent(of, to)
            y, x = (float(c + jump * at) for c, jump, at in zip(extent.place_hw, extent.jump_hw, unit, strict=True))
            return y, x
    except (KeyError, ValueError):
        pass
    y, x = ((at + 0.5) * there / here - 0.5 for at, here, there in zip(unit, of_hw, to_hw, strict=True))
    return y, x
