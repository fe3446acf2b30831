"""The paper's Tables I to VII, with what was measured beside what it prints."""
