"""Accuracy as a record: trained weights on a data set, with everything that the number depends on.

Imports no torch until a network is evaluated.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.machine import environment
from bench.records.provenance import measured
from bench.records.record import METRICS, Record, key_of
from bench.records.store import Store
from bench.subject import resolve
from dpn.program.progress import Told

if TYPE_CHECKING:
    from dpn.data.people import DataSet
    from dpn.evaluation import Evaluation
    from dpn.network_names import Network
    from dpn.protocols import Protocol
    from dpn.runtime import Runtime

METRIC_OF = {"coco": "ap", "mpii": "pckh"}
"""The metric that a kind of data is scored by."""

EXAMPLES = 12
"""Of so many people a record keeps the predictions, to look at."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is evaluated on what, opened and ready.

    Attributes:
        network: with its weights.
        digest: identifies its definition.
        data: everyone to be predicted.
        source: what was opened, as it was asked for: a folder, or synthetic data with options.
        split: as it was asked for.
        protocol: how they are predicted.
        input_hw: height and width of the input in pixels.
        runtime: how the network runs.
    """

    network: "Network"
    digest: str
    data: "DataSet"
    source: str
    split: str
    protocol: "Protocol"
    input_hw: tuple[int, int]
    runtime: "Runtime"

    @property
    def metric(self) -> str:
        """What comes out: `ap` or `pckh`."""
        return METRIC_OF[self.data.kind]

    @property
    def device(self) -> str:
        """The kind of device, as the keys of machines know it, when `auto` has been decided."""
        from dpn.inference import device_of

        return device_of(self.runtime.device).type

    def of_record(self) -> dict[str, Any]:
        """The protocol of the record that answers it; of a GPU also what fp32 is multiplied in, see `products`.

        Images that were named apart from the annotations are known by `images_digest`, those that lie where the
        layout has them by `own_images_digest`.
        """
        from dpn.gpu_products import products
        from dpn.inference import shifts

        protocol, network = self.protocol, self.network
        images = "images_digest" if self.data.images_given else "own_images_digest"
        return {
            "input_hw": list(self.input_hw),
            "data": self.data.name,
            "data_digest": self.data.digest,
            **({images: self.data.images_digest} if self.data.images_digest else {}),
            "split": self.split,
            "boxes": self.data.boxes,
            "people": len(self.data),
            "protocol": protocol.name,
            "codec": protocol.codec,
            "flip": protocol.flip_test,
            "shift": protocol.flip_test and shifts(protocol),
            "weights": f"sha256:{network.weights_sha256}"
            if network.weights_sha256 else f"state:{network.state_digest()}",
            "precision": self.runtime.precision,
            "device": self.device,
            **({"products": products()} if self.device == "cuda" else {}),
        }  # fmt: skip

    def key(self) -> str:
        """The key of the record that answers it."""
        machine, version = environment.machine(self.device), METRICS[self.metric].version
        return key_of(machine, self.metric, version, self.digest, self.of_record())


def network_of(name: str, weights: Path | None) -> "tuple[Network, str]":
    """The network with its weights, and what identifies its definition.

    Raises:
        KeyError: no such network in the zoo; names the nearest.
        ValueError: the factory or the file of weights cannot be used.
    """
    from dpn.network_names import network

    found = network(name, weights)
    return found, resolve(name).digest(found.net)


def with_truth(data: "DataSet", truth: Path) -> "DataSet":
    """MPII's data set with a truth from another file, such as that of the test set, published in 2021.

    Raises:
        ValueError: the data is not MPII's, or the file is of other people.
        DataError: the file is not what it should be.
    """
    from dpn.data.pckh_truth import Truth

    if data.kind != "mpii":
        raise ValueError(f"--truth is for MPII, {data.name} is COCO's: its annotation file is its truth")
    found = Truth.from_mat(truth)
    if len(found) != len(data):
        raise ValueError(f"{truth} is of {len(found):,} people, {data.name} of {len(data):,}; give that split's file")
    digest = hashlib.sha256(data.digest.encode() + truth.read_bytes()).hexdigest()[:12]
    return replace(data, truth=found, digest=digest)


def record_of(question: Question, found: "Evaluation") -> Record:
    """The record of an evaluation; its value is the share that publications compare, its detail every score.

    Raises:
        ValueError: nobody could be scored.
    """
    from dpn.scoring import share

    scores = found.scores or {}
    value = share(scores)
    if value is None:
        raise ValueError(f"{found.data} has no truth to score against, so that there is nothing to record; "
                         "of MPII's test set, give --truth FILE")  # fmt: skip
    return measured(
        found.network, question.digest, question.metric, value, device=question.device, protocol=question.of_record(),
        detail={"scores": scores, "people": found.n_people, "state_digest": found.state_digest,
                "wall_s": round(found.wall_s, 1), **examples(question)},
    )  # fmt: skip


def examples(question: Question) -> dict[str, Any]:
    """What the network sees in the first people, where anybody can draw them again: in synthetic ones, in true boxes.

    Returns:
        Of `examples`: data, which has these people first; input_hw; keypoints (N, K, 3), x and y in pixels of the image
        and score. Else nothing.
    """
    from dpn.data.opening import synthetic_options
    from dpn.inference import predict

    options = synthetic_options(question.source)
    if not options or question.data.boxes != "truth":
        return {}
    word, seed, images = question.source.partition(":")[0], options["seed"], min(options["images"], EXAMPLES)
    few = replace(question.data, people=question.data.people.take(slice(EXAMPLES)))
    keypoints = predict(question.network.net, few, question.protocol, question.input_hw, question.runtime)
    drawn = {
        "data": f"{word}:seed={seed},images={images}", "split": question.split,
        "input_hw": list(question.input_hw), "keypoints": keypoints.round(3).tolist(),
    }  # fmt: skip
    return {"examples": drawn}


def measure(
    question: Question, store: Store, *, again: bool = False, results: Path | None = None, told: Told | None = None
) -> tuple[Record, bool]:
    """The record that answers a question, and whether it was measured now.

    Args:
        question: see `Question`.
        store: where the record is, or goes.
        again: measure what the store has, too.
        results: a file for the results; what is predicted is kept beside it when this is stopped.
        told: see `dpn.evaluation.evaluate`.

    Raises:
        ValueError: nobody could be scored.
        DataError: an image cannot be used, or there is no truth.
    """
    known = store.newest(question.key())
    if known is not None and not again:
        return known, False
    from dpn.evaluation import evaluate

    found = evaluate(
        question.network, question.data, question.protocol, question.input_hw, question.runtime, results=results,
        done=told,
    )  # fmt: skip
    made = record_of(question, found)
    store.append(made)
    return made, True
