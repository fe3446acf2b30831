"""How good a network is in the middle of its training: everyone once, whatever the number of processes."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch.distributed as dist
from torch import nn

from dpn.arrays import Floats
from dpn.data.people import DataSet
from dpn.inference import predict
from dpn.protocols import Protocol
from dpn.runtime import Runtime
from dpn.scoring import scores_of, share, similarities
from dpn.training.order import shard
from dpn.training.stopping import Stopped


def validate(
    net: nn.Module, data: DataSet, protocol: Protocol, input_hw: tuple[int, int], runtime: Runtime, *,
    asked: Callable[[], bool],
) -> dict[str, Any]:  # fmt: skip
    """The scores of the network, the same in every process.

    Each process predicts its share of the people; the shares are put together by row before anything is scored, since
    suppression and average precision need everybody.

    Args:
        net: see `dpn.inference.predict`.
        data: with a truth to score against.
        protocol: of boxes, colours and decoding.
        input_hw: height and width of the input in pixels.
        runtime: of this process.
        asked: whether this process is to stop; looked at after each batch.

    Average precision is our own engine's here: equal to pycocotools' bit for bit, twenty times as fast, and there on
    machines that train without it.

    Returns:
        The numbers by name; "score" is the one that counts: AP for COCO, the mean PCKh@0.5 for MPII, from 0 to 1; 0
        where nobody could be scored.

    Raises:
        Stopped: one of the processes was to stop; raised in all of them, when the others have predicted their share.
    """

    def look(*_: object) -> None:
        if asked():
            raise Stopped

    distributed = dist.is_available() and dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if distributed else (0, 1)
    if distributed:
        _agree_on_buffers(net)
    rows = shard(len(data), rank, world)
    found = None
    with suppress(Stopped):
        found = predict(net, replace(data, people=data.people.take(rows)), protocol, input_hw, runtime, done=look)
    shares: list[Any] = [(rows, found)]
    if distributed:
        shares = [None] * world
        dist.all_gather_object(shares, (rows, found))
    if any(share is None for _, share in shares):
        raise Stopped
    keypoints = together(len(data), shares)
    scores = scores_of(data, keypoints, protocol, engine="own") or {}
    return scores | {"score": float(share(scores) or 0.0), "mean_oks": mean_oks(data, keypoints)}


def _agree_on_buffers(net: nn.Module) -> None:
    """Gives all processes the first one's statistics of batch norm, as saved files and the next step have them.

    Each process has those of its own share of the last batch, and would otherwise validate another network.
    """
    for buffer in net.buffers():
        dist.broadcast(buffer, 0)


def mean_oks(data: DataSet, keypoints: Floats) -> float | None:
    """The mean similarity of each person's keypoints to the true ones, over everyone with a labelled joint.

    It needs true boxes, by which it is known whose keypoints these are, and it moves long before average precision
    does. None for MPII, which has no areas, and for detected boxes.
    """
    similar = similarities(data, keypoints)
    return None if similar is None else float(np.nanmean(similar))


def together(count: int, shares: list[tuple[Any, Floats]]) -> Floats:
    """(count, K, 3) keypoints in the order of the data, from the shares of all processes.

    Raises:
        RuntimeError: somebody is in no share, or in several.
    """
    rows = np.concatenate([rows for rows, _ in shares])
    if not np.array_equal(np.sort(rows), np.arange(count)):
        raise RuntimeError(f"{len(rows)} predictions of {count} people, {len(set(rows.tolist()))} of them different")
    ordered: Floats = np.concatenate([found for _, found in shares])[np.argsort(rows)]
    return ordered
