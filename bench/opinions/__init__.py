"""What other counters say of a network."""
