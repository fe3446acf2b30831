"""Every table, figure and sentence of the report by its id, and where its numbers come from."""
