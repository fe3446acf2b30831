"""Images from folders and from archives as they are distributed, read one at a time. Imports no torch."""

import os
import re
import zipfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from dpn.arrays import Pixels
from dpn.data.mat_format import MOST_BYTES
from dpn.data.people import ImageFiles
from dpn.data.problems import DataError, Problem, unreadable
from dpn.digests import digest_of
from dpn.program.whole_files import refuse_special

AGAIN = "download or copy it again"
SMALLER = "make it smaller"
LARGEST_PX = 32_766
"""Of an image's side: OpenCV's warps count in 16 bits."""
_NAME_IT = "name the one with the images"
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)
"""What the zip reader raises for a damaged, encrypted or otherwise unreadable member."""
_PNG = b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker of a JPEG's entropy-coded data: neither a stuffed byte, nor a restart, nor filling."""

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong with an image is said here, once


class FolderImages(ImageFiles):
    """Images that lie in a folder.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def read(self, name: str) -> Pixels:
        """See `Images.read`."""
        return read_image(self.root / name)

    def find(self, name: str) -> str | None:
        """See `Images.find`."""
        path = self.root / name
        return str(path) if path.is_file() else None

    def digest(self, names: Iterable[str]) -> str:
        """See `ImageFiles.digest`; 5,000 images take about a second where the system has them in memory."""
        return digest_of({name: _checksum_of(self.root / name) for name in names})


class ZipImages(ImageFiles):
    """Images in a zip archive, which every process opens for itself when it reads its first one.

    Attributes:
        archive: the zip file.
        prefix: the folder inside in which the images are, such as "val2017"; empty for the top.
    """

    def __init__(self, archive: Path, prefix: str = "") -> None:
        self.archive = Path(archive)
        self.prefix = prefix.strip("/")

    def _zip(self) -> zipfile.ZipFile:
        return _opened_here(self.archive, self.archive.stat().st_mtime_ns if self.archive.is_file() else 0, os.getpid())

    def _inside(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def read(self, name: str) -> Pixels:
        """See `Images.read`."""
        return decode(read_member(self._zip(), self._inside(name)), f"{self.archive}/{self._inside(name)}")

    def find(self, name: str) -> str | None:
        """See `Images.find`."""
        inside = self._inside(name)
        return f"{self.archive}/{inside}" if inside in self._zip().NameToInfo else None

    def digest(self, names: Iterable[str]) -> str:
        """See `ImageFiles.digest`; none is unpacked, the archive's list has the checksums."""
        members = self._zip().NameToInfo
        return digest_of({name: getattr(members.get(self._inside(name)), "CRC", None) for name in names})


@lru_cache(maxsize=8)
def _opened_here(archive: Path, _changed_ns: int, _process: int) -> zipfile.ZipFile:
    """A process's own handle: two that share one would move each other's place in the file.

    It outlives the `ZipImages`, of which worker processes are sent many: listing the 118,287 members of train2017.zip
    takes a second.
    """
    return open_zip(archive)


def open_images(path: Path) -> FolderImages | ZipImages:
    """The images of a folder, or of an archive such as val2017.zip, in whichever folder inside they lie.

    Raises:
        DataError: there is no such folder or archive, or the archive is cut short.
    """
    if path.is_dir():
        return FolderImages(path)
    if not path.is_file():
        raise DataError(Problem(str(path), "", "there is no such folder or zip archive", _NAME_IT))
    with open_zip(path) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(ENDINGS) and "__MACOSX/" not in name]
    if not names:
        raise DataError(Problem(str(path), "", "there are no images in this archive", _NAME_IT))
    folders = {str(PurePosixPath(name).parent) for name in names}
    folder = folders.pop()
    return ZipImages(path, folder if not folders and folder != "." else "")


