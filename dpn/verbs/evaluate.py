"""The verbs `evaluate` and `oracle` of `python -m dpn`. Torch is imported when one of them runs."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dpn.data.opening import Asked, open_data, synthetic_options
from dpn.data.people import Boxes, DataSet
from dpn.input_size import asked_hw, hw_text
from dpn.metrics.resampling import Draws
from dpn.metrics.uncertainty import Uncertainty
from dpn.program.cli import Json, Network, fail, note
from dpn.program.progress import progress
from dpn.protocols import CodecName, Protocol
from dpn.runtime import Runtime
from dpn.verbs.score import Drawn, drawn_of, show_scores

if TYPE_CHECKING:
    from dpn.evaluation import Evaluation
    from dpn.oracle import Verdict

CODECS: tuple[CodecName, ...] = ("quarter", "dark", "udp")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which data, and how it is predicted.

    Attributes:
        data: a folder in the layout of COCO or MPII, or synthetic:seed=1,images=500, or synthetic-mpii.
        split: train, val, test-dev; trainval or test of MPII.
        boxes: truth or detections; published numbers of COCO take detected boxes, and with true ones AP is about two
            points higher.
        protocol: whose training and test conventions: dpn (this paper), hrnet, or sbl (SimpleBaseline; its weights take
            BGR images).
        codec: heatmap decoding: quarter (argmax and quarter-pixel offset), dark or udp; by default the protocol's. UDP
            is for networks that were trained with it.
        flip_test: average the heatmaps with those of the mirrored image, as publications do.
        input: height and width of the network's input; by default its own.
        limit: take only so many images, the first, with their ground truth.
        annotations: COCO's annotation file, where it lies elsewhere.
        images: folder or zip archive of COCO's images, likewise.
        detections: file of detected boxes, likewise.
    """

    data: str
    split: str = "val"
    boxes: Boxes = "truth"
    protocol: str = "dpn"
    codec: CodecName | None = None
    flip_test: bool = True
    input: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    limit: int | None = None
    annotations: Path | None = None
    images: Path | None = None
    detections: Path | None = None

    def asked(self, input_hw: tuple[int, int] | None) -> Asked:
        """What is opened, for that input where none is named."""
        return Asked(
            data=self.data,
            split=self.split,
            boxes=self.boxes,
            protocol=self.protocol,
            input_hw=asked_hw(self.input) or input_hw,
            annotations=self.annotations,
            images=self.images,
            detections=self.detections,
        )

    def opened(self, asked: Asked) -> tuple[DataSet, Protocol]:
        """The data set, and the protocol with what was chosen otherwise."""
        from dpn.data.subset import first_images

        protocol = replace(asked.known_protocol, flip_test=self.flip_test)
        if self.codec:
            protocol = replace(protocol, codec=self.codec)
        data = open_data(asked)
        return data if self.limit is None else first_images(data, self.limit), protocol


def evaluate(
    network: Network, wanted: Annotated[Wanted, tyro.conf.OmitArgPrefixes], weights: Path | None = None,
    runtime: Annotated[Runtime, tyro.conf.OmitArgPrefixes] = Runtime(),  # noqa: B008 - frozen
    results: Path | None = None, soft_nms: bool = False, draws: Drawn = Draws(),  # noqa: B008 - frozen
    as_json: Json = False,
) -> int:  # fmt: skip
    """Predicts everybody in a data set and scores it: COCO's AP, or MPII's PCKh, with intervals of 95 %.

    Boxes are the true ones by default. With them COCO's AP is about two points higher than with detected ones, which
    publications take: to compare with those give --boxes detections.

    With --results, what was predicted is kept when the program stops, and the same command goes on from there.

    Args:
        network: a name of the zoo, or package.module:factory.
        wanted: which data, and how.
        weights: a file of weights; by default those that come with this project, if any, and a factory's own.
        runtime: how the network runs.
        results: write the results there, as the data's own scoring reads them; of COCO's test-dev also an archive for
            its server.
        soft_nms: likeness to better ones moves COCO's people back instead of dropping them, and 20 of an image stay
            (HRNet's SOFT_NMS).
        draws: the resamples of the images, from which intervals come.
        as_json: print one object, see `dpn.evaluation.Evaluation`, without keypoints; with resamples also intervals, as
            score coco and score mpii print them.
    """
    from dpn.evaluation import evaluate as evaluation_of
    from dpn.network_names import network as network_named
    from dpn.scoring import numbers_in

    runtime.check()
    net = network_named(network, weights)
    asked = wanted.asked(net.input_hw)
    if soft_nms and asked.kind == "mpii":
        raise ValueError("nobody is suppressed in MPII's scoring; leave out --soft-nms")
    data, protocol = wanted.opened(asked)
    protocol = replace(protocol, soft_nms=soft_nms)
    note(net.note_under(wanted.protocol))
    with kept_in(results), progress("people") as done:
        found = evaluation_of(net, data, protocol, asked.known_input_hw, runtime, results=results, done=done)
    found = replace(found, split=wanted.split)
    drawn, code = None, 0
    try:
        drawn = _drawn(found, data, protocol, draws)
    except KeyboardInterrupt:  # what may have taken hours is told all the same
        note("stopped before there were intervals; --resamples 0 leaves them out")
        code = 130
    if as_json:
        intervals = {"intervals": drawn.as_dict([*numbers_in(found.scores or {})])} if drawn else {}
        print(json.dumps(found.as_dict() | intervals))
        return code
    flip = "with flip test" if found.flip_test else "without flip test"
    soft = ", soft suppression" if found.soft_nms else ""
    conventions = f"protocol {wanted.protocol} ({protocol.color.upper()} images), {found.codec} codec, {flip}{soft}"
    print(f"{net.name} at {hw_text(found.input_hw)} on {data.name} ({found.boxes} boxes), {conventions}")
    if found.scores is None:
        print("there is no ground truth to score against; submit the results to those who have it")
    else:
        show_scores([found.scores], drawn, data=found.data)
    if found.scores and found.kind == "coco" and found.boxes == "truth" and not synthetic_options(asked.data):
        print("ground-truth boxes: not comparable with published AP, which takes --boxes detections")
    if results:
        print(f"results are in {results}")
    if found.products:
        print(f"fp32 convolutions were multiplied in {found.products}")
    now = f"{found.n_predicted:,} of them now, in {found.wall_s:.1f} s on {found.device} (no latency)"
    print(f"{found.n_people:,} people, {now}")
    return code


