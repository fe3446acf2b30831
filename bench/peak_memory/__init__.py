"""The peak memory of a network, on a CPU and on a GPU."""
