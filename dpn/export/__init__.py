"""Networks as files that run without this project: one graph from pixels to joints, in three formats."""
