"""The verbs of `python -m bench` that take more than a few lines."""
