"""Measuring many cells in fresh processes, in turns, so that a kill loses one process at most."""
