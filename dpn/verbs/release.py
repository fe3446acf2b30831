"""The verb `release` of `python -m dpn`: a finished run's weights become those that come with this project."""

import io
import json
from pathlib import Path

import tyro

from dpn.program.whole_files import write_whole
from dpn.released import FOLDER
from dpn.training.folder import RunFolder

KEPT = ("recipe", "digest", "data", "versions", "step")
"""What a file of released weights says beside them."""


def release(run: tyro.conf.Positional[Path], folder: Path = FOLDER) -> None:
    """Writes a finished run's final weights and its result to where networks find those that come with this project.

    Batch norm's counts of batches, which inference never reads, are left out: they are as many files in the archive as
    there are layers.

    Args:
        run: the folder of the run.
        folder: where to.
    """
    result = RunFolder(run).result()
    if result is None:
        raise ValueError(f"{run} holds no finished run; train it to its end first")
    import torch

    from dpn.weight_files import load_plain

    content = load_plain(RunFolder(run).final)
    weights = {name: tensor for name, tensor in content["state_dict"].items() if "num_batches" not in name}
    buffer = io.BytesIO()
    torch.save({"state_dict": weights, **{name: content[name] for name in KEPT}}, buffer)
    path = folder / f"{result['network']}.pt"
    write_whole(path, buffer.getbuffer())
    write_whole(path.with_suffix(".json"), (json.dumps(result, indent=1) + "\n").encode())
    print(f"{path}: {buffer.tell() / 1e6:.2f} MB, score {result['scores']['score']:.4f}")
