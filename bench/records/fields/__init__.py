"""What each metric's records must hold: one model for each metric, by topic."""
