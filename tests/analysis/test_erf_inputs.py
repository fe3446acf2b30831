"""Images from noise and from folders, and errors that name the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.effective_fields import erf_inputs
from analysis.effective_fields.erf_inputs import Figures, Folder, InputError, Noise, at_once, read_image, source
from dpn.data.crops import MEAN, STD
from dpn.data.synthetic_set import subject_crops


def save(path: Path, values: "np.typing.ArrayLike", **options: Any) -> Path:
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path, **options)
    return path


def test_noise_is_standard_normal_and_numbered() -> None:
    few, many = (list(Noise(seed=3).images((20, 30), count)) for count in (2, 50))
    assert np.array_equal(few[1], many[1])
    assert not np.array_equal(many[0], many[1])
    assert not np.array_equal(few[0], next(Noise(seed=4).images((20, 30), 1)))
    values = np.stack(many)
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.std() == pytest.approx(1, abs=0.02)


def test_synthetic_figures_are_normalised_and_numbered() -> None:
    few, many = (list(Figures(seed=3).images((64, 48), count)) for count in (2, 4))
    assert np.array_equal(few[1], many[1])
    assert not np.array_equal(many[0], many[1])
    pixels = (many[2].transpose(1, 2, 0) * STD + MEAN) * 255
    assert pixels == pytest.approx(list(subject_crops(3, 4, (64, 48)))[2], abs=1e-3)
    assert source("synthetic", seed=3) == Figures(3)
    assert "seed 3" in Figures(3).name


def test_a_picture_is_resized_and_normalised(tmp_path: Path) -> None:
    """Two halves, red and blue: their means survive, and rows stay rows."""
    halves = np.zeros((40, 20, 3))
    halves[:20, :, 0], halves[20:, :, 2] = 255, 255
    image = read_image(save(tmp_path / "a.png", halves), (64, 48))
    assert image.shape == (3, 64, 48)
    red, blue = ((np.array(color) - MEAN) / STD for color in ((1, 0, 0), (0, 0, 1)))
    assert image[:, 0, 0] == pytest.approx(red, abs=1e-5)
    assert image[:, -1, -1] == pytest.approx(blue, abs=1e-5)


def test_grey_transparent_and_turned_pictures(tmp_path: Path) -> None:
    grey = read_image(save(tmp_path / "grey.png", np.full((8, 8), 128)), (8, 8))
    assert grey[:, 3, 3] == pytest.approx((128 / 255 - np.array(MEAN)) / STD, abs=1e-5)
    assert read_image(save(tmp_path / "alpha.png", np.full((8, 8, 4), 9)), (4, 6)).shape == (3, 4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to see it upright
    halves = np.zeros((16, 32, 3))
    halves[:, :16] = 255
    turned = read_image(save(tmp_path / "turned.png", halves, exif=exif), (32, 16))
    assert turned[0, 2, 8] > turned[0, -3, 8]
    assert turned[0, 2, 2] == turned[0, 2, -3]


def test_a_folder_by_name_and_at_most_so_many(tmp_path: Path) -> None:
    for level, name in ((200, "b.png"), (100, "a.JPG"), (50, "c.bmp")):
        save(tmp_path / name, np.full((8, 8, 3), level), **({"format": "JPEG"} if name.endswith("JPG") else {}))
    (tmp_path / "notes.txt").write_text("no picture")
    found = list(Folder(tmp_path).images((8, 8), 2))
    levels = [float(image[0].mean() * STD[0] + MEAN[0]) * 255 for image in found]
    assert levels == pytest.approx([100, 200], abs=1)
    assert len(list(source(str(tmp_path)).images((8, 8), 64))) == 3


def test_a_bad_picture_is_named_with_its_remedy(tmp_path: Path) -> None:
    whole = save(tmp_path / "b.jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3))).read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a.png").write_text("no picture")
    for name in ("a.png", "b.jpg"):
        with pytest.raises(InputError, match=rf"{name} cannot be decoded: .*; replace it or take it out") as error:
            read_image(tmp_path / name, (8, 8))
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"a\.png cannot be decoded"):
        list(source(str(tmp_path)).images((8, 8), 2))


def test_a_folder_of_other_pictures_has_another_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((8, 8, 3), 100))
    named = [Folder(tmp_path).name]
    assert named[0] == Folder(tmp_path).name
    assert named[0].startswith(f"images of {tmp_path.name}, ")
    (tmp_path / "notes.txt").write_text("no picture")
    assert named[0] == Folder(tmp_path).name
    save(path, np.random.default_rng(0).integers(0, 255, (8, 8, 3)))
    named.append(Folder(tmp_path).name)
    named.append(Folder(path.rename(tmp_path / "b.png").parent).name)
    assert len(set(named)) == 3


def test_a_picture_of_equal_size_is_another_one(tmp_path: Path) -> None:
    sizes, names = set[int](), set[str]()
    for level in (100, 101):
        sizes.add(save(tmp_path / "a.ppm", np.full((8, 8, 3), level)).stat().st_size)
        names.add(Folder(tmp_path).name)
    assert (len(sizes), len(names)) == (1, 2)


def test_of_a_folder_no_more_pictures_than_it_has_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name, np.full((8, 6, 3), 100))
    monkeypatch.setattr(erf_inputs, "MOST_BYTES", 2 * 12 * 8 * 6)
    assert len(at_once(Folder(tmp_path), (8, 6), 64)) == 2
    save(tmp_path / "c.png", np.full((8, 6, 3), 100))
    with pytest.raises(ValueError, match=r"3 images of 8x6 may take .* and 2 of them fit"):
        at_once(Folder(tmp_path), (8, 6), 64)
    assert len(at_once(Folder(tmp_path), (8, 6), 2)) == 2


def test_images_that_would_fill_the_memory_are_refused_before_any_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erf_inputs, "MOST_BYTES", 3 * 12 * 8 * 6)
    assert len(at_once(Noise(), (8, 6), 3)) == 3
    monkeypatch.setattr(Noise, "images", None)
    with pytest.raises(ValueError, match=r"4 images of 8x6 may take .* and 3 of them fit; give fewer --images or a"):
        at_once(Noise(), (8, 6), 4)
    with pytest.raises(ValueError, match="an input of 8x4096 is more than 2,048 px on a side; give a smaller --input"):
        at_once(Noise(), (8, 4096), 1)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no images"):
        source(str(tmp_path))
    with pytest.raises(InputError, match="is no folder; name a folder of images, noise or synthetic"):
        source("noises")
