"""Cells, rows and tables, and the cells that several tables share."""
