"""The verb `export` of `python -m dpn`. Torch is imported when it runs."""

import json
from pathlib import Path
from typing import Annotated, Literal

from dpn.input_size import asked_hw, hw_text
from dpn.program.cli import OUT, Input, Json, Network, note
from dpn.program.missing import install


def export(
    network: Network, weights: Path | None = None,
    format: Literal["onnx", "torchscript", "torch-export"] = "onnx",
    input_: Input = None, output: Annotated[Path | None, OUT] = None, batch: Literal["dynamic"] | int = "dynamic",
    pixels: Literal["uint8", "float"] = "uint8", protocol: str = "dpn", as_json: Json = False,
) -> None:  # fmt: skip
    """Writes a network to a file that takes pixels and gives joints, without this project.

    In: images of one person each, red first; out: coordinates (B, K, 2), x and y in pixels of the input, scores (B, K)
    and heatmaps. Normalisation and decoding (the maximum, and a quarter of a pixel towards its higher neighbour) are
    inside, a flip test is not. The file is held against eager PyTorch before it is kept, and says in its metadata what
    it is, which `dpn.export.formats.read_metadata` reads back.

    Args:
        network: a name of the zoo, or package.module:factory.
        weights: a file of weights; by default those that come with this project, if any, and a factory's own.
        format: onnx, torchscript or torch-export.
        input_: height and width of the input; by default the network's own.
        output: the file; by default the network's name and input in this folder.
        batch: images at a time, or dynamic for any number.
        pixels: uint8 for (B, H, W, 3) from 0 to 255, float for (B, 3, H, W) from 0 to 1.
        protocol: whose training conventions: dpn (this paper), hrnet, or sbl (SimpleBaseline; its weights take BGR
            images, and the file turns red-first ones into such).
        as_json: print one object, see `dpn.export.network.Exported`.
    """
    from dpn.data.opening import INPUT_HW
    from dpn.export.formats import ENDINGS
    from dpn.export.network import Wanted
    from dpn.export.network import export as exported
    from dpn.network_names import network as network_named
    from dpn.protocols import protocol as protocol_named

    net = network_named(network, weights)
    input_hw = asked_hw(input_) or net.input_hw or INPUT_HW["coco"]
    wanted = Wanted(
        format=format, protocol=protocol_named(protocol, "coco"), input_hw=input_hw, batch=batch, pixels=pixels
    )
    size = hw_text(input_hw)
    path = output or Path(f"{net.name.partition(':')[2] or net.name}-{size}{ENDINGS[format]}")
    found = exported(net, wanted, path)
    note(net.note_under(protocol))
    if as_json:
        print(json.dumps(found.as_dict()))
        return
    print(f"{path}: {net.name} at {size}, {found.size_bytes / 1e6:.1f} MB")
    if found.checked_with is None:
        print(f"not run, and so not compared: onnxruntime is not installed; {install('backends')}")
        return
    same = "coordinates equal" if not found.moved else (
        f"{found.moved} of {found.joints} joints elsewhere, where rounding decides between two values of a heatmap"
    )  # fmt: skip
    print(f"{found.checked_with} on batches of {' and '.join(map(str, found.batches))}: {same}, heatmaps differ by at "
          f"most {found.heatmaps_difference:.1e}")  # fmt: skip
