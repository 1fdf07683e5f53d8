"""Gold rows as features: computed once, kept on disk, memory-mapped."""
