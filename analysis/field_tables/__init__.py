"""The tables of receptive fields and gridding."""
