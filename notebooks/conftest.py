"""nbval's surroundings: notebooks run in order, without progress bars, and without 3-D where the machine has none."""

import contextlib
import functools
import os

import nbval.kernel
import pytest
from jupyter_client.manager import KernelManager

from notebooks.driver.execution import kernel_config, own_kernels
from notebooks.experiments.folders import Folders
from otlib.errors import InputError

os.environ["TQDM_DISABLE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # as the driver has it: rounding does not depend on how many cores there are


def pytest_configure(config):
    """Have nbval's kernels talk as the driver's do, without ports that another process may take, and write into a run."""
    try:
        Folders().claimed()
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    with contextlib.ExitStack() as stack:
        _, own = stack.enter_context(kernel_config())
        nbval.kernel.KernelManager = functools.partial(KernelManager, config=own, kernel_spec_manager=own_kernels())
        config.add_cleanup(stack.pop_all().close)


def pytest_collection_modifyitems(items):
    """Skip the cells that draw in 3-D on a machine that cannot, and say so; hold no output against a person's own sweeps."""
    if any(Folders().sweep("").glob("*/table.json")):
        for item in items:
            if item.parent.path.stem == "12_ablation":
                item.options["check"] = False
    from otlib.viz.can_render import RenderingUnavailable, ensure_rendering

    try:
        ensure_rendering()
    except RenderingUnavailable as error:
        for item in items:
            if "render" in getattr(item, "cell", {}).get("metadata", {}).get("tags", ()):
                item.add_marker(pytest.mark.skip(reason=str(error)))
