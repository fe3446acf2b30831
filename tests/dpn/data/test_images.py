"""Images from folders and archives: whole ones come as they were stored, all others are named errors."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from dpn.arrays import Pixels
from dpn.data.images import LARGEST_PX, FolderImages, ZipImages, decode, open_images, read_image
from dpn.data.mat_format import MOST_BYTES
from dpn.data.problems import DataError
from tests.dpn.data.made_coco_folder import IMAGES, file_name, write_images, zipped

EXIF_TURNED = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
"""An EXIF header with a single entry: orientation 6, a camera held upright."""


def picture(height: int = 40, width: int = 60) -> Pixels:
    rng = np.random.default_rng(0)
    return np.asarray(cv2.resize(rng.integers(0, 255, (5, 5, 3), np.uint8), (width, height)), np.uint8)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def by_opencv(data: bytes) -> Pixels:
    """In OpenCV's own way, which turns images and fills what is missing."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def encoded(ending: str = ".jpg", image: Pixels | None = None) -> bytes:
    return bytes(cv2.imencode(ending, picture() if image is None else image)[1])


def with_segment(jpeg: bytes, payload: bytes) -> bytes:
    """An APP1 segment behind the start of a JPEG."""
    return jpeg[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + jpeg[2:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "val2017")
    return tmp_path / "val2017"


def test_an_image_that_is_too_wide_to_be_warped_is_refused() -> None:
    wide = np.zeros((2, LARGEST_PX + 1, 3), np.uint8)
    assert decode(encoded(".png", wide[:, 1:]), "wide.png").shape[1] == LARGEST_PX
    with pytest.raises(DataError, match="32767 x 2 px, more than 32766 on a side; make it smaller"):
        decode(encoded(".png", wide), "wide.png")


def test_a_device_or_a_pipe_is_no_image_and_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "endless.jpg").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "silent.jpg")
    for name in ("endless.jpg", "silent.jpg"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read \(is no regular file\)"):
            read_image(tmp_path / name)


def test_exif_orientation_is_ignored_unless_the_image_is_to_be_upright() -> None:
    """Trap of section 1: annotations know nothing of how the camera was held."""
    turned = with_segment(encoded(), EXIF_TURNED)
    assert by_opencv(turned).shape == (60, 40, 3)
    assert np.array_equal(decode(turned, "x"), decode(encoded(), "x"))
    assert np.array_equal(decode(turned, "x", upright=True), by_opencv(turned))


def test_channels_are_blue_green_red() -> None:
    """Trap 11.6: whoever wants red first has to turn them round."""
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 2] = 255
    assert decode(encoded(".png", red), "x")[3, 3].tolist() == [0, 0, 255]


def test_grey_images_have_three_channels() -> None:
    grey = encoded(image=picture()[..., 0])
    assert decode(grey, "x").shape == (40, 60, 3)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_images_that_are_cut_short_are_refused(ending: str, share: float, tmp_path: Path) -> None:
    data = encoded(ending, noise(200, 300))
    path = tmp_path / f"cut{ending}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=f"cut{ending}: the image is cut short after .*; download"):
        read_image(path)


def test_opencv_alone_would_not_notice(tmp_path: Path) -> None:
    """What the check is for: OpenCV reads half a file as grey below, or a few bytes too little in memory."""
    data = encoded(image=noise(200, 300))
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    assert np.asarray(cv2.imread(str(tmp_path / "cut.jpg"))).shape == (200, 300, 3)
    almost = data[:-300] + bytes(300)
    assert by_opencv(almost).shape == (200, 300, 3)
    with pytest.raises(DataError, match="cut short"):
        decode(almost, "x")


