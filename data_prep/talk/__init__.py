"""A recording in, a talking head out, from the command line."""
