"""The verb `erf`: estimates effective receptive fields, prints what they come to, and writes maps and numbers."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from analysis.effective_fields import erf_inputs
from analysis.effective_fields.erf_estimate import Estimate, Scalar
from analysis.effective_fields.trained_weights import doubt, initial_kind, load_trained
from analysis.effective_fields.untraced_axes import caution
from bench.machine import environment
from bench.subject import Subject, resolve
from dpn.input_size import asked_hw
from dpn.program.cli import Json, Network, note
from dpn.program.progress import progress
from dpn.program.quantities import so_many
from dpn.program.whole_files import whole, write_whole

if TYPE_CHECKING:
    from analysis.effective_fields.effective import Done, Question


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which field, of which weights, from which images.

    Attributes:
        input: height and width of the input, such as 256x192; by default the network's own.
        of: the map of the unit: the path of the module that returns it, such as dpm.1, or output; every map is taken
            for (B, C, H, W), channels first.
        to: the map that the field is in, likewise, or input; several are separated by commas.
        unit: row and column of the unit, such as 32,24; by default the middle of its map.
        images: how many; of a folder at most so many.
        source: noise, synthetic (figures drawn by a program), or a folder of images.
        weights: a file of trained weights, or released for those that come with this project; without, weights are
            random, even where dpn would take the released ones.
        initial: how random weights are drawn: calibrated (He et al., batch norm fitted to the images), he (batch norm
            left alone), given (as the network is built); by default calibrated, and given for a network of your own
            that dpn.build does not make, or that its factory has trained.
        seeds: random initialisations, numbered from 0; where there are several each is one independent draw.
        recipe: squared, absolute or replknet.
        batch: images in one pass.
    """

    input: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    of: str = "output"
    to: str = "input"
    unit: Annotated[str | None, tyro.conf.arg(metavar="Y,X")] = None
    images: int = 64
    source: str = "noise"
    weights: Path | None = None
    initial: str | None = None
    seeds: int = 1
    recipe: str = "squared"
    batch: int = 8

    def input_hw(self) -> tuple[int, int] | None:
        """The input size asked for."""
        return asked_hw(self.input)

    def units(self) -> tuple[tuple[int, int], ...] | None:
        """The unit asked for, as the estimator takes it."""
        if self.unit is None:
            return None
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", self.unit)
        if match is None:
            raise ValueError(f"--unit is ROW,COLUMN, such as 32,24, not {self.unit!r}")
        return ((int(match[1]), int(match[2])),)

    def question(self) -> "Question":
        """All of it that concerns the field."""
        from analysis.effective_fields.effective import Question

        to = tuple(dict.fromkeys(name.strip() for name in self.to.split(",")))
        return Question(units=self.units(), of=self.of, to=to, recipe=self.recipe, batch=self.batch)


def erf(
    network: Network,
    asked: Annotated[Asked, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="field")] = Asked(),
    out: Path | None = None,
    as_json: Json = False,
) -> None:
    """Estimates the effective receptive field of a unit, and says how large it is, with n and 95 % intervals.

    Args:
        network: of the zoo, or your own as package.module:factory.
        asked: which field, of which weights, from which images.
        out: a folder for the maps (npy) and the numbers (json); made when it does not exist.
        as_json: print one object a field.
    """
    if asked.images < 1 or asked.seeds < 1:
        raise ValueError(f"--images {asked.images}, --seeds {asked.seeds}: at least one of each is needed")
    subject = resolve(network, asked.input_hw())
    question = asked.question()
    source = erf_inputs.source(asked.source)
    pictures = erf_inputs.at_once(source, subject.input_hw, asked.images)
    note(doubt(subject, asked.initial, asked.weights))
    with progress(network, len(pictures) * asked.seeds) as bar:
        found, weights = _estimated(subject, asked, question, pictures, bar.advance)
    note(caution({name: reason for one in found.values() for name, reason in one.untraced.items()}))
    for one in found.values():
        facts = _facts(subject, asked, source.name, weights, one, len(pictures))
        if out is not None:
            facts["files"] = [str(path) for path in _write(out, facts, one)]
        print(json.dumps(facts) if as_json else "\n".join(_lines(facts)))
        note(_astray(facts))


def _estimated(
    subject: Subject, asked: Asked, question: "Question", pictures: list[erf_inputs.Image], done: "Done"
) -> tuple[dict[str, Estimate], str]:
    """The fields, and what weights they are of."""
    from analysis.effective_fields.effective import estimate_random, estimates

    if asked.weights is None:
        initial, seeds = initial_kind(subject, asked.initial), range(asked.seeds)
        found = estimate_random(subject.factory, seeds, pictures, question, weights=initial, done=done)
        return found, f"random, {initial}"
    if asked.seeds > 1 or asked.initial:
        raise ValueError("--weights are given, so there is nothing to initialise; leave --initial and --seeds out")
    return estimates(load_trained(subject, asked.weights), pictures, question, done=done), str(asked.weights)


