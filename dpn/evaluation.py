"""How good a network is on a data set: predictions, results files, scores, and what makes the number what it is.

In five lines, where COCO is in a folder "coco" and weights in a file:

    net = network("dpn4_64", Path("dpn4_64.pth"))                       # of dpn.network_names
    data = open_data(Asked(data="coco", input_hw=net.input_hw))         # of dpn.data.opening
    evaluation = evaluate(net, data, protocol("dpn", data.kind))        # of dpn.protocols
    print(evaluation.scores["AP"])
"""

import dataclasses
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dpn.arrays import Floats
from dpn.data.opening import INPUT_HW
from dpn.data.people import Boxes, DataSet
from dpn.kept_predictions import Kept, kept, others_kept
from dpn.network_code import code_digest
from dpn.network_names import Network
from dpn.program.cli import note
from dpn.program.progress import Told
from dpn.protocols import CodecName, Kind, Protocol
from dpn.runtime import Precision, Runtime
from dpn.scoring import check_before, scores_of, write_predictions, write_submission


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A network's scores on a data set, and everything that they depend on.

    Attributes:
        network: its name.
        spec_digest: of its definition, for a network of the zoo (`ModelSpec.digest`).
        weights_sha256: the first 12 hexadecimal digits of the file's; None without a file.
        state_digest: of the weights themselves as they were used (`Network.state_digest`).
        data: name of the data set, with the number of images where it was limited.
        data_digest: `DataSet.digest`.
        images_digest: `DataSet.images_digest`.
        kind: how it is scored.
        split: as it was asked for; empty where the caller did not say.
        boxes: where the boxes came from.
        protocol: its name.
        codec: how heatmaps were decoded.
        flip_test: whether heatmaps were averaged with those of the mirrored image.
        shift_flipped: whether these moved by a pixel first.
        soft_nms: whether suppression was soft (`Protocol.soft_nms`).
        input_hw: height and width of the input in pixels.
        precision: of the network.
        device: the kind that it ran on, such as cpu or cuda.
        products: what convolutions in fp32 were multiplied in on a GPU (`dpn.gpu_products`); else None.
        n_people: boxes that were predicted.
        scores: COCO's numbers from 0 to 1 (`dpn.metrics.coco_scores.Scores`), or PCKh in percent
            (`dpn.metrics.pckh.Scores.as_dict`); None where there is no truth to score against.
        n_predicted: people whom this run predicted, the others having been kept by one that was stopped.
        wall_s: seconds that this took, reading and scoring included. It is no latency.
        keypoints: (N, K, 3) of the data set's people: x and y in image pixels, and score.
    """

    network: str
    spec_digest: str | None
    weights_sha256: str | None
    state_digest: str
    data: str
    data_digest: str
    images_digest: str | None = None
    kind: Kind
    split: str = ""
    boxes: Boxes
    protocol: str
    codec: CodecName
    flip_test: bool
    shift_flipped: bool
    soft_nms: bool
    input_hw: tuple[int, int]
    precision: Precision
    device: str
    products: str | None
    n_people: int
    scores: dict[str, Any] | None
    n_predicted: int
    wall_s: float
    keypoints: Floats = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the attributes by their names, without the keypoints."""
        found = dataclasses.asdict(self)
        del found["keypoints"]
        return found


