"""What other counters say of a network, and networks whose cost was derived by hand."""
