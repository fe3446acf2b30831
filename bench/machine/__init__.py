"""What the machine is, what it was doing, and which versions and commit stand on it."""
