"""Watching the gateway: metrics, durable tallies, drift of what callers say, and what a person sees of it all."""
