"""The figures, each with its data and its drawing apart, and the style that they share."""
