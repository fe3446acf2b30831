"""One sample of a time or an energy, and what keeps a machine busy for it."""
