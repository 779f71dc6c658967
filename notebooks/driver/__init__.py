"""The commands that run, sweep and publish the notebooks."""
