"""The verbs of `python -m analysis` that look into networks: what they take, print and write."""
