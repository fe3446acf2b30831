"""The verb `predict` of `python -m dpn`. Torch is imported when it runs."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from dpn.input_size import asked_hw
from dpn.program.cli import OUT, Input, Network, note
from dpn.runtime import Runtime


def predict(
    network: Network, images: Annotated[tuple[Path, ...], tyro.conf.Positional], weights: Path | None = None,
    boxes: Path | None = None, output: Annotated[Path, OUT] = Path("predictions"), protocol: str = "dpn",
    input_: Input = None, joint_score: float = 0.2, person_score: float = 0.2,
    runtime: Annotated[Runtime, tyro.conf.OmitArgPrefixes] = Runtime(),  # noqa: B008 - frozen
) -> int:  # fmt: skip
    """Finds people in images and draws them; writes a PNG file for each, and predictions.json in COCO's results form.

    OpenPose and Mask R-CNN find everybody by themselves, in one photograph after the other, in fp32. A photograph is
    turned upright, as its EXIF orientation says; with boxes, which know nothing of that, it stays as it is stored.

    Args:
        network: a name of the zoo, or package.module:factory.
        images: image files.
        weights: a file of weights; by default those that come with this project, if any, and a factory's own.
        boxes: people's boxes in COCO's form for detections; without it each image is taken to show one person, by the
            networks that look at one person.
        output: folder for what is written.
        protocol: whose training and test conventions: dpn (this paper), hrnet, or sbl (SimpleBaseline; its weights take
            BGR images).
        input_: height and width of the network's input; by default its own.
        joint_score: draw joints with a larger score.
        person_score: draw people with a larger score.
        runtime: how the network runs.
    """
    if not images:
        example = f"dpn4_32 {network}" if Path(network).exists() else f"{network} IMAGE.jpg"
        raise ValueError(f"name a network and at least one image, such as {example}")
    from dpn.data.picture_files import read_boxes
    from dpn.network_names import network as network_named
    from dpn.predicting import Drawing, Predictor, predict_images
    from dpn.whole_images import WholeImages

    drawing = Drawing(output=output, joint_score=joint_score, person_score=person_score)
    known = read_boxes(boxes, images) if boxes else None
    net = network_named(network, weights)
    input_hw = asked_hw(input_)
    if WholeImages.can(net):
        if input_hw:
            raise ValueError(f"{network} scales each photograph by its own rule; leave out --input")
        if protocol != "dpn":
            raise ValueError(f"{network} takes each photograph by its own conventions; leave out --protocol")
        finder: Predictor | WholeImages = WholeImages(network=net, runtime=runtime)
    else:
        finder = Predictor.of(net, protocol, input_hw, runtime)
    note(net.note_under(protocol))
    failed = 0
    for found in predict_images(finder, images, known, drawing):
        if found.error:
            failed += 1
            print(f"error: {found.error}", file=sys.stderr)
        else:
            print(f"{found.path}: {len(found.rows)} people, drawn in {found.drawing}")
    return 1 if failed else 0
