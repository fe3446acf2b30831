"""The synthetic figures: people and scenes drawn by a program, with true joints and masks. Imports no torch."""