def open_zip(path: Path) -> zipfile.ZipFile:
    """The archive, its list of members read.

    Raises:
        DataError: there is no such file, or it is no complete zip archive.
    """
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise DataError(Problem(str(path), "", "there is no such file", AGAIN)) from None
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError):
        raise DataError(Problem(str(path), "", "the zip archive is cut short or damaged", AGAIN)) from None
    except OSError as error:
        raise unreadable(path, error) from None


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one member of an archive, checked against its checksum.

    Raises:
        DataError: there is no such member, or it is damaged, or it says that it is larger than `MOST_BYTES`.
    """
    file = f"{archive.filename}/{name}"
    member = archive.NameToInfo.get(name)
    if member and member.file_size > MOST_BYTES:
        message = f"has {member.file_size:,} bytes when it is unpacked, more than {MOST_BYTES:,}"
        raise DataError(Problem(file, "", message, SMALLER))
    try:
        return archive.read(name)
    except KeyError:
        raise DataError(Problem(file, "", "there is no such file in the archive", AGAIN)) from None
    except _ARCHIVE_ERRORS as error:
        raise DataError(Problem(file, "", f"cannot be read from the archive ({error})", AGAIN)) from None


def _checksum_of(path: Path) -> int | None:
    try:
        return zlib.crc32(path.read_bytes())
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None


def read_image(path: Path, *, upright: bool = False) -> Pixels:
    """The image of that file, (H, W, 3) uint8, blue, green, red, turned as it was stored.

    The published code reads with the flags IMREAD_COLOR and IMREAD_IGNORE_ORIENTATION: annotations do not know of a
    camera's EXIF orientation.

    Args:
        path: of the file.
        upright: turn it as EXIF says the camera was held; for photographs that nobody has annotated.

    Raises:
        DataError: there is no such file, it is cut short or too large, or it is no image.
    """
    try:
        refuse_special(path)  # a pipe may never end, nor a device
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(Problem(str(path), "", "there is no such image", AGAIN)) from None
    except IsADirectoryError:
        raise DataError(Problem(str(path), "", "is a folder", f"name images, such as {path}/*.jpg")) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    return decode(data, str(path), upright=upright)


def decode(data: bytes, file: str, *, upright: bool = False) -> Pixels:
    """The image in these bytes, as `read_image` returns it; `file` is its name for messages.

    Raises:
        DataError: the bytes are cut short, or no image, or too large a one.
    """
    if not _whole(data):
        raise DataError(Problem(file, "", f"the image is cut short after {len(data)} bytes", AGAIN))
    if data.startswith(_PNG) and not _png_is_sound(data):  # libpng would say so too, on standard error
        raise DataError(Problem(file, "", "the image is damaged", AGAIN))
    try:
        flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise DataError(Problem(file, "", "the image cannot be decoded", AGAIN))
    if max(image.shape) > LARGEST_PX:
        height, width = image.shape[:2]
        message = f"the image has {width} x {height} px, more than {LARGEST_PX} on a side"
        raise DataError(Problem(file, "", message, SMALLER))
    return np.asarray(image, np.uint8)


def _whole(data: bytes) -> bool:
    """Whether the image has its end: OpenCV fills what is missing with grey and says nothing.

    A hole before the end of a JPEG is not found here; `dpn.data.check` finds it.
    """
    if data.startswith(_PNG):
        return b"IEND" in data[-64:] or b"IEND" in data
    if data[:2] != b"\xff\xd8":
        return bool(data)
    return data[-2:] == b"\xff\xd9" or _jpeg_ends(data)


def _png_is_sound(data: bytes) -> bool:
    """Whether those parts of a PNG that pixels come from are whole, by their checksums."""
    place, kind = len(_PNG), b""
    while kind != b"IEND":
        kind, end = data[place + 4 : place + 8], place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 > len(data):
            return False
        if kind[:1].isupper() and zlib.crc32(memoryview(data)[place + 4 : end]) != int.from_bytes(
            data[end : end + 4], "big"
        ):
            return False
        place = end + 4
    return True


def _jpeg_ends(data: bytes) -> bool:
    """Whether a JPEG that does not end with its end marker has one, before bytes that do not matter.

    A thumbnail inside has one too; therefore the segments are walked, and theirs is skipped with the rest of them.
    """
    place = 2
    while found := _MARKER.search(data, place):
        kind, place = data[found.end() - 1], found.end()
        if kind == 0xD9:
            return True
        if kind != 0x01:  # 01 and restarts alone have no length
            place += int.from_bytes(data[place : place + 2], "big")
    return False
