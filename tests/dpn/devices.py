"""Kinds of devices that a test runs on."""

import pytest
import torch

CUDA = pytest.param(
    "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
)
DEVICES = ["cpu", CUDA]
DEVICES_SLOWLY = [pytest.param("cpu", marks=pytest.mark.slow), CUDA]
"""For a test that another one has in its place on a CPU every day."""
