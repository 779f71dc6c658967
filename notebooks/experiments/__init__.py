"""What experiments are recorded as, compared with, and quoted from."""
