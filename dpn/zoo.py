"""Every network of the paper's tables: name -> spec. Imports no torch.

One function for each base network; a variant is a function whose first line names its base and replaces what differs.
"""

import difflib

from dpn import dilation
from dpn.compared import compared, mpii
from dpn.spec import DPNLiteSpec, DPNSpec, ModelSpec, replace


def dpn_64(modules: int) -> DPNSpec:
    """DPN1_64 .. DPN4_64 (Tables I, II, IV, VI): 2.1, 2.4, 2.7, 3.0 "GFLOPs"; DPN4_64 has 3.3 M parameters.

    Measured: 2.106, 2.405, 2.704, 3.003 Gi MACs; DPN4_64 has 3.337 M parameters.
    """
    return DPNSpec(
        name=f"dpn{modules}_64",
        paper=f"Tables II and IV, DPN{modules}_64" if modules < 4 else "Tables I, II, IV and VI, DPN4_64",
        modules=modules,
        width=64,
        conv2_blocks=4,
    )


def dpn_32(modules: int) -> DPNSpec:
    """DPN1_32 .. DPN4_32 (Tables I, III, V, VI): DPN4_32 has 0.7 M parameters and 1.1 "GFLOPs".

    Measured: DPN4_32 has 0.704 M parameters and 1.057 Gi MACs.
    """
    papers = {1: "Tables III and V", 4: "Tables I, III, V and VI"}
    return DPNSpec(
        name=f"dpn{modules}_32",
        paper=f"{papers.get(modules, 'Table V')}, DPN{modules}_32",
        modules=modules,
        width=32,
        conv2_blocks=0,
    )


def normal(base: DPNSpec) -> DPNSpec:
    """Ordinary convolutions in place of dilated ones (Table II "Normal"; Table III "D=1"): costs of the base."""
    table = "Table II, Normal" if base.width == 64 else "Table III, D=1"
    return replace(base, name=f"{base.name}_normal", paper=table, dilations=dilation.normal())


def constant(base: DPNSpec, d: int) -> DPNSpec:
    """Every dilation set to D (Table III): costs of the base."""
    return replace(base, name=f"{base.name}_d{d}", paper=f"Table III, D={d}", dilations=dilation.constant(d))


def reversed_(base: DPNSpec) -> DPNSpec:
    """The reversed module, RDPM (Table V): costs of the base."""
    return replace(base, name=f"{base.name}_reversed", paper="Table V, RDPM", dilations=dilation.reversed_pyramid())


def highres(base: DPNSpec) -> DPNSpec:
    """Modules at 64x48 (Table IV): 6.0, 7.2, 8.4, 9.6 "GFLOPs" for DPN1_64 .. DPN4_64.

    Measured: 5.993, 7.189, 8.384, 9.579 Gi MACs.
    """
    return replace(base, name=f"{base.name}_highres", paper="Table IV, 64x48", conv2_stride=1)


def printed(base: DPNSpec) -> DPNSpec:
    """Table I to the letter, without the 1x1 convolution that the published costs imply; heatmaps always at 1/4."""
    return replace(base, name=f"{base.name}_printed", paper=f"{base.paper}, Table I to the letter", reading="printed")


def lite(base: DPNSpec) -> DPNLiteSpec:
    """The same modules behind a stem of two convolutions, for ablations on synthetic figures; in no table."""
    return DPNLiteSpec(
        name=f"{base.name}_lite",
        modules=base.modules,
        width=base.width,
        dilations=base.dilations,
        conv2_stride=base.conv2_stride,
    )


def _lite_networks() -> tuple[DPNLiteSpec, ...]:
    """Every row of Tables II to V at width 32, behind the light stem."""
    slim = [dpn_32(n) for n in (1, 2, 3, 4)]
    ends = (slim[0], slim[3])
    return tuple(
        lite(net)
        for net in (
            *slim,
            *(normal(net) for net in slim),
            *(constant(net, d) for net in ends for d in (2, 4, 6, 8)),
            *(highres(net) for net in slim),
            *(reversed_(net) for net in slim),
        )
    )


def _networks() -> tuple[ModelSpec, ...]:
    wide = [dpn_64(n) for n in (1, 2, 3, 4)]
    slim = [dpn_32(n) for n in (1, 2, 3, 4)]
    ends = (slim[0], slim[3])
    high = [highres(net) for net in wide]
    on_mpii = [mpii(net, "Table VII") for net in (slim[3], wide[3])]
    return (
        *slim,
        *wide,
        *(normal(net) for net in wide),
        *(normal(net) for net in ends),
        *(constant(net, d) for net in ends for d in (2, 4, 6, 8)),
        *high,
        *(reversed_(net) for net in slim),
        *on_mpii,
        *(printed(net) for net in (slim[3], *wide, *high, *on_mpii)),
        *compared(),
        *_lite_networks(),
    )


ZOO: dict[str, ModelSpec] = {spec.name: spec for spec in _networks()}


def lookup(name: str) -> ModelSpec:
    """The spec of that name, in capitals or not; a KeyError names the nearest names when there is none.

    Example:
        >>> lookup("dpn4_64").digest() == ZOO["dpn4_64"].digest()
        True
    """
    if spec := ZOO.get(name) or ZOO.get(name.lower()):
        return spec
    near = difflib.get_close_matches(name.lower(), ZOO, n=4, cutoff=0.5) or sorted(ZOO)[:4]
    raise KeyError(
        f"no network named {name!r}; the nearest names are {', '.join(near)} (all: python -m bench list; a network of "
        "your own is mine:net for net in mine.py)"
    )
