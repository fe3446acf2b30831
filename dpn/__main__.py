"""python -m dpn: recipes, train, sweep, evaluate, predict, export, score, errors, oracle, data, checkpoint, release."""

import signal

from dpn.program.interrupts import quiet
from dpn.program.missing import told

with quiet(), told():
    from dpn.program import cli
    from dpn.verbs.checkpoint import checkpoint
    from dpn.verbs.data import check, info
    from dpn.verbs.errors import errors
    from dpn.verbs.evaluate import evaluate, oracle
    from dpn.verbs.export import export
    from dpn.verbs.predict import predict
    from dpn.verbs.release import release
    from dpn.verbs.score import SCORE
    from dpn.verbs.sheet import show
    from dpn.verbs.sweep import sweep
    from dpn.verbs.synthetic import synthetic
    from dpn.verbs.train import recipes, train_named

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
                "errors": errors,
                "oracle": oracle,
                "data": cli.Group("Makes, describes, checks and shows data sets.", data),
                "checkpoint": checkpoint,
                "release": release,
            },
        )
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is leaving need not be stopped once more
