"""One training run: opened, checked, trained, saved and continued, in the order in which it happens."""

import gc
import importlib.metadata
import json
import os
import platform
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dpn import checkout
from dpn.data.opening import LabelledPeople
from dpn.data.people import Examples
from dpn.gpu_products import advice
from dpn.processor import multiplies_in
from dpn.program.cli import note
from dpn.program.progress import Told
from dpn.program.whole_files import write_whole
from dpn.runtime import Runtime
from dpn.synthetic.figures import GENERATOR_VERSION
from dpn.training import pretrained, state
from dpn.training.batch_norm import synchronise
from dpn.training.errors import TrainingError, written
from dpn.training.flow import Flow
from dpn.training.folder import RunFolder
from dpn.training.kept import kept_images
from dpn.training.legs import Leg, this_leg
from dpn.training.memory import keep_freed, room
from dpn.training.options import RunOptions
from dpn.training.order import Steps
from dpn.training.prepare import Prepared, prepare
from dpn.training.processes import check_count, fit, rank
from dpn.training.recipe import Recipe
from dpn.training.sanity import check, idle
from dpn.training.state import State
from dpn.training.stopping import Stopping, shielded
from dpn.training.stream import Batches, Stream
from dpn.training.task import PoseTask
from dpn.training.validation import validate


def train(recipe: Recipe, where: RunOptions, told: Told | None = None) -> dict[str, Any]:
    """Trains a recipe to its end, from wherever an earlier call was stopped, and returns the result.

    Args:
        recipe: what is trained.
        where: on what.
        told: is told steps done, steps in all, and what to show.

    Returns:
        What result.json holds: the scores of the final weights, the best validation, recipe, data and versions; what
        made each leg of the run, and what its backbone started from.

    Raises:
        Stopped: Ctrl-C or SIGTERM; the state is saved.
        TrainingError: the folder holds another run, or one of the network before it was changed, or a score on other
            people than these; another process trains in it, the loss is not finite, or the disk is full.
        CheckpointError: the recipe's backbone is in no file that can be used.
        DataError: the data cannot be used.
        KeyError: no such network in the zoo, or no such protocol.
        LockError: nobody can have the folder to itself.
        ValueError: the recipe cannot be run here.
        KeyboardInterrupt: Ctrl-C before the first step, or a second time.
    """
    folder = where.run_folder(recipe)
    recipe, backbone = pretrained.settled(recipe, folder)
    result = folder.result_of(recipe)
    if result is not None:
        return result
    check_count(where)
    if where.threads:
        os.environ["OMP_NUM_THREADS"] = str(where.threads)  # else Lightning sets what it likes for several processes
        torch.set_num_threads(where.threads)
    if where.device() == "cpu":
        keep_freed()
        _check_compiles(recipe)
    elif not rank():
        note(advice(recipe.precision))
    prepared = prepare(recipe)
    with nullcontext() if rank() else folder.to_itself():  # the first of several processes has the folder
        start = state.read(folder.last) if folder.last.is_file() else None
        origin = start.backbone if start else _origin(prepared, recipe, backbone)
        try:
            return _trained(recipe, where, prepared, start, origin, told)
        finally:
            gc.collect()  # its parts hold each other, and with them what was kept in memory


def _check_compiles(recipe: Recipe) -> None:
    """Raises ValueError where compiled code would have to multiply in what this processor cannot."""
    if recipe.compile and recipe.precision == "bf16" and not multiplies_in("bf16"):
        raise ValueError("this processor has no arithmetic for bf16, and compiled code takes none in its place; add "
                         "--precision fp32 or --no-compile")  # fmt: skip


def _origin(prepared: Prepared, recipe: Recipe, path: Path | None) -> pretrained.Origin | None:
    """Loads the backbone that a run begins with, and says so."""
    if not recipe.backbone:
        return None
    origin = pretrained.into(prepared.net, recipe, path)
    if not rank():
        note(pretrained.words(origin))
    return origin


