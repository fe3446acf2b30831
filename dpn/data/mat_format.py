"""MATLAB's file format of versions 5 to 7, as far as numbers, text, cells and structures go. Imports no torch.

scipy reads it too, but a wrong byte in a file can end the whole process there (a segmentation fault); here it is an
error. Cells and structures are decoded where they are asked for: the data set's own file holds millions of them.
Source: "MAT-File Format", The MathWorks, the chapter on level 5.
"""

import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Order = Literal["big", "little"]
HEADER_BYTES = 128
VERSION = 0x0100
_MATRIX, _COMPRESSED = 14, 15
_CELLS, _STRUCTURES, _CHARACTERS, _FIRST_NUMBER, _DOUBLE, _LAST_NUMBER = 1, 2, 4, 6, 6, 15
_COMPLEX = 0x800
_INT8, _INT32, _UINT32, _FLOAT64, _UTF8 = 1, 5, 6, 9, 16
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MOST_BYTES = 2**31
"""Nothing may decompress to more, here and in archives; MPII's largest file has some hundred million bytes."""


class FormatError(ValueError):
    """The bytes are not what the format says."""


class Item(NamedTuple):
    """One element of a file: its type, its data, and in which order a number's bytes come."""

    kind: int
    data: memoryview
    order: Order

    def numbers(self) -> Array:
        """The data as numbers, of the type in which they are stored."""
        if self.kind not in _NUMBERS:
            raise FormatError(f"an element of type {self.kind} where numbers should be")
        dtype = np.dtype(_NUMBERS[self.kind]).newbyteorder(">" if self.order == "big" else "<")
        if len(self.data) % dtype.itemsize:
            raise FormatError("a number that is cut in two")
        return np.frombuffer(self.data, dtype)

    def text(self) -> str:
        """The data as characters."""
        if self.kind not in _TEXT:
            raise FormatError(f"an element of type {self.kind} where text should be")
        coding = _TEXT[self.kind]
        wide = f"{coding}-{'be' if self.order == 'big' else 'le'}"
        try:
            return str(self.data, wide if coding in ("utf-16", "utf-32") else coding)
        except UnicodeDecodeError as error:
            raise FormatError("text that is none") from error


@dataclass(frozen=True)
class Cells:
    """A cell array: values of any kind, counted along its first dimension first."""

    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> "Value":
        return value(self.items[index])


@dataclass(frozen=True)
class Structures:
    """An array of structures, counted along its first dimension first.

    Attributes:
        fields: the names that they all have.
        items: one for each field of each structure, those of the first structure first.
    """

    fields: tuple[str, ...]
    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items) // len(self.fields) if self.fields else 0

    def get(self, index: int, field: str) -> "Value":
        """One field of one structure."""
        if not 0 <= index < len(self):
            raise FormatError(f"there is no structure {index} among {len(self)}")
        if field not in self.fields:
            raise FormatError(f"there is no field {field} among {', '.join(self.fields)}")
        return value(self.items[index * len(self.fields) + self.fields.index(field)])


Value = Array | str | Cells | Structures


def items_in(data: memoryview, order: Order) -> Iterator[Item]:
    """The elements that lie one behind the other in these bytes."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise FormatError("it ends within the head of an element")
        kind = int.from_bytes(data[at : at + 4], order)
        size, start = int.from_bytes(data[at + 4 : at + 8], order), at + 8
        if kind >> 16:  # up to four bytes of data stand in the head itself
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise FormatError("an element is larger than its place")
        if start + size > len(data):
            raise FormatError(f"it ends {start + size - len(data)} bytes too early")
        yield Item(kind, data[start : start + size], order)
        at = start + size if kind == _COMPRESSED else start + size + -(start + size) % 8


def _opened(item: Item) -> tuple[int, tuple[int, ...], str, Iterator[Item]]:
    """An array's flags, shape and name, and what follows."""
    if item.kind != _MATRIX:
        raise FormatError(f"an element of type {item.kind} where an array should be")
    inside = items_in(item.data, item.order)
    try:
        flags, shape, name = (next(inside) for _ in range(3))
    except RuntimeError as error:  # Python's word for a generator that runs dry in another
        raise FormatError("an array without a head") from error
    if flags.kind != _UINT32 or not len(flags.data) or shape.kind != _INT32:
        raise FormatError("an array with a head of other types")
    sides = tuple(shape.numbers().tolist())
    if min(sides, default=-1) < 0:
        raise FormatError("an array of no size")
    return int(flags.numbers()[0]), sides, name.text(), inside