def _facts(
    subject: Subject, asked: Asked, source: str, weights: str, one: Estimate, images: int
) -> dict[str, Any]:  # fmt: skip
    """Everything about one field but its maps, ready for JSON."""
    offset, spread = one.offset or (None, None)
    return {
        "name": subject.name,
        "spec_digest": subject.spec_digest(),
        "input_hw": list(subject.input_hw),
        "of": one.of,
        "to": one.to,
        "unit": list(one.unit),
        "centre": list(one.centre),
        "map_hw": list(one.mean.shape),
        "of_shape": list(one.of_shape),
        "to_shape": list(one.to_shape),
        "untraced": dict(one.untraced),
        "recipe": one.recipe,
        "source": source,
        "images": images,
        "weights": weights,
        "seeds": asked.seeds,
        "n": one.independent,
        "draws": "images" if asked.seeds == 1 else "initialisations",
        "saturated": one.saturated,
        "border_share": one.border_share,
        "scalars": {name: _scalar(scalar) for name, scalar in one.scalars().items()},
        "offset": offset,
        "spread": spread,
        "radial_mass": one.radial_mass().tolist(),
        "convergence": one.convergence().tolist(),
        "versions": environment.versions(),
    }


def _scalar(scalar: Scalar) -> dict[str, Any]:
    interval = None if scalar.interval is None else [scalar.interval.low, scalar.interval.high]
    return {"value": scalar.value, "interval": interval, "n": scalar.n}


def _lines(facts: dict[str, Any]) -> list[str]:
    """The facts for people."""
    unit = ", ".join(map(str, facts["unit"]))
    of, to = (f"{facts[name]} ({_shape(*facts[f'{name}_shape'])})" for name in ("of", "to"))
    lines = [
        f"{facts['name']}: unit ({unit}) of {of} in {to}, recipe {facts['recipe']}, "
        f"{so_many(facts['images'], 'image')} ({facts['source']}), weights {facts['weights']}; "
        f"n = {so_many(facts['n'], facts['draws'].removesuffix('s'))}"
    ]
    for name, scalar in facts["scalars"].items():
        value = "none" if scalar["value"] is None else f"{scalar['value']:.4g}"
        low_high = "" if scalar["interval"] is None else "[{:.4g}, {:.4g}]".format(*scalar["interval"])
        lines.append(f"  {name:<22}{value:>9}  {low_high}".rstrip())
    for axis, by, spread in zip("yx", facts["offset"] or (), facts["spread"] or (), strict=True):
        where = f"of the centre of mass from the unit; standard deviation about it {spread:.4g}"
        lines.append(f"  {f'offset_{axis}':<22}{by:>9.4g}  {where}")
    if facts["n"] == 1:
        lines.append(f"  one {facts['draws'].removesuffix('s')}: no intervals")
    at_border = "yes: the map cuts the field off, its size says more of the map" if facts["saturated"] else "no"
    lines.append(f"  {'saturated':<22}{at_border:>9}")
    return [*lines, *(f"  {path}" for path in facts.get("files", ()))]


def _astray(facts: dict[str, Any]) -> str:
    """What to tell of a field that lies elsewhere than its unit; nothing of another."""
    offset, spread = facts["offset"] or (), facts["spread"] or ()
    if all(abs(by) <= max(about, 1.0) for by, about in zip(offset, spread, strict=True)):
        return ""
    return (
        f"the field of {facts['of']} in {facts['to']} lies off its unit, by more than its standard deviation about its "
        "own centre: areas and sigmas, which are about the unit, say more of that than of its size"
    )


def _shape(channels: int, height: int, width: int) -> str:
    return f"{so_many(channels, 'channel')}, {height}x{width}"


def _write(out: Path, facts: dict[str, Any], one: Estimate) -> tuple[Path, Path]:
    """Writes the maps (n, H, W) and the facts; each file appears whole or not at all."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    stem = re.sub(r"[^\w.-]+", "-", f"erf-{facts['name']}-{facts['of']}-{facts['to']}")
    maps, numbers = out / f"{stem}.npy", out / f"{stem}.json"
    with whole(maps) as beside, beside.open("wb") as file:
        np.save(file, one.maps)
    write_whole(numbers, (json.dumps(facts, indent=1) + "\n").encode())
    return maps, numbers
