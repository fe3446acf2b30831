"""What trained runs say of the orderings that the paper claims."""
