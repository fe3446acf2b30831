"""Counting one forward pass: operators, multiply-adds, parameters, and the conventions of print."""
