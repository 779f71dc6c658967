"""A CTC model of the transformers format by one setting: a small one made from its config and saved in that format."""

import json

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from otlib.errors import InputError
from otlib.phonemes import Transcript, Word, load_aligner
from otlib.phonemes.published_ctc import PUBLISHED
from tests.fixtures.small_hubert import saved, whole_clip_hubert

SINGLE = 1e-4  # float32 rounding of logarithms of about ten
VOCABULARY = {"<pad>": 0, "<s>": 1, "|": 2, "n": 3, "s": 4, "aɪ": 5, "tʃ": 6, "ə": 7, "[UNK]": 8}
SOUND = 0.1 * torch.randn(48 * 320 + 400, generator=torch.Generator().manual_seed(0)) + 0.05  # 49 frames and no rest
TEXT = Transcript((Word("nice", ("n", "ˈaɪ", "s")), Word("cha", ("tʃ", "ə"))))


def write(folder, vocabulary=VOCABULARY, **preprocessor):
    config = Wav2Vec2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
                            conv_dim=(16,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
                            vocab_size=len(VOCABULARY), pad_token_id=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Wav2Vec2ForCTC(config).eval()
    name = saved(model, folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    if preprocessor:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return name, model


def test_its_phonemes_tile_the_recording(tmp_path):
    aligner = load_aligner("transformers", write(tmp_path)[0])
    assert aligner.labels == ("", "", "", "n", "s", "aɪ", "tʃ", "ə", "")
    found = aligner.phonemes(SOUND, TEXT)
    assert [span.symbol for span in found if span.symbol] == ["n", "ˈaɪ", "s", "tʃ", "ə"]
    assert found[0].start == 0.0 and found[-1].end == len(SOUND) / 16000
    assert aligner.phonemes(SOUND)[-1].end == len(SOUND) / 16000


@pytest.mark.parametrize("standardised", [True, False])
def test_it_hears_what_its_preprocessor_says(tmp_path, standardised):
    name, model = write(tmp_path, do_normalize=standardised)
    heard = (SOUND - SOUND.mean()) / SOUND.std(correction=0) if standardised else SOUND
    with torch.no_grad():
        expected = model(heard[None]).logits[0].log_softmax(-1)
    found = load_aligner("transformers", name)._log_probabilities(SOUND, 320)
    torch.testing.assert_close(found, expected, rtol=0, atol=SINGLE)


def test_a_long_recording_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("otlib.phonemes.published_ctc._CORE", 0.3)
    monkeypatch.setattr("otlib.phonemes.published_ctc._MARGIN", 0.1)
    aligner = load_aligner("transformers", write(tmp_path)[0])
    lengths = []
    aligner.model.register_forward_pre_hook(lambda _, arguments: lengths.append(arguments[0].shape[1]))
    assert len(aligner._log_probabilities(SOUND, 320)) == 49
    assert len(lengths) == 4 and max(lengths) == (15 + 2 * 5 - 1) * 320 + 400


def refusal(name):
    with pytest.raises(InputError) as caught:
        load_aligner("transformers", name)
    message = str(caught.value)
    assert "\n" not in message and ". " not in message and "aligner 'frames'" in message
    return message


def test_missing_model_says_what_was_looked_for(tmp_path):
    for name in (PUBLISHED, "/no/such/folder"):
        message = refusal(name)
        assert name in message and "folder" in message and "cache" in message and "hub" in message


def test_without_a_model_the_published_one_is_looked_for():
    assert PUBLISHED in refusal(None)


def test_letters_are_not_taken_for_phonemes(tmp_path):
    letters = {"<pad>": 0, "|": 1, **{letter: number for number, letter in enumerate("ETAONIS", 2)}}
    assert "not one of phonemes" in refusal(write(tmp_path, letters)[0])


def test_damaged_models_are_refused(tmp_path):
    name, _ = write(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "weights" in refusal(name)
    (tmp_path / "vocab.json").write_text("[]")
    assert "vocab.json: is not a JSON object" in refusal(name)


@pytest.mark.parametrize("changes", [{"auto_map": {"AutoConfig": "own.Configuration"}}, {"pad_token_id": None},
                                     {"pad_token_id": 99}, {"vocab_size": 10**9}, {"model_type": "own"}])
def test_models_that_bring_code_or_make_no_sense_are_refused(tmp_path, changes, monkeypatch):
    """Nobody is asked, and nothing is run."""
    name, _ = write(tmp_path)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question on the terminal"))
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert refusal(name).startswith(f"{name}: ") and not (tmp_path / "ran").exists()


def test_an_encoder_without_a_ctc_head_is_refused(tmp_path):
    name = saved(whole_clip_hubert(vocab_size=len(VOCABULARY)), tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps(VOCABULARY), encoding="utf-8")
    assert "lm_head" in refusal(name)
