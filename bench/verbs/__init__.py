"""The verbs of `python -m bench`, one file for each word or group of words; none imports torch before it must."""
