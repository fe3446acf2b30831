"""The verb `checkpoint` of `python -m dpn`. Torch is imported when it runs."""

from pathlib import Path

import tyro

from dpn.zoo import ZOO, lookup


def checkpoint(file: tyro.conf.Positional[Path], network: str | None = None) -> None:
    """Says what a file of weights is: which networks it fits, or what is missing in it and unexpected.

    Nothing in the file is executed.

    Args:
        file: weights as their authors released them, a training program's checkpoint, or an ImageNet file.
        network: a name of the zoo; then the question is whether the file loads into that network.
    """
    if network:
        spec = lookup(network)
        import torch

        from dpn.build import build
        from dpn.checkpoints import check

        with torch.device("meta"):
            check(build(spec), file)
        print(f"{file} fits {network} exactly")
        return
    from dpn.identify import identify
    from dpn.weight_files import CheckpointError

    found = identify(file, ZOO)
    if not (found.exactly or found.as_backbone or found.nearly):
        raise CheckpointError(" ".join(f"{found}; python -m bench list names them".split()))
    print(found)
