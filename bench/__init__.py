"""Measuring networks: counts, conventions, records and where they live."""
