"""All tests: shapes in annotations are enforced, torch is quiet and single-threaded, inputs to try are found or skipped."""

import os
import signal
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach for the network
os.environ.setdefault("TQDM_DISABLE", "1")

import jaxtyping

jaxtyping.install_import_hook("otlib", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402

import otlib  # noqa: E402, F401  (its import guard, before any test brings in torchaudio or transformers)
from otlib.viz.can_render import RenderingUnavailable, ensure_rendering  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
# what is ignored here, as under nohup or in the background of a script, would be ignored in the programs that tests stop
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton


@pytest.fixture
def shared() -> Path:
    """The folder of real inputs beside the checkout; what it proves is proved on generated files too."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder shared/ with real recordings beside the checkout")
    return folder


@pytest.fixture
def without_type_checks(monkeypatch):
    """Annotations are enforced in the test run only; here the function's own messages are wanted, as users get them."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def gl() -> None:
    """Skip where nothing can be drawn in 3-D, and say what is missing."""
    try:
        ensure_rendering()
    except RenderingUnavailable as reason:
        pytest.skip(str(reason))