def evaluate(
    network: Network, data: DataSet, protocol: Protocol, input_hw: tuple[int, int] | None = None,
    runtime: Runtime | None = None, *, results: Path | None = None, done: Told | None = None,
) -> Evaluation:  # fmt: skip
    """Predicts everybody, writes the results file if one is asked for, and scores.

    With a results file, predictions are kept beside it as they come, until all is done; the same call goes on from
    there after whatever stopped it, and says so. What was kept of another question stays; its user is told.

    Args:
        network: see `Network`; a module of your own is `Network(name="mine", net=module)`.
        data: opened for `input_hw`.
        protocol: see `Protocol`.
        input_hw: height and width of the input in pixels; by default the network's own, or that of the publications.
        runtime: see `Runtime`.
        results: a file for the results, see `dpn.scoring.write_predictions`.
        done: is told, at the start and after each batch, how many people are finished, and of how many.

    Raises:
        DataError: an image cannot be used, or there is no truth and no `results` either.
        OutputError: the network gives no heatmaps of these joints.
        RuntimeError: what the scoring needs is not installed.
        ValueError: the boxes were made for another aspect than the input's.
    """
    started = time.perf_counter()
    check_before(data, results)
    hw = input_hw or network.input_hw or INPUT_HW[data.kind]
    run = _Run(network, data, protocol, hw, runtime or Runtime())
    run.try_out()
    if results is None:
        keypoints = run.predict(None, done)
        return run.evaluation(keypoints, scores_of(data, keypoints, protocol), started, n_predicted=len(data))
    with kept(results, run.question(), len(data.skeleton.joints)) as before:
        n_kept = len(before.rows)
        if n_kept:
            note(f"{n_kept:,} of {len(data):,} people were kept by a run that was stopped; this one goes on from there")
        for other in others_kept(results, before.path):
            note(f"{other} keeps what was predicted of another network, data or option; ask that again and it goes on "
                 "from there, or delete it")  # fmt: skip
        keypoints = run.predict(before, done)
        write_predictions(results, data, keypoints, protocol)
        if data.truth is None and data.kind == "coco":
            write_submission(results, network.name, data.name)
        scores = scores_of(data, keypoints, protocol)
        before.path.unlink(missing_ok=True)
    return run.evaluation(keypoints, scores, started, n_predicted=len(data) - n_kept)


@dataclass(frozen=True)
class _Run:
    network: Network
    data: DataSet
    protocol: Protocol
    input_hw: tuple[int, int]
    runtime: Runtime

    @property
    def device(self) -> str:
        """The kind of device, when `auto` has been decided."""
        from dpn.inference import device_of

        return device_of(self.runtime.device).type

    def try_out(self) -> None:
        """Refuses a network that has other heatmaps than the data joints, before anything is read or kept."""
        from dpn.inference import Forward

        if self.network.spec:
            self.network.spec.check_input(*self.input_hw)
        Forward(self.network.net, self.data.skeleton, self.protocol, self.runtime).try_out(self.input_hw)

    def question(self) -> dict[str, Any]:
        """What predictions depend on."""
        return {
            "state": self.network.state_digest(),
            "code": code_digest(self.network.name, self.network.net),
            "data": self.data.digest,
            "images": self.data.images_digest,
            "people": len(self.data),
            "protocol": repr(self.protocol),
            "input_hw": list(self.input_hw),
            "precision": self.runtime.precision,
            "device": self.device,
        }

    def predict(self, before: Kept | None, done: Told | None) -> Floats:
        """(N, K, 3): rows that were kept before, and the rest as the network sees them, kept as they come."""
        from dpn.inference import predict

        known = before.rows if before else np.empty((0, len(self.data.skeleton.joints), 3))
        rest = replace(self.data, people=self.data.people.take(slice(len(known), None)))

        def tell(first: int, keypoints: Floats) -> None:
            if before:
                before.add(keypoints)
            if done:
                done(len(known) + first + len(keypoints), len(self.data))

        if done:
            done(len(known), len(self.data))
        fresh = predict(self.network.net, rest, self.protocol, self.input_hw, self.runtime, done=tell)
        return np.concatenate((known, fresh))

    def evaluation(
        self, keypoints: Floats, scores: dict[str, Any] | None, started: float, n_predicted: int
    ) -> Evaluation:  # fmt: skip
        from dpn.gpu_products import products
        from dpn.inference import shifts

        network, data, protocol = self.network, self.data, self.protocol
        return Evaluation(
            network=network.name,
            spec_digest=network.spec.digest() if network.spec else None,
            weights_sha256=network.weights_sha256,
            state_digest=network.state_digest(),
            data=data.name,
            data_digest=data.digest,
            images_digest=data.images_digest,
            kind=data.kind,
            boxes=data.boxes,
            protocol=protocol.name,
            codec=protocol.codec,
            flip_test=protocol.flip_test,
            shift_flipped=protocol.flip_test and shifts(protocol),
            soft_nms=protocol.soft_nms,
            input_hw=self.input_hw,
            precision=self.runtime.precision,
            device=self.device,
            products=products() if (self.device, self.runtime.precision) == ("cuda", "fp32") else None,
            n_people=len(data),
            scores=scores,
            n_predicted=n_predicted,
            wall_s=time.perf_counter() - started,
            keypoints=keypoints,
        )
