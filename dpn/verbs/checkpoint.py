"""The verb `checkpoint` of `python -m dpn`. Torch is imported when it runs."""

from pathlib import Path

import tyro

from dpn.program.cli import note
from dpn.zoo import ZOO


def checkpoint(file: tyro.conf.Positional[Path], network: str | None = None) -> None:
    """Says what a file of weights is: which networks it fits, or what is missing in it and unexpected.

    Nothing in the file is executed.

    Args:
        file: weights as their authors released them, a training program's checkpoint, or an ImageNet file.
        network: a name of the zoo, or package.module:factory; then the question is whether the file loads into that
            network.
    """
    if network:
        import torch

        from dpn.checkpoints import check
        from dpn.network_names import built

        with torch.device("meta"):
            net, _ = built(network)
        _, otherwise = check(net, file)
        print(f"{file} fits {network} exactly")
        note(otherwise)
        return
    from dpn.identify import identify
    from dpn.weight_files import CheckpointError

    found = identify(file, ZOO)
    if not (found.exactly or found.as_backbone or found.nearly):
        own = f"--network {found.trained_as} holds it against that one"
        remedy = own if ":" in found.trained_as else "python -m bench list names them"
        raise CheckpointError(" ".join(f"{found}; {remedy}".split()))
    print(found)
