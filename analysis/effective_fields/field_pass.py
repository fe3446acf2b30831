"""One forward pass that is watched from outside, and backward passes that tell what each map gives to a unit."""

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis.effective_fields.erf_metrics import Shape, Values
from analysis.receptive_fields.field_output import by_preference
from bench.counts.macs import CountError
from bench.counts.watching import evaluation_in_parts, inside_modules
from bench.running.torch_networks import flatten
from dpn.program.error_words import in_words


@dataclass(frozen=True)
class Recipe:
    """How the gradient of a unit becomes a field.

    Attributes:
        cotangent: from the unit's channels and random signs, both (B, C), to the weight of each channel.
        contribution: from the gradient in a map (B, C, H, W), in double precision, to what its elements count.
    """

    cotangent: Callable[[Tensor, Tensor], Tensor]
    contribution: Callable[[Tensor], Tensor]


RECIPES: dict[str, Recipe] = {
    "squared": Recipe(lambda _, signs: signs, lambda gradient: gradient.square()),
    "absolute": Recipe(lambda values, _: torch.ones_like(values), lambda gradient: gradient.abs()),
    "replknet": Recipe(lambda values, _: (values > 0).to(values), lambda gradient: gradient.relu()),
}
"""How gradients become a field, by name.

`squared` is described above. `absolute` takes the absolute gradient of the sum of the unit's channels. `replknet` is
what Ding et al. (CVPR 2022) published: the sum of the unit's positive channels, and of its gradient what is positive.
All sum over the channels of the map in the end.
"""


class _ReachedError(Exception):
    """Ends a forward pass where the units' map has been made."""


class FieldPass:
    """A forward pass of a batch of images up to the map of some units.

    Attributes:
        shapes: channels, height and width of every named map, which is read as (B, C, H, W), whatever its axes mean.
        reached: names of the maps that any backward pass came to.
    """

    def __init__(self, images: Tensor, recipe: Recipe, of: str, to: Sequence[str] | None) -> None:
        self.image = images.detach().requires_grad_()
        self.recipe, self.of, self.to = recipe, of, to
        self.target: Tensor | None = None
        self.shapes: dict[str, Shape] = {}
        self.names: dict[str, tuple[int, int] | None] = {}  # the key of a watched map, None for one that is not
        self.watched: dict[tuple[int, int], Tensor] = {}  # by identity and version, which a tensor that lives keeps
        self.fields_here: dict[tuple[int, int], Values] = {}
        self.reached: set[str] = set()

    def run(self, net: nn.Module) -> None:
        """Runs the network; the maps that are wanted are watched from here on.

        Raises:
            CountError: the forward pass failed.
            KeyError: no map has a name that is asked for; names the nearest.
            ValueError: the units' map does not depend on the image, or a map that is asked for was overwritten.
        """
        self._note("input", self.image)
        with inside_modules(net) as where, torch.enable_grad():
            where.returned = self._returned
            try:
                if self.target is None:
                    forward(net, self.image.clone())  # a network may write into its input
            except _ReachedError:
                pass
        for name in (self.of, *(self.to or ())):
            if name not in self.names:
                raise KeyError(self._lacks(name, net))
        if self.target is None or not self.target.requires_grad:
            raise ValueError(f"map {self.of!r} does not depend on the image in a way that has a gradient")
        self._drop_overwritten()

    def _lacks(self, name: str, net: nn.Module) -> str:
        """What to say of a name that no map has."""
        known = list(self.names)
        if name == self.of and name in ("output", *(path for path, _ in net.named_modules())):
            others = ", ".join([one for one in known if one not in ("input", "output")][-4:])
            who = "the network returns" if name == "output" else f"{name!r} was not called, or returns"
            remedy = f"take the unit of a module that does, such as {others}" if others else "nor does any module"
            return f"{who} no map (B, C, H, W); {remedy}"
        near = difflib.get_close_matches(name, known, n=4, cutoff=0.3) or known[:4]
        before = "" if name == self.of else f" before {self.of!r}"
        return f"no map named {name!r}{before}; the nearest are {', '.join(near)}"

    @property
    def of_hw(self) -> tuple[int, int]:
        """Height and width of the units' map."""
        return self.shapes[self.of][1:]

    def fields(self, units: Sequence[tuple[int, int]], seed: int, first: int) -> dict[str, Values]:
        """The fields (units, B, H, W) of some units in the maps by name; zeros where no gradient came.

        Args:
            units: row and column of each.
            seed: of the random signs.
            first: number of the batch's first image among all, which decides its signs.
        """
        for unit in units:
            if not all(0 <= at < size for at, size in zip(unit, self.of_hw, strict=True)):
                hw = "x".join(map(str, self.of_hw))
                raise ValueError(f"unit {tuple(unit)} is not on the map {self.of!r}, which is {hw}")
        batch = len(self.image)
        found = {
            name: np.zeros((len(units), batch, *self.watched[key].shape[2:]))
            for name, key in self.names.items() if key is not None and key in self.watched
        }  # fmt: skip
        for number, unit in enumerate(units):
            signs = np.stack([_signs(seed, first + image, unit, self.shapes[self.of][0]) for image in range(batch)])
            self._backward(unit, torch.from_numpy(signs), keep=number < len(units) - 1)
            for name, fields in found.items():
                key = self.names[name]
                if key is not None and key in self.fields_here:
                    fields[number] = self.fields_here[key]
                    self.reached.add(name)
        return found

    def _backward(self, unit: tuple[int, int], signs: Tensor, *, keep: bool) -> None:
        assert self.target is not None, "run the pass first"
        self.fields_here.clear()
        values = self.target[:, :, unit[0], unit[1]]
        weights = self.recipe.cotangent(values.detach(), signs.to(values))
        torch.autograd.grad(values, self.image, weights, retain_graph=keep)

    def _returned(self, path: str, output: Any) -> None:
        """Told what a module returns; of several maps the last is its map, of the network's own the preferred."""
        listed = reversed(flatten(output)) if path else by_preference(output)
        found = next((one for one in listed if one.dim() == 4 and len(one) == len(self.image)), None)
        if found is not None and path not in ("input", "output"):  # the network's own bear these names
            self._note(path or "output", found)
            if self.target is not None:
                raise _ReachedError

    def _note(self, name: str, tensor: Tensor) -> None:
        if name in self.names:
            return  # a module that is called again
        _, channels, height, width = map(int, tensor.shape)
        self.shapes[name] = channels, height, width
        wanted = (self.to is None or name in self.to) and tensor.requires_grad
        key = self.names[name] = (id(tensor), tensor._version) if wanted else None
        if key is not None and key not in self.watched:
            self.watched[key] = tensor
            tensor.register_hook(partial(self._take, key))  # type: ignore[no-untyped-call]  # torch has it without
        if name == self.of:
            self.target = tensor

    def _take(self, key: tuple[int, int], gradient: Tensor) -> None:
        """Told the gradient in a map."""
        # In double precision before squaring: gradients of 1e-20 are ordinary in deep untrained networks.
        field = self.recipe.contribution(gradient.detach().double()).sum(dim=1)
        self.fields_here[key] = field.cpu().numpy()

    def _drop_overwritten(self) -> None:
        """Forgets views that were written into: torch then gives them another history, without the hook."""
        for key, tensor in list(self.watched.items()):
            if tensor._is_view() and tensor._version != key[1]:
                names = [name for name, other in self.names.items() if other == key]
                if asked := [name for name in names if name in (self.to or ())]:
                    raise ValueError(f"map {asked[0]!r} is a view that is overwritten later; name the map before it")
                del self.watched[key]


