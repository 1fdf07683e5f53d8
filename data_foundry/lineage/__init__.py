"""Lineage: the path from a gold row back to its raw row, and the same path walked again, byte for byte."""