def value(item: Item) -> Value:
    """What an array element holds: numbers in their shape, a string, or cells or structures to look into."""
    if item.kind == _MATRIX and not item.data:
        return np.zeros((0, 0))
    flags, shape, _, inside = _opened(item)
    kind, count = flags & 0xFF, math.prod(shape)
    if kind == _CELLS:
        return Cells(_exactly(count, inside))
    if kind == _STRUCTURES:
        return _structures(count, inside)
    content = next(inside, None)
    if content is None:
        raise FormatError("an array without content")
    if kind == _CHARACTERS:
        return content.text()
    if not _FIRST_NUMBER <= kind <= _LAST_NUMBER or flags & _COMPLEX:
        raise FormatError(f"an array of class {kind}, which is neither real numbers nor text, cells or structures")
    numbers = content.numbers()
    if len(numbers) != count:
        raise FormatError(f"{len(numbers)} numbers where the shape needs {count}")
    try:
        return numbers.reshape(shape, order="F")
    except ValueError as error:  # numpy's arrays end at 64 dimensions
        raise FormatError(f"an array of a shape that none can have ({error})") from error


def _exactly(count: int, items: Iterator[Item]) -> tuple[Item, ...]:
    found = tuple(items)
    if len(found) != count:
        raise FormatError(f"{len(found)} values where the shape needs {count}")
    return found


def _structures(count: int, inside: Iterator[Item]) -> Structures:
    width, names = next(inside, None), next(inside, None)
    if width is None or names is None or (width.kind, len(width.data)) != (_INT32, 4):
        raise FormatError("structures without fields")
    step = int(width.numbers()[0])
    if step < 1:
        raise FormatError("structures whose fields have no names")
    fields = tuple(
        bytes(names.data[at : at + step]).split(b"\0")[0].decode("latin-1") for at in range(0, len(names.data), step)
    )
    return Structures(fields, _exactly(count * len(fields), inside))


def _unpacked(item: Item) -> Item:
    if item.kind != _COMPRESSED:
        return item
    packed = zlib.decompressobj()
    try:
        data = packed.decompress(item.data, MOST_BYTES)
    except zlib.error as error:
        raise FormatError(f"its compressed data are damaged ({error})") from error
    if not packed.eof:
        raise FormatError("its compressed data end too early")
    return next(items_in(memoryview(data), item.order), Item(0, memoryview(b""), item.order))


def read_variables(content: bytes, names: Collection[str]) -> dict[str, Value]:
    """The variables of these names in a file's content, as far as there are.

    Raises:
        FormatError: the content is not what the format says, though not where cells and structures were not opened.
    """
    orders: dict[bytes, Order] = {b"IM": "little", b"MI": "big"}
    order = orders.get(content[126:HEADER_BYTES])
    if order is None or content[124:126] != VERSION.to_bytes(2, order):
        raise FormatError("it does not begin like a file of version 5 to 7")
    found: dict[str, Value] = {}
    for item in items_in(memoryview(content)[HEADER_BYTES:], order):
        array = _unpacked(item)
        name = _opened(array)[2]
        if name in names:
            found[name] = value(array)
    return found


def written(variables: Mapping[str, Array | Sequence[str]], title: str = "written by dpn") -> bytes:
    """The content of a file of version 5, which depends on the arguments alone.

    Args:
        variables: by name; arrays become float64, and a list of texts a row of cells.
        title: for the text at the beginning of the file, of which 96 characters are kept.

    Example:
        >>> read_variables(written({"preds": np.eye(2)}), ["preds"])["preds"]
        array([[1., 0.],
               [0., 1.]])
    """
    parts = [
        _array(_DOUBLE, held.shape, name, _element(_FLOAT64, np.asarray(held, "<f8").tobytes(order="F")))
        if isinstance(held, np.ndarray)
        else _array(_CELLS, (1, len(held)), name, b"".join(map(_characters, held)))
        for name, held in variables.items()
    ]
    text = f"MATLAB 5.0 MAT-file, {title}".encode("ascii", "replace")[:116].ljust(124)
    return text + VERSION.to_bytes(2, "little") + b"IM" + b"".join(parts)


def _characters(text: str) -> bytes:
    return _array(_CHARACTERS, (1, len(text)), "", _element(_UTF8, text.encode()))


def _array(kind: int, shape: tuple[int, ...], name: str, content: bytes) -> bytes:
    head = _element(_UINT32, kind.to_bytes(8, "little")) + _element(_INT32, np.array(shape, "<i4").tobytes())
    return _element(_MATRIX, head + _element(_INT8, name.encode("ascii")) + content)


def _element(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data + bytes(-len(data) % 8)
