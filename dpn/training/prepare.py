"""What a run consists of before its first step: the network with the seed's weights, and the data."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from dpn.data.augment import NONE
from dpn.data.opening import Asked, LabelledPeople, open_data, open_examples
from dpn.data.people import DataSet, Examples
from dpn.data.subset import first_people
from dpn.evaluation_mode import evaluation_mode
from dpn.heatmaps import Codec
from dpn.inference import called, codec_of
from dpn.input_size import hw_text
from dpn.network_names import built, definition_of
from dpn.network_output import final_heatmaps
from dpn.program.cli import note
from dpn.protocols import Protocol, protocol
from dpn.spec import ModelSpec
from dpn.training.processes import rank
from dpn.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a run consists of before its first step.

    Attributes:
        net: the network, with the weights of the recipe's seed.
        spec: its definition, for a network of the zoo.
        definition: what stands for it, see `definition_of`.
        examples: the people to learn from.
        data: those to validate on.
        protocol: boxes, augmentation, decoding and scoring.
        input_hw: height and width of the input in pixels.
        codec: of the targets.
    """

    net: nn.Module
    spec: ModelSpec | None
    definition: str
    examples: Examples
    data: DataSet
    protocol: Protocol
    input_hw: tuple[int, int]
    codec: Codec


def prepare(recipe: Recipe) -> Prepared:
    """Builds the network with the seed's weights and opens the data.

    Raises:
        KeyError: no such network in the zoo, or no such protocol.
        NetworkError: the network's factory cannot be imported or called.
        DataError: the data cannot be used.
        ValueError: the data is of another kind than the recipe, or has other joints than the network; or it is the same
            to learn from and to validate on, and nobody asked for that; or the input is of another size than the zoo's.
        OutputError: the network fails, or gives no heatmaps of these joints.
    """
    torch.manual_seed(recipe.seed)
    net, spec = built(recipe.network)
    definition = definition_of(net, spec)
    input_hw = spec.input_hw if spec else recipe.input_hw
    if recipe.input and recipe.input_hw != input_hw:
        raise ValueError(f"{recipe.network} of the zoo is trained at {hw_text(input_hw)}, not {recipe.input}; leave "
                         "out --input, which is for a network of your own")  # fmt: skip
    rules = protocol(recipe.protocol, recipe.kind)
    if not recipe.augment:
        rules = replace(rules, augmentation=NONE)
    asked = Asked(data=recipe.data, split=recipe.split, protocol=recipe.protocol, input_hw=input_hw)
    examples = open_examples(asked)
    data = open_data(replace(asked, data=recipe.val_data or recipe.data, split="val"))
    _check_others(recipe, examples, data)
    if recipe.val_people:
        data = first_people(data, recipe.val_people)
    if data.kind != recipe.kind:
        raise ValueError(f"recipe {recipe.name} is for {recipe.kind} data and {data.name} is {data.kind}; see --data")
    joints = len(data.skeleton.joints)
    if spec and spec.joints != joints:
        raise ValueError(f"{spec.name} has {spec.joints} heatmaps and {data.name} {joints} joints; take another recipe")
    codec = _codec(net, rules, input_hw, joints)
    return Prepared(
        net=net, spec=spec, definition=definition, examples=examples, data=data, protocol=rules, input_hw=input_hw,
        codec=codec,
    )  # fmt: skip


def _check_others(recipe: Recipe, examples: Examples, data: DataSet) -> None:
    """Raises ValueError where a network would be validated on what it learns from; a note where `val_data` says so."""
    if not isinstance(examples, LabelledPeople) or examples.data.digest != data.digest:
        return
    said = f"{data.name} is both learnt from and validated on, so that scores say nothing about other people"
    if not recipe.val_data:
        raise ValueError(f"{said}; give others with --val-data or --split, or --val-data {recipe.data} to learn it by "
                         "heart on purpose")  # fmt: skip
    if not rank():
        note(said)


def _codec(net: nn.Module, rules: Protocol, input_hw: tuple[int, int], joints: int) -> Codec:
    """The targets of this network, at the resolution of its heatmaps."""
    with evaluation_mode(net), torch.no_grad():
        output = called(net, torch.zeros(1, 3, *input_hw))
    return codec_of(final_heatmaps(output, joints, input_hw), rules, input_hw)
