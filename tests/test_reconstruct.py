"""The listening page of a person's recording: what is heard, what is said, and what is refused."""

import re

import numpy as np
import pytest
import soundfile
import torch
from _support import HANG

import vqlab
from vqlab import audio, cli
from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.listen import page as reconstruct
from vqlab.spectral import MelConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    options = {"n_mels": 16, "dim": 8, "codebook_size": 256, "stages": 8, "width": 16,
               "encoder_blocks": 1, "decoder_blocks": 1, "fine_blocks": 1}  # fmt: skip
    codec = Codec(Recipe("variable_speech", options), Features(MelConfig(n_fft=256, n_mels=16)))
    quantizer = codec.model.bottleneck
    quantizer.loudness.copy_(torch.linspace(-1, 1.5, 256))  # so that positions differ in depth
    for layer in quantizer.layers:
        layer.codebook.copy_(torch.randn(256, 8))
    path = tmp_path_factory.mktemp("model") / "codec.safetensors"
    codec.save(path)
    return str(path)


def recording(path, samples=16000, rate=16000, channels=1):
    wave = 0.3 * np.sin(2 * np.pi * 300 * np.arange(samples) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


def run(*arguments):
    """Exit status of `vqlab reconstruct`."""
    return cli.main(["reconstruct", *map(str, arguments)])


def refusal(capsys):
    """The one sentence on stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("vqlab: ") and len(line) < 400
    return line


def test_each_version_is_what_its_file_decodes_to_and_says_how_large_that_is(tmp_path, model):
    path = recording(tmp_path / "in.wav")
    player = reconstruct.page(path, model=model)
    original, *others = player.versions
    assert [v.label for v in others] == ["0.5 kbit/s", "1 kbit/s", "1.5 kbit/s"]
    size = path.stat().st_size
    assert (original.label, original.bits) == (
        "original",
        f"{size:,} bytes, {size * 8 // 1000} kbit/s",
    )
    waveform, _ = audio.load(path)
    for kbps, version in zip((0.5, 1.0, 1.5), others, strict=True):
        data = vqlab.compress(waveform, model=model, kbps=kbps)
        assert 0.7 * kbps < 8 * len(data) / 1000 <= kbps
        said, stored = version.bits.split(" bytes, ")
        assert int(said) == len(data)
        assert float(stored.removesuffix(" kbit/s")) == pytest.approx(
            8 * len(data) / 1000, abs=0.005
        )
        heard = vqlab.decompress(data, model=model)[0].numpy()
        assert np.corrcoef(version.samples, heard)[0, 1] > 0.9999  # but for its level, the same


def test_the_page_lies_beside_the_recording_and_is_not_replaced_unasked(tmp_path, model, capsys):
    path = recording(tmp_path / "in.wav")
    assert run(path, "--model", model) == 0
    page = tmp_path / "in.reconstructed.html"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.reconstructed.html", "in.wav"]
    printed = capsys.readouterr().out
    assert printed.startswith(f"{page}: ") and len(printed.splitlines()) == 1 + 4
    before = page.read_bytes()
    assert run(path, "--model", model, "--kbps", 0.7) == 2
    assert "-f" in refusal(capsys) and page.read_bytes() == before
    assert run(path, "--model", model, "--kbps", 0.7, "-f") == 0
    assert b"0.7 kbit/s" in page.read_bytes() and b"1.5 kbit/s" not in page.read_bytes()


def test_an_old_page_stays_when_a_new_one_fails(tmp_path, model, capsys):
    path = recording(tmp_path / "in.wav")
    (tmp_path / "page.html").write_text("<!doctype html>precious")
    assert run(path, tmp_path / "page.html", "-f", "--model", model, "--kbps", 0.001) == 2
    assert "ask for 0.256 or more" in refusal(capsys)
    assert (tmp_path / "page.html").read_text() == "<!doctype html>precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "page.html"]


def test_several_rates_are_ordered_and_each_is_there_once(tmp_path, model):
    path = recording(tmp_path / "in.wav")
    player = reconstruct.page(path, model=model, rates=[1.2, 0.6, 1.2])
    assert [v.label for v in player.versions] == ["original", "0.6 kbit/s", "1.2 kbit/s"]


def test_another_rate_and_two_channels_become_what_the_codec_hears(tmp_path, model):
    path = recording(tmp_path / "in.wav", samples=44100, rate=44100, channels=2)
    player = reconstruct.page(path, model=model, rates=[1.0])
    assert player.title == "in.wav: 1.00 s, as one channel at 16 kHz"
    assert player.sample_rate == 16000
    assert [len(v.samples) for v in player.versions] == [16000, 16000]


@pytest.mark.parametrize("samples", [1, 50, 800])
def test_a_recording_so_short_that_the_header_counts_says_its_real_rate(tmp_path, model, samples):
    player = reconstruct.page(recording(tmp_path / "in.wav", samples=samples), model=model)
    stored = float(player.versions[1].bits.split(", ")[1].removesuffix(" kbit/s"))
    assert stored > 1


def test_silence_gets_its_page(tmp_path, model):
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16000), 16000)
    assert run(tmp_path / "zeros.wav", "--model", model) == 0
    assert (tmp_path / "zeros.reconstructed.html").exists()


def test_a_model_without_the_usual_rates_is_heard_at_its_lowest(tmp_path):
    torch.manual_seed(0)
    options = {"n_mels": 16, "dim": 8, "width": 16, "stride": 1, "decoder_blocks": 1}
    features = Features(MelConfig(n_fft=256, hop_length=80, n_mels=16))
    Codec(Recipe("speech", options), features).save(tmp_path / "fast.safetensors")
    path = recording(tmp_path / "in.wav")
    player = reconstruct.page(path, model=str(tmp_path / "fast.safetensors"))
    assert [v.label for v in player.versions] == ["original", "2 kbit/s"]


def test_what_lasts_too_long_for_a_page_may_still_be_one_sound(
    tmp_path, model, capsys, monkeypatch
):
    monkeypatch.setattr(reconstruct, "MOST_SECONDS", 1)
    path = recording(tmp_path / "in.wav", samples=16000)
    assert run(path, "--model", model, "--kbps", 1) == 0
    long = recording(tmp_path / "long.wav", samples=32000)
    capsys.readouterr()
    assert run(long, "--model", model) == 2
    said = refusal(capsys)
    assert "lasts 2 s" in said and "at most 1 s" in said and ".wav" in said
    assert not (tmp_path / "long.reconstructed.html").exists()
    assert run(long, tmp_path / "heard.flac", "--model", model) == 0
    assert soundfile.info(tmp_path / "heard.flac").frames == 32000


def test_one_sound_has_the_rate_that_was_asked_for(tmp_path, model):
    path = recording(tmp_path / "in.wav")
    assert run(path, tmp_path / "heard.wav", "--model", model, "--kbps", 0.5) == 0
    data = vqlab.compress(path, model=model, kbps=0.5)
    waveform, rate = vqlab.decompress(data, model=model)
    audio.save(tmp_path / "wanted.wav", audio.quieter(waveform), rate)
    assert (tmp_path / "heard.wav").read_bytes() == (tmp_path / "wanted.wav").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.wav", "out.mp3"], "out.mp3 must end in .html"),
        (["in.wav", "out", "--kbps", "1", "2"], "out holds each model at one rate"),
        (["in.wav", "out.wav", "--kbps", 0.5, 1], "holds each model at one rate"),
        (["in.wav", "nowhere/out.html"], "there is no folder nowhere"),
        (["missing.wav"], "missing.wav"),
        (["text.wav"], "text.wav"),
        ([".", "out.wav"], "a folder of recordings"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    tmp_path, model, capsys, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "in.wav")
    (tmp_path / "text.wav").write_text("a shopping list\n" * 20)
    assert run(*arguments, "--model", model) == 2
    assert said in refusal(capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "text.wav"]


def test_in_a_browser_it_plays_every_version_and_asks_for_nothing_else(tmp_path, model, browser):
    path = recording(tmp_path / "a & b.wav", samples=48000)
    assert run(path, "--model", model) == 0
    asked, complaints = [], []
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(1000 * HANG)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "a & b.reconstructed.html").as_uri())
    choices = page.locator(".vq-choice")
    assert choices.count() == 4
    texts = choices.all_inner_texts()
    assert all(re.search(r"[\d,]+ bytes, [\d.]+ kbit/s", text) for text in texts), texts
    assert "a & b.wav: 3.00 s" in page.inner_text(".vq-title")
    page.click(".vq-play")
    page.wait_for_function("() => window.vqlabPlayers.playing?.state().time > 0.02")
    for i in range(4):
        choices.nth(i).click()
        assert choices.nth(i).get_attribute("aria-checked") == "true"
    context.close()
    assert complaints == []
    assert [url for url in asked[1:] if not url.startswith("data:")] == []
