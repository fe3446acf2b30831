"""Every trained row of the paper as a recipe, its rivals, and the same on synthetic figures. Imports no torch.

A recipe is frozen data; `python -m dpn train NAME --field value` replaces what differs. Names say data, budget and
network: `coco/dpn4_64`, `mpii/dpn4_64_mpii`, `quick/dpn1_32_lite`, `full/dpn1_64`, `released/dpn4_32`.
"""

import difflib
from dataclasses import replace

from dpn.spec import DPNLiteSpec, DPNOnHRNetSpec, DPNSpec, HRNetSpec, ModelSpec, SimpleBaselineSpec
from dpn.training.recipe import Recipe, as_published
from dpn.training.rivals import hrnet, simple_baseline
from dpn.zoo import ZOO

__all__ = ["RECIPES", "RELEASED_NETWORK", "Recipe", "coco", "find", "full", "mpii", "quick", "released"]

RELEASED_NETWORK = "dpn4_32"
"""The network whose trained weights come with this project."""

RIVALS = ("sbl_r50", "hrnet_w32")
"""Networks of others that are trained on synthetic figures as well."""


def coco(spec: ModelSpec) -> Recipe:
    """On COCO train2017, as section IV-A of the paper says: 140 epochs, drops at 90 and 120.

    Networks with modules at high resolution train for 210 epochs (Table IV) and drop at 170 and 200, as HRNet does.
    Their heatmaps are 128x96; a sigma of 4 there, as wide in the image as elsewhere, is a choice.
    Expected on val2017 with SimpleBaseline's boxes: the paper's AP, such as 69.9 for dpn4_64 and 62.0 for dpn4_32.
    An epoch is 1,170 steps of 128 (the authors' 1,171 count a last, smaller batch); HRNet's authors report 50 to 60
    hours for 210 epochs of HRNet-W32 on four P100.

    dpn2_hrnet, for which the paper prints an AP of 75.0, has the paper's 140 epochs and augmentation here; HRNet's own
    are 210, and 0.35 and 45 degrees. Trained like its rival: --epochs 210 --drops 170 200 --protocol hrnet.

    Needs --backbone: dpn2_hrnet alone, since HRNet's recipe begins with ImageNet weights; without, it is another recipe
    than its rival's. The paper names none for its own networks, whose first stages would take a ResNet-50's.

    Command: python -m dpn train coco/dpn4_64 --data /path/to/coco --devices 4
    Command: python -m dpn train coco/dpn2_hrnet --data /path/to/coco --devices 4 --backbone hrnet_w32-36af842e.pth
    """
    base = as_published(spec.name, "coco")
    high = isinstance(spec, DPNSpec) and spec.conv2_stride == 1
    return replace(base, epochs=210, drops=(170, 200)) if high else base


def mpii(spec: ModelSpec) -> Recipe:
    """On MPII trainval at 256x256: 140 epochs, drops at 90 and 120. Expected on the test set: Table VII.

    Trainval has the people that are validated on in it, so scores on the way show that the network learns, and no more;
    --split train leaves them out.

    The paper prints a PCKh@0.5 of 86.0 for dpn4_32_mpii and 88.6 for dpn4_64_mpii.

    Command: python -m dpn train mpii/dpn4_64_mpii --data /path/to/mpii --devices 4
    """
    return as_published(spec.name, "mpii", split="trainval")


def quick(spec: ModelSpec) -> Recipe:
    """On synthetic figures behind the light stem, a run on a quiet core: 5.5 minutes for one module, 9 for two.

    That is with two runs side by side on two cores that have arithmetic for bf16; without it they take about four times
    as long, see `dpn.half_precision`. So do modules at high resolution, and any run is longer where others work beside
    it; records say how long each took.

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
    """On synthetic figures with the paper's own architecture, on one GPU.

    Not timed there yet. Figures are drawn on CPUs, once where memory holds them (see --keep-gb), which bounds the time
    from below: of a core of an AMD EPYC a sample took 6.4 ms in the first epoch and 0.9 ms in later ones (process times
    of 300), so the 320,000 of a run and its validations take 7 minutes of a core. With 16 cores to a GPU, 15 of which
    make samples, a run takes half a minute at least, and table-2's 24 take 11.

    SimpleBaseline with ResNet-50 and HRNet-W32 too, trained as DPN is, with its boxes, augmentation and epochs, so that
    networks alone are compared; no backbone has seen ImageNet. Nothing is in print to expect.

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
    """COCO and MPII for what the paper trained and its rivals; the two budgets of synthetic figures; the released."""
    trained = [s for s in ZOO.values() if isinstance(s, DPNSpec | DPNOnHRNetSpec) and not _is_other_reading(s)]
    light = [spec for spec in trained if isinstance(spec, DPNLiteSpec)]
    own = [spec for spec in trained if spec not in light]
    on_coco = [spec for spec in own if spec.joints == 17]
    recipes = [
        *(coco(spec) for spec in on_coco),
        *(mpii(spec) for spec in own if spec.joints == 16),
        *(simple_baseline(spec) for spec in ZOO.values() if isinstance(spec, SimpleBaselineSpec)),
        *(hrnet(spec) for spec in ZOO.values() if isinstance(spec, HRNetSpec)),
        *(quick(spec) for spec in light),
        *(full(spec) for spec in on_coco if isinstance(spec, DPNSpec)),
        *(full(ZOO[name]) for name in RIVALS),
        *(released(spec) for spec in on_coco if spec.name == RELEASED_NETWORK),
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
