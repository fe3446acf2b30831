"""Nobody validates a network on what it learns from without knowing."""

from dataclasses import replace
from pathlib import Path

import pytest

from dpn.training.prepare import prepare
from dpn.training.recipes import Recipe
from tests.dpn.data.made_coco_folder import content, put, write_images, write_official


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """On a flat folder, whose only annotations stand for every split."""
    write_images(tmp_path / "flat")
    put(tmp_path / "flat" / "people.json", content())
    return Recipe(name="made-up", network="tests.dpn.training.tiny_network:build", data=str(tmp_path / "flat"))


@pytest.mark.parametrize("people", [0, 2])
def test_the_same_people_on_both_sides_are_refused_unless_asked_for(
    recipe: Recipe, people: int, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(recipe, val_people=people)
    with pytest.raises(ValueError, match="coco flat is both learnt from and validated on") as caught:
        prepare(recipe)
    assert f"; give others with --val-data or --split, or --val-data {recipe.data} to " in str(caught.value)
    assert "\n" not in str(caught.value)
    prepared = prepare(replace(recipe, val_data=recipe.data))
    said = capsys.readouterr().err
    assert (len(prepared.examples), len(prepared.data)) == (3, people or 3)
    assert said.startswith("note: coco flat is both learnt from and validated on")
    assert said.count("\n") == 1


def test_other_people_are_validated_on_without_a_word(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = write_official(tmp_path / "both", content() | {"annotations": content()["annotations"][:1]})
    write_official(both, split="train2017")
    prepare(replace(recipe, data=str(both)))
    prepare(replace(recipe, val_data=str(both)))
    assert capsys.readouterr().err == ""


def test_a_split_that_is_validated_on_too_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    both = write_official(tmp_path / "both")
    with pytest.raises(ValueError, match="coco val2017 is both"):
        prepare(replace(recipe, data=str(both), split="val"))


def test_a_network_of_ones_own_is_trained_at_the_size_that_is_asked_for(recipe: Recipe) -> None:
    prepared = prepare(replace(recipe, val_data=recipe.data, input="128x96"))
    assert prepared.input_hw == prepared.codec.input_hw == (128, 96)
    assert prepare(replace(recipe, val_data=recipe.data)).input_hw == (256, 192)


def test_a_network_of_the_zoo_is_trained_at_its_own_size(recipe: Recipe) -> None:
    recipe = replace(recipe, network="dpn1_32_lite", val_data=recipe.data)
    with pytest.raises(
        ValueError, match="dpn1_32_lite of the zoo is trained at 256x192, not 128x96; leave out --input"
    ):
        prepare(replace(recipe, input="128x96"))
    assert prepare(replace(recipe, input="256x192")).input_hw == (256, 192)
