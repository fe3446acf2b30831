"""The audit of the paper's quantitative claims: the statements by section, and what recomputes them."""
