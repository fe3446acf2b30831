"""What gradients make of receptive fields, in networks with weights: estimated, with intervals."""
