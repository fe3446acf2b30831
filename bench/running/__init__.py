"""A network in a back end: what there is, how it is opened, and how it runs."""