def _trained(
    recipe: Recipe, where: RunOptions, prepared: Prepared, start: State | None, origin: pretrained.Origin | None,
    told: Told | None,
) -> dict[str, Any]:  # fmt: skip
    folder = where.run_folder(recipe)
    steps = Steps(
        seed=recipe.seed, count=len(prepared.examples), batch=recipe.batch, epochs=recipe.epochs, world=where.processes
    )  # fmt: skip
    digests = {"train": _named(prepared.examples, recipe.data), "val": f"{prepared.data.name} {prepared.data.digest}"}
    if start:
        _check_same(start, recipe, prepared.definition, digests, folder)
    elif where.sanity and not rank():
        check(prepared, recipe, where.device())
    most = room(where.keep_gb, where.devices)
    images = kept_images(prepared.data, most)
    prepared = replace(prepared, data=replace(prepared.data, images=images))
    if recipe.sync_batch_norm and where.device() == "cpu":
        synchronise(prepared.net)
    task = PoseTask(prepared.net, recipe, prepared.codec, steps.per_epoch, start)
    stopping = Stopping(speaks=not rank())
    flow = Flow(
        folder=folder, recipe=recipe, per_epoch=steps.per_epoch,
        validate=lambda: _validate(task, prepared, recipe, where, stopping),
        picture=lambda epoch: _picture(task, prepared, recipe, where, epoch),
        told=lambda done, text: told(done, steps.total, text) if told else None,
        stopping=stopping, save_every_s=where.save_every_s, data=digests, versions=versions(),
        leg=lambda step: this_leg(step, where, recipe.precision, versions()), legs=_legs(start), backbone=origin,
        definition=prepared.definition,
        best=start.best if start else None, seconds=start.seconds if start else 0.0,
        due=start.due if start else False,
    )  # fmt: skip
    flow.told(task.step, "")
    with stopping.watching():
        if task.step < steps.total:
            stream = Stream(prepared.examples, prepared.protocol, prepared.input_hw, recipe.seed, most - images.room)
            task.batches = lambda of: Batches(
                stream, replace(steps, first=task.step, rank=of), where.workers_each(), pinned=where.device() == "cuda"
            )
            fit(task, recipe, where, flow, idle=where.processes > 1 and bool(idle(prepared)))
        else:
            task.to(where.device())
            flow.end_last_epoch(task, writes=not rank())
    return _finish(flow, task, prepared, where, steps.total)


def _check_same(start: State, recipe: Recipe, definition: str, digests: dict[str, str], folder: RunFolder) -> None:
    """Raises TrainingError where a run would be continued as another one, naming what differs."""
    folder.check_recipe(recipe, start.recipe, wherever=True)
    folder.check_network(recipe, start.definition, definition)
    options = {"train": "--data", "val": "--val-data with --val-people"}
    changed = [
        f"{options[name]} was {start.data.get(name)} and is {now}"
        for name, now in digests.items() if start.data.get(name) != now
    ]  # fmt: skip
    if changed:
        raise TrainingError(f"{folder.path} holds a run on other data: {'; '.join(changed)}; give what it was, bring "
                            "the old data back, or give another --folder to start afresh")  # fmt: skip


def _legs(start: State | None) -> list[Leg]:
    """Those of the run so far; of one that was begun before they were kept, what it had of its last one."""
    if start is None or start.legs:
        return start.legs if start else []
    return [{"first_step": 0, "versions": start.versions}]


def _named(examples: Examples, text: str) -> str:
    """The name and digest of the people to learn from; synthetic ones are what their generator's version makes them."""
    if isinstance(examples, LabelledPeople):
        return f"{examples.data.name} {examples.data.digest}"
    return f"{text}, version {GENERATOR_VERSION}, {len(examples)} people"


def _validate(
    task: PoseTask, prepared: Prepared, recipe: Recipe, where: RunOptions, stopping: Stopping
) -> dict[str, Any]:
    device = str(task.device)
    runtime = Runtime(
        device=device, batch=64, workers=where.workers_each() if device != "cpu" else 0, precision=recipe.precision,
        channels_last=recipe.channels_last,
    )  # fmt: skip
    with shielded():  # it may start workers
        return validate(
            task.validated, prepared.data, prepared.protocol, prepared.input_hw, runtime, asked=stopping.asked
        )


def _picture(task: PoseTask, prepared: Prepared, recipe: Recipe, where: RunOptions, epoch: int) -> None:
    if where.pictures_every and (epoch % where.pictures_every == 0 or epoch == recipe.epochs):
        from dpn.training.pictures import draw

        path = where.run_folder(recipe).pictures / f"epoch-{epoch:03d}.png"
        draw(task.validated, prepared, Runtime(device=str(task.device)), path)


def _finish(flow: Flow, task: PoseTask, prepared: Prepared, where: RunOptions, steps: int) -> dict[str, Any]:
    """Writes the final weights and then the result, which is what says that the run has ended."""
    recipe = flow.recipe
    result = {
        "recipe": recipe.name, "digest": recipe.digest(), "fields": recipe.identity(), "network": recipe.network,
        "spec_digest": prepared.spec.digest() if prepared.spec else None, "definition": flow.definition,
        "input_hw": list(prepared.input_hw), **recipe.validated_on(),
        "data": flow.data, "people": len(prepared.data), "protocol": prepared.protocol.name,
        "codec": prepared.codec.name, "steps": steps, "seconds": round(flow.spent_s(), 1),
        "scores": flow.scores, "best": flow.best, "device": where.device(), "processes": where.processes,
        "versions": flow.versions, "commit": checkout.commit()[0], "dirty": checkout.commit()[1],
        "legs": flow.legs, "backbone": flow.backbone,
    }  # fmt: skip
    if not rank():
        state.save(flow.folder.final, flow.state(task, {}), resumable=False)
        with written(flow.folder.result_file):
            write_whole(flow.folder.result_file, json.dumps(result, indent=1).encode())
    return result


def versions() -> dict[str, str]:
    """Of what decides the weights that come out."""
    import cv2
    import numpy as np

    return {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__,
            "opencv": cv2.__version__, "lightning": importlib.metadata.version("lightning")}  # fmt: skip
