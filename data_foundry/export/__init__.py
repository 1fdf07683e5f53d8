"""Exports: gold in the formats that training toolkits read, with its lineage and its licences."""