def test_the_rest_of_a_download_in_zeros_is_no_end() -> None:
    data = encoded(image=noise(200, 300))
    with pytest.raises(DataError, match="cut short"):
        decode(data[: len(data) // 2] + bytes(len(data) // 2), "x")


def test_the_end_of_a_thumbnail_is_not_that_of_the_image() -> None:
    data = with_segment(encoded(image=noise(200, 300)), b"Exif\0\0" + encoded())
    assert decode(data, "x").shape == (200, 300, 3)
    with pytest.raises(DataError, match="cut short"):
        decode(data[: len(data) // 2], "x")
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(data[: data.index(b"\xff\xd9") + 2], "x")


def test_bytes_behind_the_end_do_no_harm() -> None:
    assert np.array_equal(decode(encoded() + b"\0\0camera", "x"), decode(encoded(), "x"))


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\xff\xd8\xff\xd9", b"\xff\xd8", b"\x89PNG\r\n\x1a\nIEND"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: the image "):
        decode(data, "x")


def swapped(data: bytes, place: int) -> bytes:
    """With another byte there."""
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def test_nobody_but_the_error_says_what_is_wrong_with_an_image(capfd: pytest.CaptureFixture[str]) -> None:
    """OpenCV and libpng would, on standard error, beside it."""
    png = encoded(".png", noise(40, 60))
    middle = len(png) // 2
    for data in (swapped(png, middle), swapped(png, 18), png[:middle] + png[-12:], png[:-4], encoded(".webp")[:50]):
        with pytest.raises(DataError, match=r"^x: the image (is damaged|cannot be decoded); download"):
            decode(data, "x")
    assert capfd.readouterr() == ("", "")


def test_a_png_is_taken_whatever_is_wrong_with_what_is_no_pixel_of_it() -> None:
    """Such as a comment, whose name begins with a small letter."""
    png = encoded(".png")
    comment = (4).to_bytes(4, "big") + b"tEXt" + b"a\0bc" + b"0000"
    np.testing.assert_array_equal(decode(png[:33] + comment + png[33:], "x"), picture())
    np.testing.assert_array_equal(decode(png + b"more", "x"), picture())


def test_missing_images_are_named(tmp_path: Path) -> None:
    """Trap 11.15: a missing image must not die inside OpenCV."""
    with pytest.raises(DataError, match=r"gone\.jpg: there is no such image; download"):
        FolderImages(tmp_path).read("gone.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name, message in (("folder.jpg", "is a folder"), ("nul\0.jpg", "cannot be read")):
        with pytest.raises(DataError, match=message):
            FolderImages(tmp_path).read(name)


def test_an_archive_holds_what_its_folder_held(folder: Path) -> None:
    zipped(folder, archive := folder.parent / "val2017.zip")
    images, archived = open_images(folder), open_images(archive)
    for image_id, width, height in IMAGES:
        name = file_name(image_id)
        assert images.read(name).shape == (height, width, 3)
        assert np.array_equal(images.read(name), archived.read(name))
        assert images.find(name) == str(folder / name)
        assert archived.find(name) == f"{archive}/val2017/{name}"
    assert images.find("gone.jpg") is archived.find("gone.jpg") is None
    with pytest.raises(DataError, match=r"val2017\.zip/val2017/gone\.jpg: there is no such file in the archive"):
        archived.read("gone.jpg")


def test_an_archive_of_several_folders_is_read_by_full_names(folder: Path) -> None:
    archive = folder.parent / "both.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for inside in ("a/1.jpg", "b/1.jpg"):
            target.write(folder / file_name(7), inside)
        target.writestr("__MACOSX/a/._1.jpg", b"")
    assert open_images(archive).find("b/1.jpg") == f"{archive}/b/1.jpg"


def test_archives_go_to_other_processes_without_their_handle(folder: Path) -> None:
    zipped(folder, archive := folder.parent / "val2017.zip")
    images = ZipImages(archive, "val2017")
    expected = images.read(file_name(7))
    assert np.array_equal(pickle.loads(pickle.dumps(images)).read(file_name(7)), expected)


FORKED = """
import os, sys
from pathlib import Path
import numpy as np
from dpn.data.images import open_images

images = open_images(Path(sys.argv[1]))
names = sys.argv[2:]
expected = {name: images.read(name) for name in names}  # the handle is open before the fork
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        same = all(np.array_equal(images.read(name), expected[name]) for _ in range(100) for name in names)
        os._exit(0 if same else 1)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_forked_processes_do_not_move_each_others_place_in_an_archive(folder: Path) -> None:
    zipped(folder, archive := folder.parent / "val2017.zip")
    arguments = [sys.executable, "-c", FORKED, str(archive), *(file_name(image_id) for image_id, _, _ in IMAGES)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0, 0, 0]", done.stderr


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.999])
def test_archives_that_are_cut_short_are_refused(folder: Path, share: float) -> None:
    zipped(folder, archive := folder.parent / "val2017.zip")
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"val2017\.zip: the zip archive is cut short or damaged; download"):
        open_images(archive)


def test_damage_inside_an_archive_is_found_when_it_is_read(folder: Path) -> None:
    zipped(folder, archive := folder.parent / "val2017.zip")
    data = bytearray(archive.read_bytes())
    data[data.index(b"JFIF") + 300] ^= 0xFF
    archive.write_bytes(data)
    images = open_images(archive)
    problems = []
    for image_id, _, _ in IMAGES:
        try:
            images.read(file_name(image_id))
        except DataError as error:
            problems.append(str(error))
    assert len(problems) == 1
    assert "cannot be read from the archive" in problems[0]
    assert "Bad CRC-32" in problems[0]


def test_paths_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or zip archive"):
        open_images(tmp_path / "val2017")
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as target:
        target.writestr("readme.txt", "")
    (tmp_path / "text.zip").write_bytes(empty.getvalue())
    with pytest.raises(DataError, match="no images in this archive"):
        open_images(tmp_path / "text.zip")


def test_what_an_archive_says_is_too_large_is_not_unpacked(folder: Path) -> None:
    zipped(folder, archive := folder.parent / "val2017.zip")
    data = bytearray(archive.read_bytes())
    entry = data.rindex(b"PK\1\2")  # of the archive's list: the size is 24 bytes on
    data[entry + 24 : entry + 28] = (MOST_BYTES + 1).to_bytes(4, "little")
    archive.write_bytes(data)
    name = max(file_name(image_id) for image_id, _, _ in IMAGES)
    message = rf"val2017\.zip/val2017/{name}: has 2,147,483,649 bytes when it is unpacked, more than 2,147,483,648"
    with pytest.raises(DataError, match=message):
        open_images(archive).read(name)


def test_images_are_known_by_names_and_bytes(folder: Path) -> None:
    """Of those that are used alone, in whatever order, in a folder or its archive; one that is gone counts as gone."""
    names = [file_name(image_id) for image_id, _, _ in IMAGES[:2]]
    zipped(folder, archive := folder.parent / "before.zip")
    images, archived = open_images(folder), open_images(archive)
    before = images.digest(names)
    assert {images.digest(names[::-1]), archived.digest(names), archived.digest(names[::-1])} == {before}
    (folder / file_name(IMAGES[2][0])).unlink()
    assert images.digest(names) == before
    (folder / names[0]).write_bytes((folder / names[0]).read_bytes()[:-1] + b"!")
    zipped(folder, after := folder.parent / "after.zip")
    assert images.digest(names) == open_images(after).digest(names) != before
    (folder / names[0]).unlink()
    assert images.digest(names) not in (before, images.digest(names[1:]))
