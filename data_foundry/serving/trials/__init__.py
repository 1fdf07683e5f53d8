"""Trials: a candidate and an incumbent on the same calls, what is kept of them, and what follows from it."""
