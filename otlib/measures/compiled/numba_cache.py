"""Numba's compiler with a cache on disk that is made anew where it is damaged."""

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


class RemadeCache(FunctionCache):
    """Numba's own cache of a function, but a file that a full disk or a kill has cut off is no error for ever."""

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever reading a damaged file may end in
            self.flush()
            return None  # so it is compiled and written again


def compiled(**options: Any) -> Callable:
    """Return numba's ``njit`` with ``options``, without Python's lock and with such a cache."""
    def compile_function(function: Callable) -> Callable:
        dispatcher = njit(nogil=True, **options)(function)
        dispatcher._cache = RemadeCache(function)  # what cache=True sets, of another class
        return dispatcher

    return compile_function
