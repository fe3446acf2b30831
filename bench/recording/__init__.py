"""What becomes a record without a clock: counts, accuracies, and runs of training."""
