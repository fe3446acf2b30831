"""Dilation schedules and the receptive-field equations of the paper (Eqs. 1-6), as plain integer functions."""

from collections.abc import Mapping

PYRAMID_LAYERS = 6
"""Dilated 3x3 convolutions in one Dilation Pyramid Module (Table I)."""


def layer_dilation(i: int, layers: int = PYRAMID_LAYERS) -> int:
    """Dilation radius of the i-th dilated convolution of a pyramid, counted from 1 (Eq. 5).

    Raises:
        ValueError: the pyramid has no such layer.

    Example:
        >>> [layer_dilation(i) for i in range(1, 7)]
        [32, 16, 8, 4, 2, 1]
    """
    if not 1 <= i <= layers:
        raise ValueError(f"layer {i} is not one of the pyramid's layers 1..{layers}")
    return int(2 ** (layers - i))


def pyramid(layers: int = PYRAMID_LAYERS) -> tuple[int, ...]:
    """Dilations of a Dilation Pyramid Module in input-to-output order: halving down to 1 (Eq. 5)."""
    return tuple(layer_dilation(i, layers) for i in range(1, layers + 1))


def reversed_pyramid() -> tuple[int, ...]:
    """Dilations of the reversed module, RDPM: doubling from 1 (Table V).

    Example:
        >>> reversed_pyramid()
        (1, 2, 4, 8, 16, 32)
    """
    return pyramid()[::-1]


def constant(dilation: int, layers: int = PYRAMID_LAYERS) -> tuple[int, ...]:
    """The same dilation in every layer: "D" of Table III.

    Raises:
        ValueError: the dilation is less than 1.

    Example:
        >>> constant(8)
        (8, 8, 8, 8, 8, 8)
    """
    if dilation < 1:
        raise ValueError(f"a dilation is at least 1, not {dilation}")
    return (dilation,) * layers


def normal(layers: int = PYRAMID_LAYERS) -> tuple[int, ...]:
    """Ordinary convolutions, the "Normal" rows of Table II: every dilation is 1."""
    return constant(1, layers)


def rf_after_convolution(rf: int, kernel: int) -> int:
    """Receptive field after one more ordinary convolution of stride 1 (Eq. 1)."""
    return rf + kernel - 1


def rf_after_dilated(rf: int, kernel: int, dilation: int) -> int:
    """Receptive field after one more dilated convolution of stride 1 (Eq. 2)."""
    return rf + (kernel - 1) * dilation


def rf_after_strided(rf: int, kernel: int, jump: int) -> int:
    """Receptive field after one more convolution whose input has total stride `jump` (Eq. 3)."""
    return rf + (kernel - 1) * jump


def jump_after_strided(jump: int, stride: int) -> int:
    """Total stride after a layer of the given stride (Eq. 4)."""
    return jump * stride


def rf_pyramid(kernel: int = 3, layers: int = PYRAMID_LAYERS) -> int:
    """Receptive field of one Dilation Pyramid Module, in units of its input map, per axis (Eq. 6).

    Example:
        >>> rf_pyramid()
        127
    """
    return int((kernel - 1) * (2**layers - 1) + 1)


def rf_of_schedule(dilations: tuple[int, ...], kernel: int = 3, modules: int = 1) -> int:
    """Receptive field of `modules` copies of a stack of dilated convolutions: Eq. 2 applied layer by layer.

    Example:
        >>> rf_of_schedule(pyramid()), rf_of_schedule(normal(), modules=4)
        (127, 49)
    """
    rf = 1
    for dilation in dilations * modules:
        rf = rf_after_dilated(rf, kernel, dilation)
    return rf


SCHEDULES: Mapping[str, tuple[int, ...]] = {
    "DPM": pyramid(),
    "reversed": reversed_pyramid(),
    "normal": normal(),
    **{f"D = {d}": constant(d) for d in (2, 4, 6, 8)},
}
"""The modules that Tables II, III and V compare, by the names that the report has for them."""


def described(name: str) -> str:
    """A schedule's name, with its dilations where they vary.

    Example:
        >>> described("reversed"), described("D = 2")
        ('reversed (1, 2, 4, 8, 16, 32)', 'D = 2')
    """
    dilations = SCHEDULES[name]
    return name if len(set(dilations)) == 1 else f"{name} ({', '.join(map(str, dilations))})"
