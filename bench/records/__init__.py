"""Measurements with everything that is needed to trust them, where they lie, and the paper's printed numbers."""