def _drawn(found: "Evaluation", data: DataSet, protocol: Protocol, draws: Draws) -> Uncertainty | None:
    from dpn.scoring import weighted_of

    if found.scores is None or not draws.resamples:
        return None
    weighted, units = weighted_of(data, found.keypoints, protocol)
    return drawn_of([weighted], units, draws)


@contextmanager
def kept_in(results: Path | None) -> Iterator[None]:
    """In here Ctrl-C ends the program in one line that says how to keep what is predicted, where nothing keeps it."""
    try:
        yield
    except KeyboardInterrupt:
        if results:
            raise
        fail("stopped; give --results FILE to keep what is predicted, so that the same command goes on", 130)


def oracle(
    data: str, split: str = "val", protocol: str = "dpn",
    input_: Annotated[tuple[str, ...], tyro.conf.arg(name="input", metavar="HxW")] = (),
    limit: int | None = None, as_json: Json = False,
) -> int:  # fmt: skip
    """Sends perfect heatmaps through the whole pipeline: AP must be 1.0, PCKh@0.5 100 %; else the exit code is 1.

    For each codec, with and without flip test. Images are not read: data check does that.

    Args:
        data: a folder in the layout of COCO or MPII, or synthetic:seed=1,images=500, or synthetic-mpii.
        split: train or val.
        protocol: whose training and test conventions: dpn (this paper), hrnet, or sbl (SimpleBaseline; its weights take
            BGR images).
        input_: heights and widths of the input, such as 256x192 384x288; by default the publications'.
        limit: take only so many images, the first, with their ground truth.
        as_json: print one list, see `dpn.oracle.Verdict`.
    """
    from dpn.oracle import oracle as verdict_on

    verdicts = []
    for size in input_ or (None,):
        wanted = Wanted(data=data, split=split, protocol=protocol, input=size, limit=limit)
        asked = wanted.asked(None)
        opened, plain = wanted.opened(asked)
        for codec in CODECS:
            for flip in (False, True):
                changed = replace(plain, codec=codec, flip_test=flip)
                verdicts.append(verdict_on(opened, changed, asked.known_input_hw))
                if not as_json:
                    _say_verdict(verdicts[-1], first=len(verdicts) == 1)
    if as_json:
        print(json.dumps([asdict(verdict) for verdict in verdicts]))
    failed = sum(not verdict.passed for verdict in verdicts)
    if failed:
        remedy = f"python -m dpn data check {shlex.quote(data)} says whether it is the data"
        print(f"error: {failed} of {len(verdicts)} scores are not perfect; {remedy}", file=sys.stderr)
    return 1 if failed else 0


def _say_verdict(verdict: "Verdict", *, first: bool) -> None:
    from dpn.scoring import headline

    metric = headline(verdict.scores)[0]
    if first:
        print(f"{verdict.n_people:,} people; errors in pixels of the crop, of joints inside it")
        heads = f"{metric:>9} {'reachable':>9} {'mean px':>8} {'worst px':>8}  verdict"
        print(f"{'input':>9} {'codec':>8} {'mirrored':>8} {heads}")
    numbers = [headline(scores)[1] for scores in (verdict.scores, verdict.reachable)]
    shown = ["-" if number is None else f"{number:.4f}" for number in numbers]
    flip = "yes" if verdict.flip_test else "no"
    print(
        f"{hw_text(verdict.input_hw):>9} {verdict.codec:>8} {flip:>8} {shown[0]:>9} {shown[1]:>9} "
        f"{verdict.mean_error_px:>8.3f} {verdict.worst_error_px:>8.3f}  {_reason(verdict)}"
    )


def _reason(verdict: "Verdict") -> str:
    rounded = "perfect but for rounding" if not verdict.n_suppressed else "perfect but for rounding and suppression"
    said = "NOT PERFECT" if not verdict.passed else "perfect" if verdict.perfect else rounded
    if verdict.n_outside:
        said += f"; {verdict.n_outside:,} of {verdict.n_joints:,} labelled joints lie outside their crops"
    if verdict.n_suppressed:
        said += f"; {verdict.n_suppressed:,} people are too alike to another"
    return said
