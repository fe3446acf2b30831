"""Receptive fields as they exactly are: traced through a network, counted by paths, and how they grid."""
