"""Loading a HuBERT by one setting, and running it over recordings of any length."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from otlib.errors import InputError
from otlib.speech import small_hubert as hubert
from otlib.speech.encoder import encode, load_encoder
from otlib.speech.hub import REVISIONS
from otlib.speech.overlapping_windows import Windows
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW, running_gain
from tests.fixtures.small_hubert import as_recogniser, as_wav2vec2, local_hubert, saved, whole_clip_hubert
from tests.oracles.audio_naive import cross_faded

SAME = 1e-5  # float32 rounding of features of about 1; the promise is 1e-3
SAME_DOUBLE = 1e-11  # the same in float64
SECOND = SAMPLE_RATE // HOP  # frames


def sound(samples, seed=0, dtype=torch.float32):
    """Noise that swells and fades by 40 dB, so that gains and normalisations have something to do."""
    swell = 10 ** torch.sin(torch.arange(samples, dtype=dtype) / 9000)
    return 0.05 * swell * torch.randn(samples, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def samples_of(frames, left_over=0):
    return (frames - 1) * HOP + WINDOW + left_over


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoders")
    return {"local": saved(local_hubert(), root / "local"), "whole": saved(whole_clip_hubert(), root / "whole")}


@pytest.fixture(scope="module")
def local(folders):
    return load_encoder(folders["local"])


@pytest.fixture(scope="module")
def whole(folders):
    return load_encoder(folders["whole"])


@pytest.fixture(scope="module")
def exact(folders):
    """The local encoder in float64, where what has no influence leaves no trace."""
    encoder = load_encoder(folders["local"])
    encoder.model.double()
    return encoder


@pytest.fixture
def copy(folders, tmp_path):
    """A saved model to be damaged."""
    return shutil.copytree(folders["whole"], tmp_path / "copy")


def plain_features(model, scaled):
    """Every layer's features of a whole clip, straight from transformers; (T, layers, C)."""
    with torch.no_grad():
        return torch.stack(model(scaled[None], output_hidden_states=True).hidden_states, 2)[0]


def standardised(samples):
    return (samples - samples.mean()) / samples.std(correction=0)


# ---- running


@pytest.mark.parametrize("frames", [61, 299, 300, 301])
def test_local_encoder_in_windows_is_the_plain_model(exact, frames):
    samples = sound(samples_of(frames), dtype=torch.float64)
    windows = replace(exact.windows, core=SECOND)
    expected = plain_features(exact.model, running_gain(samples))
    torch.testing.assert_close(encode(exact, samples, windows), expected, rtol=0, atol=SAME_DOUBLE)
    too_near = encode(exact, samples, replace(windows, margin=windows.margin - 10))
    assert frames == 61 or (too_near - expected).abs().max() > 100 * SAME_DOUBLE  # the test would notice


def test_local_encoder_in_windows_is_the_plain_model_in_single_precision(local):
    samples = sound(samples_of(300))
    found = encode(local, samples, replace(local.windows, core=SECOND))
    torch.testing.assert_close(found, plain_features(local.model, running_gain(samples)), rtol=0, atol=SAME)


def test_samples_after_the_last_frame_matter_only_near_the_end(exact):
    samples = sound(samples_of(300, left_over=HOP - 1), dtype=torch.float64)
    reach = hubert.context_frames(exact.model.config)
    difference = (encode(exact, samples) - plain_features(exact.model, running_gain(samples))).abs().amax((1, 2))
    assert len(difference) == 300 and difference[:-reach].max() < SAME_DOUBLE < difference[-1]


def test_sound_reaches_exactly_the_context_and_no_farther(exact):
    samples = sound(samples_of(300), dtype=torch.float64)
    changed = samples.clone()
    block = 150
    changed[block * HOP:(block + 1) * HOP] += 0.1
    moved = (encode(exact, changed) != encode(exact, samples)).flatten(1).any(1).nonzero().flatten() - block
    context = hubert.context_frames(exact.model.config)
    assert context == SECOND + 8 // 2 + 2 * 3  # the gain's second, half the position kernel, two layers of radius 3
    assert (int(moved[0]), int(moved[-1])) == (-context, context)


def test_windows_of_a_whole_clip_encoder_are_cross_faded(whole):
    samples = sound(samples_of(250))
    core, margin, fade = 80, 20, 10
    seen = []
    for first in range(0, 250, core):
        start, end = max(0, first - margin), min(250, first + core + fade + margin)
        window = plain_features(whole.model, standardised(samples[start * HOP:samples_of(end)]))
        seen.append(window[first - start:min(first + core + fade, 250) - start])
    found = encode(whole, samples, Windows(core, margin, fade))
    torch.testing.assert_close(found, cross_faded(seen, core, fade), rtol=0, atol=SAME)


def test_short_clip_of_a_whole_clip_encoder_is_the_plain_model(whole):
    samples = sound(samples_of(150)) + 0.2
    torch.testing.assert_close(encode(whole, samples), plain_features(whole.model, standardised(samples)),
                               rtol=0, atol=SAME)


