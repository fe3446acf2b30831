"""Arguments that several verbs have, with the names that the help shows. Imports no torch."""

from typing import Annotated

import tyro

from bench.sweeps.choices import Choices

Networks = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NETWORK ...]")]
"""The parameter `networks`."""

Setting = Annotated[Choices, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="setting")]
"""The parameter `choices`, whose options are headed "setting options"."""
