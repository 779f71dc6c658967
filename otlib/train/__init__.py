"""Training: batches, loop, checkpoints, settings; ``python -m otlib.train``."""