@pytest.mark.parametrize("name", ["local", "whole"])
def test_loudness_of_the_recording_does_not_matter(name, request):
    encoder = request.getfixturevalue(name)
    samples = sound(samples_of(100))
    torch.testing.assert_close(encode(encoder, 0.1 * samples), encode(encoder, samples), rtol=0, atol=10 * SAME)


@pytest.mark.parametrize("name", ["local", "whole"])
def test_memory_does_not_grow_with_the_recording(name, request):
    """No window is longer than the others, and of each stretch no more is kept than asked for."""
    encoder = request.getfixturevalue(name)
    windows, sizes, chunks = replace(encoder.windows, core=100), [], []
    hook = encoder.model.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0].shape[1]))

    def mean(stretch):
        chunks.append(len(stretch))
        return stretch.mean((1, 2))

    samples = sound(samples_of(1030))
    try:
        kept = encode(encoder, samples, windows, keep=mean)
    finally:
        hook.remove()
    inner = samples_of(100 + 2 * windows.margin + windows.fade)
    assert chunks == [100] * 10 + [30]
    assert max(sizes) == inner and sizes[2:7] == [inner] * 5
    assert torch.equal(kept, encode(encoder, samples, windows).mean((1, 2)))


@pytest.mark.parametrize("name", ["local", "whole"])
@pytest.mark.parametrize("samples, frames", [(1, 1), (399, 1), (400, 1), (719, 1), (720, 2), (1040, 3), (16000, 49)])
def test_frame_count_down_to_one_sample(name, samples, frames, request):
    encoder = request.getfixturevalue(name)
    features = encode(encoder, sound(samples))
    assert features.shape == (frames, encoder.layers, encoder.channels)
    assert features.dtype == torch.float32 and features.isfinite().all()


@pytest.mark.parametrize("name", ["local", "whole"])
def test_silence_gives_finite_features(name, request):
    assert encode(request.getfixturevalue(name), torch.zeros(8000)).isfinite().all()


@pytest.mark.parametrize("samples", [torch.zeros(0), torch.tensor([0.0] * 500 + [float("nan")])])
def test_samples_that_cannot_be_encoded_are_refused(local, samples):
    with pytest.raises(ValueError, match="^samples: "):
        encode(local, samples)


# ---- loading


def test_loaded_model_is_the_saved_one_frozen(local):
    original = local_hubert().state_dict()
    assert all(torch.equal(value, original[key]) for key, value in local.model.state_dict().items())
    assert not local.model.training and not any(p.requires_grad for p in local.model.parameters())
    assert (local.layers, local.channels, local.local) == (3, 32, True)


@pytest.mark.slow
def test_published_shape_and_file_format(tmp_path):
    """HuBERT-base's own widths, one of its 12 layers, in the file and with the weight names of its release."""
    wide = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "conv_dim": (512,) * 7,
            "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16}
    model = whole_clip_hubert(num_hidden_layers=1, **wide)
    model.config.save_pretrained(tmp_path)
    released = {key.replace("parametrizations.weight.original0", "weight_g")
                .replace("parametrizations.weight.original1", "weight_v"): value
                for key, value in model.state_dict().items()}
    torch.save(released, tmp_path / "pytorch_model.bin")
    encoder = load_encoder(str(tmp_path))
    assert (encoder.layers, encoder.channels, encoder.local) == (2, 768, False)
    samples = sound(samples_of(20))
    torch.testing.assert_close(encode(encoder, samples), plain_features(model, standardised(samples)), rtol=0, atol=SAME)


def test_half_precision_file_runs_in_single(tmp_path):
    encoder = load_encoder(saved(local_hubert().half(), tmp_path))
    assert encode(encoder, sound(1000)).dtype == torch.float32


