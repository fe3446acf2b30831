"""Rows and comparisons as files and words for others to read."""
