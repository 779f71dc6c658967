"""The data set on disk: format, reader, checks."""
