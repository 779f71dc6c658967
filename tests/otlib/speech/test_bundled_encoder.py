"""The encoders that come with the project: whole, small, and the same however a recording is cut."""

import json
from dataclasses import replace

import pytest
import torch

from otlib.speech import small_hubert as hubert
from otlib.speech.encoder import BUNDLED, encode, encoder_folder, load_encoder
from otlib.speech.small_hubert import HOP, WINDOW, running_gain

LARGEST = 20_000_000  # bytes, of all files together
SAME = 1e-3  # promised to whoever cuts a recording; features deviate by about 5

pytestmark = pytest.mark.skipif(not hubert.BUNDLED.is_dir(), reason="the bundled encoder is not there yet: "
                                "`python -m data_prep.encoder.pretrain --out data/hubert-small` makes it")


@pytest.fixture(scope="module", params=sorted(folder.name for folder in hubert.ENCODERS.iterdir()))
def encoder(request):
    return load_encoder(request.param)


def test_folder_is_small(encoder):
    assert sum(file.stat().st_size for file in encoder_folder(encoder.name).rglob("*") if file.is_file()) <= LARGEST


def test_loads_whole_and_silently(capfd):
    encoder = load_encoder()
    assert capfd.readouterr() == ("", "")
    assert encoder.local and encoder.name == BUNDLED  # load_encoder refuses missing weights and what is not a number


def test_file_holds_every_weight(encoder):
    from safetensors import safe_open

    with safe_open(encoder_folder(encoder.name) / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(encoder.model.state_dict())


def test_shape_is_the_documented_one(encoder):
    found, documented = (json.loads(configuration.to_json_string(use_diff=False))
                         for configuration in (encoder.model.config, hubert.small_configuration()))
    for name in ("local_attention_radius", "hidden_size", "num_hidden_layers", "conv_dim", "conv_stride", "conv_kernel",
                 "feat_extract_norm", "do_stable_layer_norm", "num_conv_pos_embeddings"):
        assert found[name] == documented[name], name


@pytest.mark.parametrize("samples", [1, 16000, 64000])
def test_features_are_finite(encoder, samples):
    sound = 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))
    features = encode(encoder, sound)
    assert features.shape == (max(1, (samples - WINDOW) // HOP + 1), encoder.layers, encoder.channels)
    assert features.isfinite().all()
    assert encode(encoder, torch.zeros(samples)).isfinite().all()


def test_layers_differ_and_follow_the_sound(encoder):
    sound = 0.1 * torch.randn(32000, generator=torch.Generator().manual_seed(0))
    first, second = encode(encoder, sound), encode(encoder, sound + torch.sin(torch.arange(32000) / 8) * 0.2)
    for layer in range(encoder.layers):
        assert (first[:, layer] - second[:, layer]).abs().mean() > 0.01 * first[:, layer].std()
        assert first[:, layer].std(0).mean() > 0.01 * first[:, layer].std()  # not one vector for all frames


def test_windows_change_nothing(encoder):
    samples = 0.05 * torch.randn(999 * HOP + WINDOW, generator=torch.Generator().manual_seed(0))
    samples *= 10 ** torch.sin(torch.arange(len(samples)) / 9000)  # swells and fades by 40 dB
    windows = replace(encoder.windows, core=250)
    with torch.no_grad():
        states = encoder.model(running_gain(samples)[None], output_hidden_states=True).hidden_states
    torch.testing.assert_close(encode(encoder, samples, windows), torch.stack(states, 2)[0], rtol=0, atol=SAME)
