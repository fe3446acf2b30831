"""What the synthetic figures wear: garments, hair, hats and colours, alike on the left and the right. No torch."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dpn.arrays import Floats
from dpn.synthetic.shape import FLAT, PART_NAMES, PARTS

_SKINS = ("b9cbe8", "a6bfe6", "8cacdc", "6f92c9", "4f72ab", "3a5585", "2a3d62", "b4c9e6")
_HAIRS = ("14161c", "1c2129", "26303f", "2f4563", "4a6c93", "6f9cc4", "7f8389", "b9bdc0", "254a8a")
_CLOTHES = (
    "202022", "3a3a3c", "6d6f71", "a8aaab", "e9e9e6", "f4f2ee", "5a3a24", "7d5231", "a8804f", "4b2f1d",
    "28307a", "2f35b4", "3c50c8", "4a7fd2", "3fa9d8", "58c7e6", "2f6b3a", "4f8f55", "7fb089", "3f5a52",
    "8a8330", "b39a4a", "7a3f72", "a05f9a", "b9a2d8", "cfc0e6", "4d6a86", "6f8fae", "9cb4c6", "c4d3dd",
)  # fmt: skip
"""Blue, green, red in hexadecimal: blacks and whites, blues, reds and yellows, greens, violets, browns."""
_JEANS = ("5a3a24", "7d5231", "8f6a45", "202022", "3a3a3c", "6f8fae", "3f5a52", "4d6a86", "a8aaab", "e0dcd4")


def _colors(codes: tuple[str, ...]) -> Floats:
    return np.array([[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes], float)


SKINS, HAIRS, CLOTHES, JEANS = (_colors(codes) for codes in (_SKINS, _HAIRS, _CLOTHES, _JEANS))


@dataclass(frozen=True, kw_only=True, eq=False)
class Outfits:
    """How P people look.

    Attributes:
        shown: (P, N) bool, which parts of `PART_NAMES` they have.
        colors: (P, 2, N, 3) blue, green and red of each part in shade, and lit; 0 to 255, uint8 where a light falls.
        patterns: of the shirts: "plain", "stripes", "checks" or "yoke".
        pattern_colors: (P, 3), their second colours, likewise.
        loose: (P,) how wide the clothes are.
        ears_hidden: (P,) bool, whether hair covers the ears.
    """

    shown: np.ndarray
    colors: np.ndarray
    patterns: list[str]
    pattern_colors: np.ndarray
    loose: Floats
    ears_hidden: np.ndarray

    def __len__(self) -> int:
        return len(self.patterns)

    def under(self, rows: np.ndarray, gain: Floats) -> "Outfits":
        """Of these people, in a light whose colour and strength are these (3,) factors on blue, green and red."""
        return Outfits(
            shown=self.shown[rows],
            colors=np.minimum(np.maximum(self.colors[rows] * gain, 3), 252).astype(np.uint8),
            patterns=[self.patterns[row] for row in rows.tolist()],
            pattern_colors=np.minimum(np.maximum(self.pattern_colors[rows] * gain, 3), 252).astype(np.uint8),
            loose=self.loose[rows],
            ears_hidden=self.ears_hidden[rows],
        )


_BODY = frozenset(
    {"seat", "hem", "belly", "back", "yoke", "neck", "face", "mouth", "nose"}
    | {f"{side}_{part}" for side in ("left", "right") for part in ("upper_arm", "forearm", "hand", "thigh", "shin")}
    | {f"{side}_{part}" for side in ("left", "right") for part in ("foot", "ear", "eye", "pupil", "brow")}
)
_NAMES = list(PART_NAMES)
_TOPS = ("t-shirt", "long sleeves", "vest", "coat")
_BOTTOMS = ("trousers", "shorts", "skirt", "leggings")
_HAIR_STYLES = ("short", "bald", "bob", "long", "tail", "bun")
_HATS = ("none", "cap", "brim", "beanie")
_PATTERNS = ("plain", "stripes", "checks", "yoke")


@lru_cache(maxsize=1024)
def _shown(top: str, bottom: str, hair: str, hat: str, beard: bool) -> tuple[np.ndarray, bool]:
    """Which parts such a person has, and whether the ears are covered."""
    names = set(_BODY)
    sides = ("left", "right")
    if top == "t-shirt":
        names |= {f"{side}_sleeve" for side in sides}
    if top in ("long sleeves", "coat"):
        names |= {f"{side}_{part}" for side in sides for part in ("sleeve", "cuff")}
    if top == "coat":
        names.add("coat")
    if bottom == "shorts":
        names |= {f"{side}_shorts" for side in sides}
    if bottom == "trousers":
        names |= {f"{side}_trouser" for side in sides}
    if bottom == "skirt":
        names.add("skirt")
    if hair != "bald":
        names |= {"hair", "hair_nape", "fringe"} if hat in ("none", "brim") else {"hair", "hair_nape"}
    names |= {"bob": {"hair_sides"}, "long": {"hair_sides", "hair_long"}, "tail": {"hair_tail"}}.get(hair, set())
    if hair == "bun" and hat == "none":
        names.add("bun")
    if hat != "none":
        names |= {"hat"} | ({"visor"} if hat == "cap" else set()) | ({"brim"} if hat == "brim" else set())
    if beard:
        names.add("beard")
    return np.isin(_NAMES, sorted(names)), hair in ("bob", "long")


def _choose(names: tuple[str, ...], bounds: tuple[float, ...], draw: float) -> str:
    """The name between whose bound and the one before a uniform draw falls."""
    return names[bisect_right(bounds, draw)]


DRAWS = 56
"""Uniform draws that make an outfit."""
_PALETTES = (SKINS, HAIRS, CLOTHES, JEANS, CLOTHES, CLOTHES, CLOTHES, CLOTHES)
"""Of skin, hair, shirt, legs in denim and otherwise, shoes, hat, and the shirt's second colour."""
_ALL_COLORS = np.concatenate(_PALETTES)
_SIZES = np.array([len(palette) for palette in _PALETTES])
_STARTS = np.cumsum(_SIZES) - _SIZES
_PAINTS = (
    "skin", "ears", "hair", "brows", "upper", "lower", "upper_arm", "forearm", "hand", "thigh", "shin", "shoes", "hat",
    "white", "iris", "mouth", "nose",
)  # fmt: skip
_OF_PALETTE = [0, 0, 1, 1, 2, 3, 2, 2, 0, 3, 3, 5, 6, 0, 0, 0, 0]
_FACTORS = np.ones((len(_PAINTS), 3))
_FACTORS[[1, 3, 15, 16]] = [[0.92] * 3, [0.7] * 3, [0.55, 0.5, 0.78], [0.84] * 3]
_PAINT_OF = [_PAINTS.index(part.paint) for part in PARTS.values()]
_SHADELESS = np.array([[paint in FLAT] for paint in _PAINTS])
_PATTERN = len(_PALETTES) - 1


