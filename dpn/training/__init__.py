"""Training: recipes as data, a thin task around a network, runs that continue where they stopped, sweeps of many."""
