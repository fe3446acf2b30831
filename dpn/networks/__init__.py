"""One network family per file; `blocks` is what they share."""
