"""The training of an adapter: LoRA, checkpoints, processes, what is written down meanwhile."""
