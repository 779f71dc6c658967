"""Each writer on a disk that is full: one sentence, what was there before is there still, and no litter."""

import os
import shutil

import nbformat
import numpy as np
import pytest
import soundfile
import torch
from matplotlib.figure import Figure

from data_prep.align.__main__ import draw
from data_prep.card import page as card_page
from data_prep.encoder.pretrain import save_encoder
from data_prep.sources.peers_export import export
from notebooks.driver import clean, copy_notebooks
from notebooks.experiments.folders import Folders
from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.export.glb import write_glb
from otlib.export.mp4 import write_talking_head
from otlib.files import write_json
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.own_files import LEDGER, own_folder
from otlib.phonemes import Phoneme
from otlib.phonemes.frame_classifier import load_heads
from otlib.speech.encoder import load_encoder
from otlib.speech.features import cached_features, feature_source
from otlib.topology import Topology
from otlib.train.checkpoint import ModelFacts, save_model, save_state
from otlib.viz.display import show
from tests.fixtures.full_disk import full_disk
from tests.fixtures.small_hubert import local_hubert
from tests.fixtures.talking_ball import FRAME_RATE, ball, talk
from tests.fixtures.tiny_corpus import write_corpus

pytestmark = pytest.mark.slow

SMALL = OTTalk(ModelSettings(feature_layers=1, feature_channels=3, width=8, layers=1, heads=2, radius=2, channels=4, terms=2,
                             levels=(10, 5)))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Dataset.open(write_corpus(tmp_path_factory.mktemp("corpus") / "tiny"))


def noise(version, seconds=1):
    return np.random.default_rng(version).uniform(-0.5, 0.5, round(seconds * 16_000)).astype(np.float32)


def glb(folder, version, corpus):
    vertices, faces, parts = ball()
    write_glb(folder / "head.glb", talk(vertices, 5 + version), Topology(faces, parts=parts), FRAME_RATE)


def film(folder, version, corpus):
    pictures = np.random.default_rng(version).integers(0, 255, (25, 48, 64, 3), dtype=np.uint8)
    write_talking_head(folder / "head.mp4", pictures, 25.0, noise(version), 16_000)


def picture(folder, version, corpus):
    show(np.random.default_rng(version).integers(0, 255, (48, 64, 3), dtype=np.uint8), "noise", folder / "noise.png")


def alignment(folder, version, corpus):
    if not version:
        soundfile.write(folder / "said.wav", noise(0), 16_000)
    draw(folder / "said.wav", {"frames": (Phoneme("a", 0.2, 0.5 + version / 10),)}, folder / "said.png")


def heads(folder, version, corpus):
    load_heads(load_encoder("bundled")).save(folder / "heads.safetensors")


def model(folder, version, corpus):
    save_model(SMALL, folder, ModelFacts(30.0 + version, "prosody", "prosody-1"))


def state(folder, version, corpus):
    save_state(folder / "state.safetensors", SMALL, {}, torch.optim.AdamW(SMALL.parameters()), {"step": 10 ** version})


def encoder(folder, version, corpus):
    save_encoder(local_hubert(version), folder)


def features(folder, version, corpus):
    cached_features(feature_source("prosody"), corpus.sequences[version].audio_path, 30.0, folder / "features")


def card(folder, version, corpus):
    figures = card_page.measure(corpus) | {"closures": version}
    with own_folder(folder / "card"):
        card_page.write_page(corpus, folder / "card", figures)


def data_set(folder, version, corpus):
    write_corpus(folder / "corpus", seed=version)


def peers(folder, version, corpus):
    export(corpus, folder / "export")


def lab(folder, version, corpus):
    folders = Folders(root=folder)
    if version:
        assert copy_notebooks.copy_notebooks(folders) == (1, 1)
        return
    (folder / "notebooks").mkdir()
    for name in ("01_one", "02_two"):
        cells = [nbformat.v4.new_markdown_cell("word " * 100)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / f"{name}.ipynb")
    assert copy_notebooks.copy_notebooks(folders) == (2, 0)
    (folders.results / "lab/02_two.ipynb").unlink()


def record(folder, version, corpus):
    with own_folder(folder / "run"):
        write_json(folder / "run/run.json", ["word " * 200, version])


def tree(folder):
    """Files, folders and links below a folder, but for ledgers, which may list more than is there."""
    return {path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else
            path.read_bytes() if path.is_file() else None for path in folder.rglob("*") if path.name != LEDGER}


WRITERS = [glb, film, picture, alignment, heads, model, state, encoder, features, card, data_set, peers, lab, record]


@pytest.fixture(autouse=True)
def plain_card(monkeypatch):
    """A card without heads, which take their time to draw."""
    def pictures(dataset, in_3d):
        figure = Figure()
        figure.subplots().plot(noise(0))
        yield "lip_gap.png", figure, "a curve"

    monkeypatch.setattr(card_page, "_pictures", pictures)
    monkeypatch.setattr(card_page, "ensure_rendering", lambda: None)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, corpus, writer):
    writer(tmp_path, 0, corpus)
    before = tree(tmp_path)
    for largest in (50, 200):
        with full_disk(largest), pytest.raises(InputError, match="cannot be written|free some space") as said:
            writer(tmp_path, 1, corpus)
        assert "\n" not in str(said.value)
        after = tree(tmp_path)
        assert {name: after[name] for name in before} == before
        assert not [name for name in after if ".otlib-" in name]
    writer(tmp_path, 1, corpus)


def test_clean_on_a_full_disk(tmp_path, corpus, monkeypatch, capsys):
    """Space is what it makes, so it asks for next to none; without even that it says so."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(clean.ROOT / "notebooks/suite.yaml", tmp_path / "notebooks")
    folders = Folders(root=tmp_path)
    data_set(folders.corpus.parent, 0, corpus)
    before = tree(tmp_path)
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    with full_disk(0):
        assert clean.main([]) == 0 and tree(tmp_path) == before
    assert "cannot be written" in capsys.readouterr().err
    assert clean.main([]) == 0 and not folders.corpus.exists() and capsys.readouterr().err == ""


def test_a_copy_of_a_persons_own_is_never_written_over(tmp_path):
    """Neither an edited one nor a link to nowhere, and nothing of one that a kill left half written."""
    (tmp_path / "notebooks").mkdir()
    for name in ("01_a", "02_b", "03_c"):
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / "notebooks" / f"{name}.ipynb")
    folders = Folders(root=tmp_path)
    assert copy_notebooks.copy_notebooks(folders) == (3, 0)
    place = folders.results / "lab"
    (place / "01_a.ipynb").write_text("mine")
    (place / "02_b.ipynb").unlink()
    (place / "02_b.ipynb").symlink_to("away.ipynb")
    (place / "03_c.ipynb").unlink()
    assert copy_notebooks.copy_notebooks(folders) == (1, 2)
    assert (place / "01_a.ipynb").read_text() == "mine" and os.readlink(place / "02_b.ipynb") == "away.ipynb"
