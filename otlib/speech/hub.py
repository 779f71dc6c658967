"""Models from elsewhere: a folder, or one revision of a model on the Hugging Face hub; their own code is never run."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download

from otlib.errors import InputError
from otlib.files import opened, read_object

REVISIONS = {  # the revision that a name stands for; any other name must include its revision
    "facebook/hubert-base-ls960": "dba3bb02fda4248b6e082697eee756de8fe8aa8a",
    "facebook/wav2vec2-lv-60-espeak-cv-ft": "ae45363bf3413b374fecd9dc8bc1df0e24c3b7f4",
}
_NAME = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[^@]*))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
CONFIG = "config.json"
_TEXTS, _WEIGHTS = (CONFIG, "vocab.json", "preprocessor_config.json"), ("model.safetensors", "pytorch_model.bin")
_MOST_LAYERS, _LARGEST = 256, 1_000_000  # limits for the numbers in a config.json
_PATIENCE = 5.0  # seconds, for the hub's first answer


def local_model(name: str, missing: str, refusal: Callable[[str], InputError]) -> Path:
    """Return the folder of a model, fetched from the hub if the local cache lacks it.

    Args:
        name: a folder, ``owner/model@revision`` where the revision is a commit of 40 hexadecimal digits, or a name in
            :data:`REVISIONS`.
        missing: the reason for refusal if there is no such model.
        refusal: makes the error from a reason.

    Raises:
        InputError: a name on the hub without a revision; a model that is neither a folder, nor in the cache, nor on the hub;
            the hub cannot be reached; the model brings code of its own; or one of its files is no file, damaged or out of
            bounds.
    """
    folder = Path(name) if os.path.isdir(name) else _from_hub(name, missing, refusal)
    try:
        config = read_object(folder / CONFIG)
        for weights in _WEIGHTS:
            if os.path.lexists(folder / weights):
                with opened(folder / weights):
                    pass
    except InputError as error:
        raise refusal(str(error).removeprefix(f"{folder}{os.sep}")) from error
    if "auto_map" in config:
        raise refusal("brings code of its own, which is not run")
    for key, value in config.items():
        most = _MOST_LAYERS if "layers" in key else _LARGEST
        if (isinstance(value, int | float) and value > most) or (isinstance(value, list) and len(value) > _MOST_LAYERS):
            raise refusal(f"its {CONFIG} asks for too much ({key} {value!r})")
        if isinstance(value, int | float) and value < 0 and (key.startswith("num_") or key.endswith("_size")):
            raise refusal(f"its {CONFIG} asks for less than nothing ({key} {value!r})")
    return folder


def _from_hub(name: str, missing: str, refusal: Callable[[str], InputError]) -> Path:
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise refusal(missing)
    repository, revision = parts["repository"], parts["revision"] or REVISIONS.get(parts["repository"], "")
    if not _COMMIT.fullmatch(revision):
        raise refusal(f"is neither a folder nor a revision of a model on the hub, which is written {repository}@COMMIT with "
                      "the 40 hexadecimal digits of a commit")
    files = {"repo_id": repository, "revision": revision, "allow_patterns": [*_TEXTS, *_WEIGHTS]}
    try:
        folder = Path(snapshot_download(local_files_only=True, **files))
        if any((folder / weights).is_file() for weights in _WEIGHTS):
            return folder
    except FileNotFoundError:
        pass
    try:
        HfApi().model_info(repository, revision=revision, timeout=_PATIENCE)  # once; a download would try for a minute
        return Path(snapshot_download(**files))
    except Exception as error:  # whatever the hub and the network raise
        raise refusal(missing) from error
