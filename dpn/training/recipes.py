"""Every trained row of the paper as a recipe, and the same rows on synthetic figures. Imports no torch.

A recipe is frozen data; `python -m dpn train NAME --field value` replaces what differs. Names say data, budget and
network: `coco/dpn4_64`, `mpii/dpn4_64_mpii`, `quick/dpn1_32_lite`, `full/dpn1_64`, `released/dpn4_32`.
"""

import dataclasses
import difflib
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from dpn.spec import DPNLiteSpec, DPNOnHRNetSpec, DPNSpec, ModelSpec
from dpn.zoo import ZOO

Kind = Literal["coco", "mpii"]
Precision = Literal["fp32", "bf16"]

RELEASED = "dpn4_32"
"""The network whose trained weights come with this project."""


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
        precision: fp32, or bf16 in forward and backward passes with fp32 weights.
        channels_last: memory format of the convolutions.
        sync_batch_norm: batch statistics over all processes instead of each one's own.
        ema: decay of an exponential moving average of the weights, which is then what is validated; 0 for none.
        compile: compile the network with torch.compile.
        val_every: validate after every so many epochs, and after the last.
        val_people: validate on the first so many people; 0 for everyone.
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

    def __post_init__(self) -> None:
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
        if self.epochs < 1 or self.batch < 2 or self.val_every < 1:
            return "--epochs and --val-every are at least 1 and --batch at least 2"
        if list(self.drops) != sorted(set(self.drops)):
            return f"--drops must rise, not {self.drops}"
        if not self.lr > 0 or not 0 <= self.ema < 1:
            return f"--lr is above 0 and --ema from 0 to below 1, not {self.lr} and {self.ema}"
        return ""

    def learning_rate(self, epoch: int) -> float:
        """Of an epoch, counted from 0: a tenth less after each drop.

        Example:
            >>> recipe = RECIPES["coco/dpn4_64"]
            >>> [f"{recipe.learning_rate(epoch):.0e}" for epoch in (0, 89, 90, 119, 120, 139)]
            ['1e-03', '1e-03', '1e-04', '1e-04', '1e-05', '1e-05']
        """
        return float(self.lr * 0.1 ** sum(epoch >= drop for drop in self.drops))

    def identity(self) -> dict[str, Any]:
        """Everything that decides the trained weights, as plain data; the name and how often to look do not."""
        fields = dataclasses.asdict(self) | {"drops": list(self.drops)}
        for name in ("name", "val_every", "val_people", "val_data", "allow_weight_decay"):
            del fields[name]
        if self.split == "train":
            del fields["split"]  # it came later, and what was trained before stays what it is
        return fields

    def digest(self) -> str:
        """Twelve hexadecimal digits that change when what is trained, or on what, changes."""
        canonical = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def coco(spec: ModelSpec) -> Recipe:
    """On COCO train2017, as section IV-A of the paper says: 140 epochs, drops at 90 and 120.

    Networks with modules at high resolution train for 210 epochs (Table IV) and drop at 170 and 200, as HRNet does.
    Expected on val2017 with SimpleBaseline's boxes: the paper's AP, such as 69.9 for dpn4_64 and 62.0 for dpn4_32.
    An epoch is 1,171 steps of 128; HRNet's authors report 50 to 60 hours for 210 epochs of HRNet-W32 on four P100.

    Command: python -m dpn train coco/dpn4_64 --data /path/to/coco --devices 4
    """
    base = Recipe(name=f"coco/{spec.name}", network=spec.name, data="data/coco")
    high = isinstance(spec, DPNSpec) and spec.conv2_stride == 1
    return replace(base, epochs=210, drops=(170, 200)) if high else base


def mpii(spec: ModelSpec) -> Recipe:
    """On MPII trainval at 256x256: 140 epochs, drops at 90 and 120. Expected on the test set: Table VII.

    Trainval has the people that are validated on in it, so scores on the way show that the network learns, and no more;
    --split train leaves them out.

    The paper prints a PCKh@0.5 of 86.0 for dpn4_32_mpii and 88.6 for dpn4_64_mpii.

    Command: python -m dpn train mpii/dpn4_64_mpii --data /path/to/mpii --devices 4
    """
    return Recipe(name=f"mpii/{spec.name}", network=spec.name, kind="mpii", data="data/mpii", split="trainval")


def quick(spec: ModelSpec) -> Recipe:
    """On synthetic figures behind the light stem: about five minutes a run on two cores, two runs at a time.

    No augmentation: figures differ enough by themselves, and with it a network learns too little in the time (after
    400 steps dpn1_32_lite had a mean similarity of 0.34 with it and 0.39 without; 0.25 is the mean pose's). What comes
    out is in the records, never here: this recipe has no print to compare with.

    Command: python -m dpn train quick/dpn1_32_lite
    """
    return Recipe(
        name=f"quick/{spec.name}",
        network=spec.name,
        data="synthetic:seed=1,images=6400",
        val_data="synthetic:seed=2,images=500",
        augment=False,
        epochs=8,
        drops=(6, 7),
        batch=32,
        precision="bf16",
        channels_last=True,
    )


def full(spec: ModelSpec) -> Recipe:
    """On synthetic figures with the paper's own architecture: one GPU, a table with three seeds within 20 minutes.

    Command: python -m dpn train full/dpn1_64 --devices 1
    """
    return replace(
        quick(spec),
        name=f"full/{spec.name}",
        data="synthetic:seed=1,images=16000",
        augment=True,
        epochs=20,
        drops=(13, 17),
        batch=128,
        val_data="synthetic:seed=2,images=2000",
    )


def released(spec: ModelSpec) -> Recipe:
    """Of the weights that come with this project: the paper's own architecture, trained for hours on one CPU core.

    Figures as in `full`, in fewer epochs of smaller steps. What came out is in the records, and in the released file.

    Command: python -m dpn train released/dpn4_32 --threads 1
    """
    return replace(full(spec), name=f"released/{spec.name}", epochs=8, drops=(5, 7), batch=32)


def _recipes() -> dict[str, Recipe]:
    """COCO and MPII for what the paper trained, by its name and its input; the two budgets of synthetic figures."""
    trained = [s for s in ZOO.values() if isinstance(s, DPNSpec | DPNOnHRNetSpec) and not _is_other_reading(s)]
    light = [spec for spec in trained if isinstance(spec, DPNLiteSpec)]
    own = [spec for spec in trained if spec not in light]
    on_coco = [spec for spec in own if spec.joints == 17]
    recipes = [
        *(coco(spec) for spec in on_coco),
        *(mpii(spec) for spec in own if spec.joints == 16),
        *(quick(spec) for spec in light),
        *(full(spec) for spec in on_coco if isinstance(spec, DPNSpec)),
        *(released(spec) for spec in on_coco if spec.name == RELEASED),
    ]
    return {recipe.name: recipe for recipe in recipes}


def _is_other_reading(spec: ModelSpec) -> bool:
    """Table I to the letter is counted, not trained: the published costs are those of the other reading."""
    return isinstance(spec, DPNSpec) and spec.reading == "printed"


RECIPES = _recipes()


def find(name: str) -> Recipe:
    """The recipe of that name; a KeyError names the nearest where there is none.

    Example:
        >>> find("quick/dpn1_32_lite").network
        'dpn1_32_lite'
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=4, cutoff=0.4) or list(RECIPES)[:4]
    raise KeyError(f"no recipe named {name!r}; the nearest are {', '.join(near)} (all: python -m dpn recipes)")
