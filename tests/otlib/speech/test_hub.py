"""Models from elsewhere: by folder or by revision, without their code, refused within seconds where there is no hub."""

import json
import os
import socket
import threading
import time

import huggingface_hub
import pytest

from otlib.errors import InputError
from otlib.speech import hub
from otlib.speech.hub import REVISIONS, local_model
from tests.fixtures.bad_paths import BAD_PATHS

COMMIT = "0123456789abcdef" * 2 + "01234567"
SECONDS = 20.0  # a few, on a machine with much else to do; without a bound it takes fifty on a quiet one


def refusal_of(name):
    with pytest.raises(InputError) as caught:
        local_model(name, "no model by that name", lambda reason: InputError(f"{name}: {reason}; use another"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def model(folder, **config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "hubert", **config}))
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the hub, empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def asked(monkeypatch):
    """The questions to the hub, which answers none."""
    questions = []

    def model_info(self, repository, *, revision, timeout):
        questions.append((repository, revision, timeout))
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    return questions


def test_a_folder_is_taken_as_it_is(tmp_path, asked):
    folder = local_model(str(model(tmp_path / "a")), "", InputError)
    assert folder == tmp_path / "a" and asked == []


@pytest.mark.parametrize("name", ["a/b", "a/b@main", "a/b@v1.0", "a/b@", f"a/b@{COMMIT[:-1]}", f"a/b@{COMMIT.upper()}"])
def test_a_name_on_the_hub_without_a_commit_is_refused_unasked(asked, name):
    assert "nor a revision of a model on the hub, which is written a/b@COMMIT with the 40 hexadecimal" in refusal_of(name)
    assert asked == []


@pytest.mark.parametrize("name", ["", "a", "/no/such/folder", "../a/b", "a/..", "a/b/c", f"a/b@{COMMIT}@{COMMIT}", "a b/c",
                                  "ssh://a/b", "a/b\n", "ä/b", "a" * 5000])
def test_what_can_be_no_name_is_refused_unasked(asked, name):
    assert "no model by that name; use another" in refusal_of(name)
    assert asked == []


@pytest.mark.parametrize("name", [f"a/b@{COMMIT}", *REVISIONS])
def test_the_hub_is_asked_once_for_one_revision_and_with_a_bound_on_time(asked, name):
    assert "no model by that name; use another" in refusal_of(name)
    repository, _, revision = name.partition("@")
    assert asked == [(repository, revision or REVISIONS[repository], hub._PATIENCE)]


@pytest.mark.parametrize("name", [f"a/b@{COMMIT}", *REVISIONS])
def test_what_the_cache_has_is_not_asked_for(cache, asked, name):
    repository, _, revision = name.partition("@")
    place = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / (revision or REVISIONS[repository])
    model(place)
    assert local_model(name, "", InputError) == place and asked == []
    (place / "model.safetensors").unlink()  # what was fetched in part is fetched again
    refusal_of(name)
    assert len(asked) == 1


def test_a_hub_that_does_not_answer_is_left_after_seconds(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(hub, "HfApi", lambda: huggingface_hub.HfApi(endpoint=address, token=False))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # for this machine's own server
        monkeypatch.setattr(hub, "_PATIENCE", 0.5)
        begin = time.monotonic()
        assert "no model by that name" in refusal_of(f"a/b@{COMMIT}")
        assert time.monotonic() - begin < SECONDS
        server.setblocking(False)
        server.accept()[0].close()  # it was asked


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_pipes_and_folders_in_place_of_files_are_refused_at_once(tmp_path, name, kind):
    if kind not in BAD_PATHS:
        pytest.skip("this system has no named pipes")
    folder = model(tmp_path / "a")
    (folder / name).unlink(missing_ok=True)
    path, _ = BAD_PATHS[kind](tmp_path)
    os.rename(path, folder / name)
    assert refusal_of(str(folder)).startswith(f"{folder}: {name}: is a ")


def test_a_model_that_brings_code_is_refused(tmp_path):
    folder = model(tmp_path / "a", auto_map={"AutoConfig": "configuration.Own"})
    (folder / "configuration.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert "brings code of its own, which is not run" in refusal_of(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("config", [{"num_hidden_layers": 257}, {"hidden_size": 10**7}, {"conv_dim": [1] * 257},
                                    {"num_adapter_layers": 10**9}])
def test_a_model_without_bounds_is_refused(tmp_path, config):
    assert f"asks for too much ({next(iter(config))}" in refusal_of(str(model(tmp_path / "a", **config)))


@pytest.mark.parametrize("config", [{"num_attention_heads": -1}, {"hidden_size": -8}])
def test_a_model_of_negative_sizes_is_refused(tmp_path, config):
    assert f"asks for less than nothing ({next(iter(config))}" in refusal_of(str(model(tmp_path / "a", **config)))


def test_the_longest_names_are_refused_without_a_long_search():
    """The pattern of names takes no time that grows faster than the name."""
    waiting = threading.Thread(target=lambda: hub._NAME.fullmatch("a-." * 10**5 + "/" + "b" * 10**5 + "@" * 2), daemon=True)
    waiting.start()
    waiting.join(SECONDS)
    assert not waiting.is_alive()
