"""`python -m dpn`: recipes, train, sweep, evaluate, predict, export, score, oracle, data, checkpoint."""

import signal
from pathlib import Path

import tyro

from dpn import cli
from dpn.data_verbs import check, info
from dpn.evaluate_verbs import evaluate, oracle
from dpn.export_verbs import export
from dpn.predict_verbs import predict
from dpn.score_verbs import SCORE
from dpn.sheet_verbs import show
from dpn.sweep_verbs import sweep
from dpn.synthetic_verbs import synthetic
from dpn.train_verbs import recipes, train_named
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
    from dpn.checkpoints import CheckpointError
    from dpn.identify import identify

    found = identify(file, ZOO)
    if not (found.exactly or found.as_backbone or found.nearly):
        raise CheckpointError(" ".join(f"{found}; python -m bench list names them".split()))
    print(found)


if __name__ == "__main__":
    data: dict[str, cli.Verb] = {"synthetic": synthetic, "info": info, "check": check, "show": show}
    try:
        cli.run(
            "python -m dpn",
            "Trains, evaluates and applies pose networks.",
            {
                "recipes": recipes,
                "train": cli.ByName("RECIPE", "Trains a recipe, or goes on with a run that was stopped.", train_named),
                "sweep": sweep,
                "evaluate": evaluate,
                "predict": predict,
                "export": export,
                "score": SCORE,
                "oracle": oracle,
                "data": cli.Group("Makes, describes, checks and shows data sets.", data),
                "checkpoint": checkpoint,
            },
        )
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is leaving need not be stopped once more
