"""Import torchaudio beside any build of torch, silently.

PyPI's Linux wheel of torchaudio 2.11 is linked to CUDA 13.0. Beside a CPU build of torch its compiled extension cannot
be loaded (OSError), and beside a torch built with another CUDA version its check raises RuntimeError; either way
``import torchaudio`` fails, and ``transformers`` fails with it. The guard lets the import pass, since this project and
transformers use only torchaudio's plain Python; its ``forced_align`` and ``rnnt_loss`` raise an error when called.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

_GUARDED = "torchaudio._extension.utils"


class _Loader(importlib.abc.Loader):
    """Load the guarded module, then let its two checks fail without an exception."""

    def __init__(self, inner: importlib.abc.Loader) -> None:
        self._inner = inner

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        load, check = module._load_lib, module._check_cuda_version

        def load_if_possible(library: str) -> bool:
            try:
                return load(library)
            except OSError:
                return False

        def check_without_raising() -> int | str | None:  # 2.11 gives 13000 for CUDA 13.0
            try:
                return check()
            except RuntimeError:
                return None

        module._load_lib, module._check_cuda_version = load_if_possible, check_without_raising


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != _GUARDED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def install() -> None:
    """Activate the guard; harmless when called twice, useless after torchaudio was imported."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