def draw_outfits(draws: Floats) -> Outfits:
    """Outfits in plain light, from (P, 56) uniform draws in [0, 1)."""
    tints = draws[:, 16:].reshape(-1, len(_PALETTES), 5)
    base = _ALL_COLORS[_STARTS + (tints[..., 0] * _SIZES).astype(int)]
    base = base * (0.78 + 0.32 * tints[..., 1:2]) + 24 * (tints[..., 2:5] - 0.5)  # lighter or darker, off in hue
    colors = base[:, _OF_PALETTE] * _FACTORS
    colors[:, 13], colors[:, 14] = 235.0, 30 + 30 * draws[:, 5:8]
    styles = [_style(row) for row in draws[:, :16].tolist()]
    for i, style in enumerate(styles):
        if style.bare_arms:
            colors[i, 6:8] = base[i, 0]
        if not style.denim:
            colors[i, [5, 9, 10]] = base[i, 4]
        if style.dress:
            colors[i, 5] = base[i, 2]
        if style.bare_legs:
            colors[i, 9:11] = base[i, 0]
    contrast = (0.74 + 0.12 * draws[:, 8])[:, None, None]
    both = np.stack([np.where(_SHADELESS, colors, colors * contrast), colors], axis=1)
    return Outfits(
        shown=np.array([style.shown for style in styles]),
        colors=both[:, :, _PAINT_OF].astype(np.float32),
        patterns=[style.pattern for style in styles],
        pattern_colors=base[:, _PATTERN] * 0.9,
        loose=0.94 + 0.22 * draws[:, 9],
        ears_hidden=np.array([style.ears_hidden for style in styles]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Style:
    shown: np.ndarray
    ears_hidden: bool
    bare_arms: bool
    bare_legs: bool
    denim: bool
    dress: bool
    pattern: str


def _style(draws: list[float]) -> _Style:
    top = _choose(_TOPS, (0.43, 0.75, 0.87), draws[0])
    bottom = _choose(_BOTTOMS, (0.47, 0.70, 0.84), draws[1])
    hair = _choose(_HAIR_STYLES, (0.53, 0.58, 0.71, 0.85, 0.94), draws[2])
    hat = _choose(_HATS, (0.77, 0.88, 0.93), draws[3])
    shown, ears_hidden = _shown(top, bottom, hair, hat, hair in ("short", "bald") and draws[4] < 0.12)
    return _Style(
        shown=shown,
        ears_hidden=ears_hidden,
        bare_arms=top in ("t-shirt", "vest"),
        bare_legs=bottom in ("shorts", "skirt"),
        denim=draws[10] < 0.65,
        dress=bottom == "skirt" and draws[11] < 0.5,
        pattern=_choose(_PATTERNS, (0.62, 0.80, 0.90), draws[12]),
    )
