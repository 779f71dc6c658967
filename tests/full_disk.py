"""A disk that is nearly full."""

import contextlib
import resource


@contextlib.contextmanager
def full_disk(largest):
    """No file may grow beyond so many bytes, as on a disk that is nearly full; the error comes from the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
