"""The verb `data show` of `python -m dpn`: a contact sheet of training samples. Imports no torch until it draws."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from dpn.contact_sheet import sheet
from dpn.data.augment import NONE
from dpn.data.opening import Asked, open_data, open_examples
from dpn.data.people import Examples
from dpn.drawing import write_png
from dpn.input_size import asked_hw
from dpn.program.cli import OUT
from dpn.program.quantities import so_many
from dpn.verbs.data import Where


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a contact sheet shows.

    Attributes:
        protocol: whose augmentation, colours and targets: dpn (this paper), hrnet, or sbl (SimpleBaseline).
        input: height and width of the network's input; by default the publications'.
        count: people to show.
        seed: of the choice of people and of their augmentation: a training run with it sees the same samples.
        columns: people beside each other.
        augment: show training samples; without, boxes as they are, which may be detected ones.
    """

    protocol: str = "dpn"
    input: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    count: int = 24
    seed: int = 0
    columns: int = 8
    augment: bool = True


@dataclass(frozen=True, kw_only=True)
class Learnt(Where):
    """The part of a data set that networks learn from, if no other is named."""

    split: str = "train"


def show(
    where: Annotated[Learnt, tyro.conf.arg(name="")],
    output: Annotated[Path, OUT],
    drawn: Annotated[Sheet, tyro.conf.arg(name="")] = Sheet(),
) -> None:
    """Draws a contact sheet: crops with joints, limbs and targets as a network gets them.

    Look at one before hours are spent: are left and right right, are joints on people, is anybody upside down?

    Args:
        where: the data set.
        output: a PNG file to write.
        drawn: what to show.
    """
    if output.suffix.lower() != ".png":
        raise ValueError(
            f"a contact sheet is a PNG file, not {output.name!r}; give --output {output.stem or 'sheet'}.png"
        )
    if drawn.seed < 0:
        raise ValueError(f"a seed is 0 or more, not {drawn.seed}")
    asked = replace(where.asked(), protocol=drawn.protocol, input_hw=asked_hw(drawn.input))
    protocol = asked.known_protocol
    if not drawn.augment:
        protocol = replace(protocol, augmentation=NONE)
    page = sheet(
        _people(asked, drawn.augment), protocol, asked.known_input_hw,
        count=drawn.count, seed=drawn.seed, columns=drawn.columns,
    )  # fmt: skip
    write_png(output, page)
    print(f"{output}: {so_many(drawn.count, 'sample')}")


def _people(asked: Asked, augment: bool) -> Examples:
    """Those to learn from, or without augmentation everyone to be asked about."""
    return open_examples(asked) if augment else open_data(asked)
