"""A few real images with annotations and detections that may lie beside the checkout; tests skip where they do not."""

from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"
COCO = SAMPLES / "coco"
MPII = SAMPLES / "mpii"

needs_samples = pytest.mark.skipif(not COCO.is_dir(), reason=f"{SAMPLES} is not on this machine")
