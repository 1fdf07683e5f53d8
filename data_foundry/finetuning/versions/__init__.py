"""What a training publishes: gates, card, lineage, and the registry of versions."""
