"""Folders of finished training runs with made-up scores, as `dpn.training.run` leaves them, and records of accuracy."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.evidence import Evidence
from analysis.tabular.accuracy_cells import AS_PUBLISHED
from analysis.trained.trained_runs import printed_aps, stand_in
from bench.recording.trained import collect
from bench.records.record import METRICS, Record
from bench.records.store import Store
from dpn.training.folder import LOG_COLUMNS
from dpn.training.recipes import RECIPES, Recipe
from dpn.zoo import ZOO
from tests.bench.timing_records import count_record

VERSIONS = {"python": "3.11.7", "torch": "2.13.0"}
DATA = {"train": "synthetic:seed=1,images=3200, 3200 people", "val": "synthetic val, seed 2, 500 images 0123456789ab"}
SPREAD = 0.008
"""Deviation of what a seed adds to a score."""


def networks(budget: str = "quick") -> list[str]:
    """The networks of a budget that stand for those of Tables II to V, each once."""
    evidence = Evidence()
    names = (stand_in(evidence, budget, cell.subject) for cell in printed_aps(evidence))
    return [name for name in dict.fromkeys(names) if name]


def score_of(name: str) -> float:
    """A made-up AP: deeper is better, DPM is best, and beside it only the reversed module comes near."""
    score = 0.3 + 0.05 * int(name[3])
    penalties = {"normal": 0.2, "d2": 0.15, "d4": 0.16, "d6": 0.18, "d8": 0.22, "reversed": 0.004, "highres": -0.03}
    return score - sum(penalties.get(word, 0.0) for word in name.split("_"))


def write_run(
    folder: Path, recipe: Recipe, score: float, *, result: Mapping[str, Any] | None = None, steps: int = 1400
) -> Path:  # fmt: skip
    """A folder with result.json and log.csv; `result` replaces entries of the former."""
    folder.mkdir(parents=True)
    spec = ZOO[recipe.network]
    content = {
        "recipe": recipe.name, "digest": recipe.digest(), "fields": recipe.identity(), "network": recipe.network,
        "spec_digest": spec.digest(), "input_hw": list(spec.input_hw), "data": DATA, "people": 731,
        "protocol": "dpn coco", "codec": "quarter", "steps": steps, "seconds": 300.5,
        "scores": {"AP": score, "AR": score + 0.02, "score": score, "mean_oks": score + 0.2},
        "best": {"step": 1300.0, "score": score + 0.001}, "device": "cpu", "versions": VERSIONS,
        "commit": "0123abcd", "dirty": False,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(content | dict(result or {})))
    with (folder / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS)
        writer.writeheader()
        for step in range(10, steps + 1, 10):
            row = {"step": step, "epoch": step // 100, "lr": 1e-3, "seconds": step / 5}
            writer.writerow(row | {"loss": 0.002 + 1 / (step + 100)})
            if step % 100 == 0:
                writer.writerow(row | {"score": score * (1 - (1 - step / steps) ** 4)})
    return folder


def train(folder: Path, budget: str = "quick", names: Iterable[str] | None = None, seeds: int = 3) -> Path:
    """Runs of a budget's networks, as `python -m dpn train` would leave them; returns the folder."""
    for name in networks(budget) if names is None else names:
        for seed in range(seeds):
            recipe = replace(RECIPES[f"{budget}/{name}"], seed=seed)
            noise = np.random.default_rng([seed, *name.encode()]).normal(0, SPREAD)
            write_run(folder / recipe.name / f"seed-{seed}", recipe, score_of(name) + noise)
    return folder


def evidence_of(tmp: Path, **options: Any) -> Evidence:
    """Evidence in which nothing but these runs is measured; options as `train`."""
    found = collect([train(tmp / "runs", **options)], Store(tmp / "records"))
    assert found.refused == []
    return Evidence(records_root=tmp / "records")


def accuracy_record(name: str, metric: str, value: float, **protocol: Any) -> Record:
    """A record of a network's accuracy on the paper's own data."""
    spec = ZOO[name]
    where = {"data_digest": "0123456789ab", "people": 11_731, "protocol": f"dpn {metric}"}
    weights = "sha256:0123456789ab"
    published = {name: value for name, value in AS_PUBLISHED[metric].items() if value is not None}
    told = {"input_hw": list(spec.input_hw), **where, **published, "weights": weights, **protocol}
    return count_record(
        name, metric, 0, {"people": 104_125, "scores": {}}, spec_digest=spec.digest(), protocol=told, machine="made-up",
    ).model_copy(update={"value": value, "unit": METRICS[metric].unit})  # fmt: skip
