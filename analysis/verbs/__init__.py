"""The verbs of `python -m analysis`, one file for each word or group of words; none imports torch before it must."""