def test_hub_name_is_found_in_the_local_cache(folders, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshots = tmp_path / "models--facebook--hubert-base-ls960" / "snapshots"
    shutil.copytree(folders["whole"], snapshots / REVISIONS["facebook/hubert-base-ls960"])
    shutil.copytree(folders["local"], snapshots / ("0" * 40))
    for name, folder in (("facebook/hubert-base-ls960", "whole"), (f"facebook/hubert-base-ls960@{'0' * 40}", "local")):
        assert load_encoder(name).fingerprint == load_encoder(folders[folder]).fingerprint


@pytest.mark.slow
def test_loading_leaves_no_trace(folders, tmp_path, capfd):
    recogniser = saved(as_recogniser(whole_clip_hubert()), tmp_path / "recogniser")  # has a head that is of no use here
    capfd.readouterr()
    state = torch.get_rng_state()
    found = load_encoder(recogniser)
    assert torch.equal(torch.get_rng_state(), state)
    assert capfd.readouterr() == ("", "")
    assert all(torch.equal(value, dict(whole_clip_hubert().state_dict())[key])
               for key, value in found.model.state_dict().items())


def edit_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_fingerprint_tells_models_apart(folders, copy):
    original = load_encoder(folders["whole"]).fingerprint
    assert load_encoder(str(copy)).fingerprint == original
    edit_config(copy, layer_norm_eps=1e-3)
    other_shape = load_encoder(str(copy)).fingerprint
    edit_weights(copy, lambda weights: weights["encoder.layer_norm.bias"].add_(1e-3))
    assert len({original, other_shape, load_encoder(str(copy)).fingerprint}) == 3


def test_mask_vector_may_be_missing_and_is_not_random(copy):
    edit_weights(copy, lambda weights: weights.pop("masked_spec_embed"))  # used in pre-training alone
    first, second = load_encoder(str(copy)), load_encoder(str(copy))
    assert first.model.masked_spec_embed.abs().max() == 0.0
    assert first.fingerprint == second.fingerprint


def refusal(name):
    """Return the one sentence with which ``name`` is refused."""
    with pytest.raises(InputError) as caught:
        load_encoder(str(name))
    message = str(caught.value)
    assert "\n" not in message and ". " not in message
    assert message.startswith(f"{name}: ")
    return message


@pytest.mark.parametrize("name", ["facebook/hubert-base-ls960", "/no/such/folder"])
def test_missing_model_says_what_was_looked_for_and_the_offline_alternative(name):
    message = refusal(name)
    assert "folder" in message and "cache" in message and "hub" in message and "encoder = 'bundled'" in message


def test_missing_bundled_encoder_does_not_offer_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(hubert, "BUNDLED", tmp_path / "hubert-small")
    message = refusal("bundled")
    assert str(tmp_path / "hubert-small") in message and "encoder = 'bundled'" not in message


def cut(name, length):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:length])


def as_pickle(content):
    def write(folder):
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(content)

    return write


DAMAGES = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "config cut short": (cut("config.json", 100), "config.json"),
    "config empty": (cut("config.json", 0), "config.json"),
    "config deep": (lambda folder: (folder / "config.json").write_text("[" * 10**5), "config.json"),
    "config a folder": (lambda folder: ((folder / "config.json").unlink(), (folder / "config.json").mkdir()), "config.json"),
    "code of its own": (lambda folder: edit_config(folder, auto_map={"AutoModel": "model.Own"}), "brings code of its own"),
    "endless": (lambda folder: edit_config(folder, num_hidden_layers=10**9), "num_hidden_layers 1000000000"),
    "no layer": (lambda folder: edit_config(folder, num_hidden_layers=0), "a feature every 320 samples and layer"),
    "strides of zero": (lambda folder: edit_config(folder, conv_stride=[0] * 7), "a feature every 320 samples and layer"),
    "other strides": (lambda folder: edit_config(folder, conv_stride=[5] + [2] * 5 + [1]), "a feature every 320 samples"),
    "wide": (lambda folder: edit_config(folder, hidden_size=10**12), "hidden_size 1000000000000"),
    "many convolutions": (lambda folder: edit_config(folder, conv_dim=[16] * 1000), "conv_dim"),
    "config not a table": (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
    "config with a word for a width": (lambda folder: edit_config(folder, hidden_size="wide"), "config.json"),
    "unknown activation": (lambda folder: edit_config(folder, hidden_act="nonsense"), "weights"),
    "other width than the weights": (lambda folder: edit_config(folder, hidden_size=48), "weights"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "weights"),
    "weights cut short": (cut("model.safetensors", 9000), "weights"),
    "weights empty": (cut("model.safetensors", 0), "weights"),
    "weights not safetensors": (lambda folder: (folder / "model.safetensors").write_text("<html>"), "weights"),
    "pickle not a pickle": (as_pickle(b"hello"), "weights"),
    "pickle empty": (as_pickle(b""), "weights"),
    "layer missing": (lambda folder: edit_weights(folder, lambda weights: [
        weights.pop(key) for key in list(weights) if "layers.1.attention" in key]), "layers.1.attention"),
    "weight not a number": (lambda folder: edit_weights(folder, lambda weights: weights[
        "encoder.layer_norm.bias"].fill_(float("nan"))), "encoder.layer_norm.bias"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_model_is_refused_in_one_sentence(damage, copy, capfd):
    change, offender = DAMAGES[damage]
    change(copy)
    message = refusal(copy)
    assert offender in message and "encoder = 'bundled'" in message
    assert capfd.readouterr().err == ""


def test_a_folder_whose_name_is_no_text_is_refused_for_its_name(folders, tmp_path):
    try:
        folder = shutil.copytree(folders["whole"], tmp_path / "a\udcffb")
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    with pytest.raises(InputError, match=r"a\\udcffb: has a name that is not Unicode"):
        load_encoder(str(folder))


def test_other_models_are_not_taken_for_huberts(tmp_path, capfd):
    """A wav2vec 2.0 has the same weight names, so that it would load."""
    folder = saved(as_wav2vec2(whole_clip_hubert()), tmp_path / "other")
    capfd.readouterr()
    assert "wav2vec2" in refusal(folder)
    assert capfd.readouterr().err == ""
