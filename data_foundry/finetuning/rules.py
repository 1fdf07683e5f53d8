"""Versions of the rules of phase 4: what this code makes of the same rows, base and settings. No heavy import."""

from __future__ import annotations

ADAPTING = "adapt-4"
"""How a version is put together, measured and written."""
ENCODING = "encoding-1"
"""How tasks turn rows into features; features made by another are not used again."""
TRAINING = "train-1"
"""What training makes of features and settings; another number leaves the checkpoints of the one before alone."""
RULES = {"adapt": ADAPTING, "encoding": ENCODING, "training": TRAINING}
