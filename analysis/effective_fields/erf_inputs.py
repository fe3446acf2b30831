"""The images that fields are estimated from: noise, synthetic figures, a folder, anybody's own source. No torch.

A source is any object with a name and a method `images`, as `Source` says.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpn.data.crops import MEAN, STD
from dpn.digests import digest_of, file_digest
from dpn.runtime import check_input

Image = NDArray[np.float32]
"""(3, H, W), red, green, blue, normalised as in training on ImageNet."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")

MOST_BYTES = 4 * 10**9
"""Of all images together, which are held at once."""


class InputError(ValueError):
    """There is no image to take, or one that cannot be read; the message names it and says what to do."""


class Source(Protocol):
    """Where images come from."""

    @property
    def name(self) -> str:
        """What the images are, in a word or two."""

    def images(self, input_hw: tuple[int, int], most: int) -> Iterator[Image]:
        """At most so many images of that height and width, the same in every call."""


@dataclass(frozen=True)
class Noise:
    """Standard normal values, independent of each other, as many images as are wanted.

    Attributes:
        seed: of the values; image i is the same however many there are.
        channels: of the images.
    """

    seed: int = 0
    channels: int = 3

    @property
    def name(self) -> str:
        """What the images are."""
        return "noise"

    def images(self, input_hw: tuple[int, int], most: int) -> Iterator[Image]:
        """See `Source.images`.

        Example:
            >>> [image.shape for image in Noise().images((4, 6), 2)]
            [(3, 4, 6), (3, 4, 6)]
        """
        for number in range(most):
            draw = np.random.default_rng((self.seed, number))
            yield draw.standard_normal((self.channels, *input_hw), dtype=np.float32)


@dataclass(frozen=True)
class Figures:
    """Synthetic people (`dpn.synthetic.figures`), cropped as a network gets them, and normalised: as many as wanted.

    Attributes:
        seed: of the generator.
    """

    seed: int = 0

    @property
    def name(self) -> str:
        """What the images are; figures of another version of the generator are other images."""
        from dpn.synthetic.figures import GENERATOR_VERSION

        return f"synthetic figures, version {GENERATOR_VERSION}, seed {self.seed}"

    def images(self, input_hw: tuple[int, int], most: int) -> Iterator[Image]:
        """See `Source.images`.

        Example:
            >>> [image.shape for image in Figures().images((64, 48), 2)]
            [(3, 64, 48), (3, 64, 48)]
        """
        from dpn.data.synthetic_set import subject_crops

        for crop in subject_crops(self.seed, most, input_hw):
            yield normalised(crop)


@dataclass(frozen=True)
class Folder:
    """The pictures of a folder, by name, turned upright, stretched to the input's size, and normalised.

    Attributes:
        path: of the folder; folders inside it are not searched.
    """

    path: Path

    @property
    def name(self) -> str:
        """The folder's name, and what stands for its pictures: a digest of their names and bytes.

        Raises:
            InputError: there is no such folder, or it has no pictures.
        """
        digest = digest_of({path.name: file_digest(path) for path in self.files()})
        return f"images of {self.path.name}, {digest}"

    def images(self, input_hw: tuple[int, int], most: int) -> Iterator[Image]:
        """See `Source.images`; fewer where the folder has fewer.

        Raises:
            InputError: there is no such folder, it has no pictures, or one of them cannot be decoded.
        """
        for path in self.files()[:most]:
            yield read_image(path, input_hw)

    def files(self) -> list[Path]:
        """The pictures in the order in which they are taken.

        Raises:
            InputError: there is no such folder, or it has no pictures.
        """
        if not self.path.is_dir():
            raise InputError(f"{self.path} is no folder; name a folder of images, noise or synthetic")
        found = sorted(path for path in self.path.iterdir() if path.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(
                f"{self.path} has no images; put some of {', '.join(SUFFIXES)} there, or take noise or synthetic"
            )
        return found


DRAWN: dict[str, Callable[[int], Source]] = {"noise": Noise, "synthetic": Figures}
"""Sources that need no files, made from a seed."""


def source(text: str, seed: int = 0) -> Source:
    """The source that a command line means: "noise", "synthetic", or the path of a folder.

    Raises:
        InputError: there is no such folder, or it has no images.
    """
    if text in DRAWN:
        return DRAWN[text](seed)
    folder = Folder(Path(text))
    folder.files()
    return folder


def at_once(given: Source, input_hw: tuple[int, int], most: int) -> list[Image]:
    """At most so many images of that height and width, all in memory.

    Raises:
        InputError: as the source says.
        ValueError: one image, or so many, would fill the memory.
    """
    check_input(input_hw)
    if isinstance(given, Folder):
        most = min(most, len(given.files()))
    size = 12 * input_hw[0] * input_hw[1]  # three channels of float32
    if most * size > MOST_BYTES:
        raise ValueError(
            f"{most:,} images of {input_hw[0]}x{input_hw[1]} may take {most * size / 1e9:,.1f} GB, and "
            f"{MOST_BYTES // size:,} of them fit; give fewer --images or a smaller --input"
        )
    return list(given.images(input_hw, most))


def read_image(path: Path, input_hw: tuple[int, int]) -> Image:
    """A picture as the network's input, (3, H, W).

    Raises:
        InputError: the file cannot be decoded.
    """
    import PIL.Image
    import PIL.ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of pictures too large to be meant, and of metadata that is damaged
            with PIL.Image.open(path) as picture:
                upright = PIL.ImageOps.exif_transpose(picture).convert("RGB")
        resized = upright.resize((input_hw[1], input_hw[0]), PIL.Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Warning, PIL.Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be decoded: {reason}; replace it or take it out of the folder") from error
    return normalised(np.asarray(resized))


def normalised(picture: NDArray[np.uint8]) -> Image:
    """A picture (H, W, 3), red, green, blue, as the network's input."""
    values = picture.astype(np.float32) / 255
    centred = (values - np.array(MEAN, dtype=np.float32)) / np.array(STD, dtype=np.float32)
    return np.ascontiguousarray(centred.transpose(2, 0, 1), dtype=np.float32)
