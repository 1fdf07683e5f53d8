"""Versions that no person approved yet: each runs in a process of its own, where it can do callers no harm."""
