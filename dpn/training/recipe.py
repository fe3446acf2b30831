"""How one network is trained, as frozen data: `Recipe`. Imports no torch."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dpn.data.opening import INPUT_HW
from dpn.digests import digest_of, file_digest
from dpn.input_size import asked_hw
from dpn.protocols import Kind

Precision = Literal["fp32", "bf16"]

BY_CONTENT = "sha256:"
"""Before twelve hexadecimal digits of a file's content, which stand for the file wherever it lies."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is trained.

    Attributes:
        name: as in `RECIPES`; not part of what a run is.
        network: a name of the zoo, or `package.module:factory`.
        kind: of the data, which decides boxes, augmentation and score.
        data: a folder of COCO or MPII, or "synthetic" with options, such as "synthetic:seed=1,images=16000".
        split: of `data`, to learn from.
        val_data: what is validated on, where it is not another split of `data`.
        protocol: whose boxes, augmentation and decoding: dpn, hrnet or sbl.
        augment: whether training samples vary as the protocol says; without, they are the boxes as they are.
        epochs: passes over the training data.
        drops: epochs, counted from 0, at which the learning rate falls to a tenth.
        batch: people in one step, all processes together.
        lr: learning rate of Adam at the start.
        weight_decay: of Adam; only 0 is the recipe of the publications.
        allow_weight_decay: train with weight decay although it ruins the result.
        seed: of the weights, of the order and of the augmentation.
        precision: fp32, in which a GPU's convolutions are multiplied as torch has it, by default in TF32; or bf16 in
            forward and backward passes with fp32 weights.
        channels_last: memory format of the convolutions.
        sync_batch_norm: batch statistics over all processes instead of each one's own.
        ema: decay of an exponential moving average of the weights, which is then what is validated; 0 for none.
        compile: compile the network with torch.compile.
        val_every: validate after every so many epochs, and after the last.
        val_people: validate on the first so many people; 0 for everyone.
        backbone: a file of weights that the network's backbone starts from, see `dpn.backbones`, such as
            resnet50-19c8e357.pth; empty to start from the seed alone. What counts is the file's content.
        input: height and width of the input of a network of your own, such as 384x288; empty for the publications'
            256x192, of MPII 256x256. A network of the zoo has its own.
    """

    name: str
    network: str
    kind: Kind = "coco"
    data: str
    split: str = "train"
    val_data: str = ""
    protocol: str = "dpn"
    augment: bool = True
    epochs: int = 140
    drops: tuple[int, ...] = (90, 120)
    batch: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.0
    allow_weight_decay: bool = False
    seed: int = 0
    precision: Precision = "fp32"
    channels_last: bool = False
    sync_batch_norm: bool = False
    ema: float = 0.0
    compile: bool = False
    val_every: int = 1
    val_people: int = 0
    backbone: str = ""
    input: str = ""

    def __post_init__(self) -> None:
        asked_hw(self.input)
        wrong = self._wrong()
        if wrong:
            raise ValueError(f"recipe {self.name}: {wrong}")

    def _wrong(self) -> str:
        """What cannot be, in words with the remedy; empty where all is well."""
        if self.weight_decay and not self.allow_weight_decay:
            return (
                f"--weight-decay {self.weight_decay} with Adam costs most of the accuracy (a published HRNet fell from "
                "AP 74 to 12); leave it at 0, or add --allow-weight-decay"
            )
        if not 0 <= self.weight_decay < math.inf:
            return f"--weight-decay is a number from 0 on, not {self.weight_decay}"
        if self.epochs < 1 or self.batch < 2 or self.val_every < 1:
            return "--epochs and --val-every are at least 1 and --batch at least 2"
        if self.val_people < 0:
            return f"--val-people is at least 0, for everyone, not {self.val_people}"
        if not 0 <= self.seed < 2**63:
            return f"--seed is from 0 to 2^63 - 1, not {self.seed}"
        if list(self.drops) != sorted(set(self.drops)) or min(self.drops, default=0) < 0:
            return f"--drops are epochs, counted from 0, and must rise, not {self.drops}"
        if not 0 < self.lr < math.inf or not 0 <= self.ema < 1:
            return f"--lr is a number above 0 and --ema from 0 to below 1, not {self.lr} and {self.ema}"
        if {"..", "."} & set(self.name.split("/")) or not all(self.name.split("/")):
            return "--name names folders below runs, without . and .., such as quick/mine"
        return ""

    def learning_rate(self, epoch: int) -> float:
        """Of an epoch, counted from 0: after each drop a tenth of what it was.

        Example:
            >>> recipe = Recipe(name="coco/dpn4_64", network="dpn4_64", data="data/coco")
            >>> [f"{recipe.learning_rate(epoch):.0e}" for epoch in (0, 89, 90, 119, 120, 139)]
            ['1e-03', '1e-03', '1e-04', '1e-04', '1e-05', '1e-05']
        """
        return float(self.lr * 0.1 ** sum(epoch >= drop for drop in self.drops))

    def identity(self) -> dict[str, Any]:
        """Everything that decides the trained weights, as plain data.

        Left out are `name`, `val_data`, `val_people`, `val_every` and `allow_weight_decay`; `split` where it is
        "train", `backbone` where there is none and `input` where it is the publications', for these came later, and
        what was trained before stays what it is. A backbone is known by its content, so that a copy of the file
        elsewhere makes the same run.

        Raises:
            ValueError: the backbone's file is missing.
        """
        fields = dataclasses.asdict(self) | {"drops": list(self.drops)}
        for name in ("name", "val_every", "val_people", "val_data", "allow_weight_decay"):
            del fields[name]
        if self.split == "train":
            del fields["split"]
        if self.backbone:
            fields["backbone"] = by_content(self.backbone)
        else:
            del fields["backbone"]
        if self.input_hw == INPUT_HW[self.kind]:
            del fields["input"]
        return fields

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the input of a network of one's own, in pixels."""
        return asked_hw(self.input) or INPUT_HW[self.kind]

    def validated_on(self) -> dict[str, Any]:
        """Whom it is scored on, which decides no weights, as plain data."""
        return {"val_data": self.val_data or self.data, "val_people": self.val_people}

    def digest(self) -> str:
        """Twelve hexadecimal digits that change when what is trained, or on what, changes."""
        return digest_of(self.identity())


def as_published(network: str, kind: Kind, *, protocol: str = "dpn", split: str = "train") -> Recipe:
    """A network on the data of publications, by the schedule that most of them have, which are a recipe's defaults."""
    return Recipe(
        name=f"{kind}/{network}", network=network, kind=kind, data=f"data/{kind}", protocol=protocol, split=split
    )


def by_content(backbone: str) -> str:
    """What stands for a file's content; of what is that already, itself.

    Raises:
        ValueError: the file is missing.

    Example:
        >>> by_content("sha256:19c8e3570123")
        'sha256:19c8e3570123'
    """
    if backbone.startswith(BY_CONTENT):
        return backbone
    path = Path(backbone)
    if not path.is_file():
        raise ValueError(f"--backbone {backbone} does not exist or is not a file; give the path of a file of weights, "
                         "such as resnet50-19c8e357.pth")  # fmt: skip
    return BY_CONTENT + file_digest(path)