def forward(net: nn.Module, images: Tensor) -> Any:
    """What the network returns; it is anybody's: it may fail in any way, or leave, and what it prints is no answer.

    Raises:
        CountError: it failed, whatever the way.
    """
    try:
        with redirect_stdout(sys.stderr):
            return net(images)
    except _ReachedError:
        raise
    except (Exception, SystemExit) as error:
        shape = "x".join(map(str, images.shape))
        raise CountError(
            f"{type(net).__name__} failed: {in_words(error)}; it must run on images {shape} as its one input"
        ) from error


@contextmanager
def as_it_was(net: nn.Module, *, training: bool, seed: int = 0) -> Iterator[None]:
    """Evaluation mode unless asked otherwise, and no gradients of parameters; then the network as it was.

    Args:
        net: the network.
        training: leave every module in its mode; running statistics are put back, dropout follows the seed.
        seed: of dropout.
    """
    needing = [parameter for parameter in net.parameters() if parameter.requires_grad]
    with ExitStack() as stack:
        if training:
            buffers = [(buffer, buffer.clone()) for buffer in net.buffers()]
            stack.callback(lambda: [buffer.copy_(was) for buffer, was in buffers])
            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(seed)
        else:
            stack.enter_context(evaluation_in_parts(net))
        stack.callback(lambda: [parameter.requires_grad_(True) for parameter in needing])
        for parameter in needing:
            parameter.requires_grad_(False)
        yield


def _signs(seed: int, image: int, unit: tuple[int, int], channels: int) -> Values:
    """(channels,) of 1 and -1, for one image and one unit, however these come in batches."""
    draw = np.random.default_rng((seed, image, *map(int, unit)))
    return np.asarray(2 * draw.integers(0, 2, channels) - 1, dtype=np.float64)
