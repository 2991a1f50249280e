"""The comparison of codecs: Ogg and Opus read right, delays found, runs that can be interrupted.

The benchmarks are scripts beside the package; they are loaded here by their paths.
"""

import importlib.util
import json
import sys

import pytest
import torch
from _support import ROOT, need

import vqlab
from vqlab import audio, datasets, models
from vqlab.codec import Codec
from vqlab.datasets import Item
from vqlab.spectral import MelConfig, log_mel

RATE = 16_000


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def peers():
    return script("peers")


@pytest.fixture(scope="module")
def scoring(peers):
    return script("scoring")


@pytest.fixture(scope="module")
def codecs(scoring):
    spec = importlib.util.spec_from_file_location(
        "bench_codecs", ROOT / "benchmarks" / "codecs.py"
    )  # under another name: "codecs" is a module of Python's own
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clips():
    words = datasets.load("words", "test", words="right", limit=2, seconds=1.0)
    return [
        Item(waveform=item.waveform, sample_rate=RATE, label=item.label, speaker=item.speaker,
             path=item.path)
        for item in words
    ]  # fmt: skip


def ogg_page(lacing, body, *, kind=0):
    head = b"OggS" + bytes([0, kind]) + bytes(8 + 4 + 4 + 4) + bytes([len(lacing), *lacing])
    return head + body


def test_ogg_packets_are_put_together_across_segments_and_pages(peers):
    # 3 bytes; 255 + 5 bytes in two segments; 255 that go on in the next page with 255 + 0; 2 bytes.
    one = ogg_page([3, 255, 5, 255], b"abc" + b"d" * 260 + b"e" * 255)
    two = ogg_page([255, 0, 2], b"e" * 255 + b"fg", kind=1)
    assert peers.ogg_packets(one + two) == [b"abc", b"d" * 260, b"e" * 510, b"fg"]
    pages = list(peers.ogg_pages(one + two))
    assert [(page.continued, page.open) for page in pages] == [(False, True), (True, False)]


def test_a_packet_that_fills_whole_pages_is_one_packet(peers):
    middle = ogg_page([255, 255], b"x" * 510, kind=1)
    pages = ogg_page([255], b"x" * 255) + middle + ogg_page([1, 1], b"xy", kind=1)
    assert peers.ogg_packets(pages) == [b"x" * 766, b"y"]


@pytest.mark.parametrize("bad", [b"RIFF" + bytes(40), ogg_page([9], b"short"), b"OggS"])
def test_what_is_no_ogg_file_is_refused(peers, bad):
    with pytest.raises(ValueError, match="Ogg page"):
        peers.ogg_packets(bad)


@pytest.mark.parametrize(
    "config, code, count, seconds",
    [
        (0, 0, None, 0.010),  # SILK, 10 ms
        (3, 0, None, 0.060),  # SILK, 60 ms
        (11, 1, None, 0.120),  # two frames of one size
        (12, 2, None, 0.020),  # hybrid, two frames of two sizes
        (15, 0, None, 0.020),
        (16, 3, 48, 0.120),  # CELT, 48 frames of 2.5 ms
        (31, 3, 3, 0.060),
    ],
)
def test_the_first_bytes_of_an_opus_packet_say_how_long_it_is(peers, config, code, count, seconds):
    packet = bytes([config << 3 | code, *([] if count is None else [count | 0x80])]) + b"rest"
    assert peers.opus_seconds(packet) == pytest.approx(seconds)


def test_opus_payload_counts_edge_packets_by_their_share(peers):
    # Pre-skip 480 of 48000: packets of 20 ms cover -10…10, 10…30, 30…50 ms with 20, 40, 80 bytes.
    head = b"OpusHead" + bytes([1, 1]) + (480).to_bytes(2, "little") + bytes(7)
    packets = [bytes([1 << 3]) + bytes(n - 1) for n in (20, 40, 80)]
    pages = [ogg_page([len(p)], p) for p in (head, b"OpusTags", *packets)]
    kbps = peers.opus_kbps(b"".join(pages), 0.0, 0.045)
    assert kbps == pytest.approx(8 * (10 + 40 + 0.75 * 80) / 0.045 / 1000)
    assert peers.opus_kbps(b"".join(pages), 0.01, 0.03) == pytest.approx(8 * 40 / 0.02 / 1000)


@pytest.mark.parametrize("shift", [-37, 0, 1, 323, 1600])
def test_a_delay_is_found_to_the_sample_where_the_waveform_is_kept(peers, clips, shift):
    sounds = [peers.padded(item.waveform) for item in clips]
    late = [0.5 * torch.roll(sound, shift) for sound in sounds]
    assert peers.delay_of(sounds, late) == shift


def test_a_delay_is_found_to_the_millisecond_where_the_waveform_is_drawn_anew(peers, clips):
    sounds = [peers.padded(item.waveform) for item in clips]
    generator = torch.Generator().manual_seed(0)
    late = []
    for sound in sounds:
        spectrum = torch.stft(sound, 256, 64, window=torch.hann_window(256), return_complex=True)
        phase = torch.rand(spectrum.shape, generator=generator) * 2 * torch.pi
        other = torch.istft(
            spectrum.abs() * torch.exp(1j * phase), 256, 64, window=torch.hann_window(256),
            length=len(sound),
        )  # fmt: skip
        late.append(torch.roll(other, 336)[: len(sound) - 200])  # and shorter at the end
    fit = torch.corrcoef(torch.stack([sounds[0][:-200], torch.roll(late[0], -336)]))[0, 1]
    assert abs(fit) < 0.5
    assert abs(peers.delay_of(sounds, late) - 336) <= 16


def test_sounds_are_16_bit_and_cut_at_full_scale(peers):
    sound = torch.tensor([0.0, 0.5, -0.5, 1.0, 1.7, -1.7])
    assert peers.pcm(sound).tolist() == [0, 16384, -16384, 32767, 32767, -32768]


@pytest.mark.parametrize(
    "program, made, rates",
    [
        ("c2enc", lambda p: p.Codec2("700C"), (0.7, 0.8)),  # 28 bits each 40 ms, 4 bytes stored
        ("opusenc", lambda p: p.Opus(9, 60, "vbr"), None),
        ("speexenc", lambda p: p.Speex("nb", 2), None),
    ],
)
def test_a_word_goes_through_a_real_codec(peers, scoring, clips, program, made, rates):
    need(program)
    coder = made(peers)
    entry, decoded = scoring.measure(coder, clips)
    if rates:
        assert (entry["kbps"], entry["stored_kbps"]) == pytest.approx(rates)
    else:
        assert 4 < entry["kbps"] < entry["stored_kbps"] < entry["kbps"] + 4  # Ogg is not free
    assert [len(sound) for sound in decoded] == [len(item.waveform) for item in clips]
    assert all(abs(delay) < 600 for delay in entry["delays"].values())
    need("pystoi")
    assert all(value is None or value > 0.45 for value in entry["values"]["stoi"])
    assert any(value is not None for value in entry["values"]["stoi"])


def test_speex_keeps_its_look_ahead_in_short_files_only(peers, clips):
    need("speexenc")
    coder = peers.Speex("wb", 2)
    long = clips[0].waveform.repeat(5)
    short, several = coder.code(clips[0].waveform), coder.code(long)
    assert (short.group, several.group) == ("one page", "several pages")
    late = peers.delay_of([peers.padded(clips[0].waveform)], [short.waveform])
    assert late > 100 > abs(peers.delay_of([peers.padded(long)], [several.waveform]))


def test_a_missing_program_is_said_with_its_package(peers, monkeypatch):
    monkeypatch.setenv("PATH", "")
    coders, absent = peers.installed()
    assert coders == []
    assert set(absent) == {"Codec2", "Opus", "Speex"}
    assert "opusenc and opusdec" in absent["Opus"] and "opus-tools" in absent["Opus"]


class Quiet:
    """A codec that halves the sound and counts how often it is asked."""

    family, band, delay = "Opus", "wb", 0

    def __init__(self, peers, version="1"):
        self.peers, self.version, self.name, self.calls = peers, version, "Quiet", 0

    def code(self, clip):
        self.calls += 1
        return self.peers.Coded(0.5 * self.peers.padded(clip), 3.0, 4 * len(clip))


def nobody(scoring):
    listener = scoring.Listener()
    listener.words, listener.absent = [], "the test brought none"
    return listener


def test_a_run_goes_on_where_it_ended_and_measures_new_versions_again(
    peers, scoring, codecs, clips, tmp_path
):
    need("pystoi"), need("pesq")
    listener = nobody(scoring)
    first = Quiet(peers)
    coders = [codecs.Original(), first]
    scoring.score_all(coders, clips, scoring.Results(tmp_path, clips), listener)
    assert first.calls == len(clips)

    again, newer = Quiet(peers), Quiet(peers, version="2")
    scoring.score_all([again], clips, scoring.Results(tmp_path, clips), listener)
    scoring.score_all([newer], clips, scoring.Results(tmp_path, clips), listener)
    assert (again.calls, newer.calls) == (0, len(clips))
    with pytest.raises(ValueError, match="other clips.*--out"):
        scoring.Results(tmp_path, clips[:1])
    entry = scoring.Results(tmp_path, clips).entries["Quiet"]
    assert entry["kbps"] == 3.0 and entry["stored_kbps"] == pytest.approx(4 * RATE / 1000)
    # Half the amplitude is 6.02 dB, but for what lies on the floor.
    assert all(3 < value < 6.03 for value in entry["values"]["log_mel_db"])


def test_the_report_has_every_row_and_no_path_of_the_machine(
    peers, scoring, codecs, clips, tmp_path
):
    need("pystoi"), need("pesq")
    results = scoring.Results(tmp_path, clips)
    listener = nobody(scoring)
    entries = scoring.score_all(
        [codecs.Original(), codecs.TelephoneBand(), Quiet(peers)], clips, results, listener
    )
    absent = {"Opus": "Opus is skipped: no program opusenc here (Debian package opus-tools)."}
    codecs.report(entries, results, listener, absent, tmp_path)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| **original** | wb | 256.00 | 256.00 | 1.000 [1.000, 1.000] |" in text
    assert "| Quiet | wb | 3.00 | 64.00 |" in text
    assert "opus-tools). Its rows are from an earlier run." in text
    assert "No column of words: the test brought none." in text
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert [entry["codec"] for entry in scores["codecs"]][0] == "original"
    for name in ("table.md", "scores.json"):
        assert str(ROOT) not in (tmp_path / name).read_text(encoding="utf-8")
    assert (tmp_path / "quality.png").read_bytes()[:4] == b"\x89PNG"


def test_words_right_and_the_change_against_the_original(scoring):
    clips = {"labels": ["up", "up", "go", "no"], "speakers": ["a", "a", "b", "c"]}
    values = {name: [1.0] * 4 for name in scoring.metrics.METRICS}
    heard = {
        "original": ["up", "up", "up", None],  # "no" is no word of this classifier
        "codec": ["up", "go", "go", None],
    }
    entries = [
        {"codec": name, "values": values, "heard": {"by": "x", "words": words}}
        for name, words in heard.items()
    ]
    scoring.summarise(entries, clips, "x")
    original, codec = (entry["summary"] for entry in entries)
    assert original["words"][0] == pytest.approx(200 / 3, abs=1e-3) and original["words"][3] == 3
    assert codec["words"][0] == pytest.approx(200 / 3, abs=1e-3)
    assert codec["points"] == [0.0, -50.0, 100.0, 3]  # speakers: a alone -50, b alone +100
    assert original["points"] == [0.0, 0.0, 0.0, 3]
    scoring.summarise(entries, clips, "another classifier")
    assert entries[0]["summary"]["words"] is None


def test_ours_keeps_the_stored_file_of_the_bare_clip_within_the_rate(codecs, clips):
    codec = vqlab.load_pretrained("speech")
    clip = clips[0].waveform
    found = {kbps: codecs.Ours("vqlab", codec, kbps).code(clip) for kbps in (0.75, 1.65)}
    for kbps, coded in found.items():
        assert 0.8 * kbps < coded.stored_bits * RATE / len(clip) / 1000 <= kbps
        assert 0 < coded.stored_bits * RATE / len(clip) / 1000 - coded.payload_kbps < 0.12
        assert len(coded.waveform) == len(clip) + RATE
        inside = coded.waveform[RATE // 2 : -RATE // 2]
        assert inside.std() == pytest.approx(float(clip.std()), rel=0.6)
        assert coded.waveform[: RATE // 4].std() < 0.05 * inside.std()  # silence stays silence


def test_reference_rows_need_no_codes(codecs, peers, clips):
    codec = vqlab.load_pretrained("speech")
    clip = clips[0].waveform
    frames = codecs.Uncoded("frames", codec, network=False).code(clip)
    plain = Codec(codec.recipe, codec.features)
    plain.model.bottleneck = models.Identity(plain.model.bottleneck.dim)
    network = codecs.Uncoded("network", plain, network=True).code(clip)
    for coded in (frames, network):
        assert len(coded.waveform) == len(clip) + RATE
        assert coded.payload_kbps is None and coded.stored_bits is None
    x, y = (log_mel(sound, MelConfig()) for sound in (peers.padded(clip), frames.waveform))
    assert (x - y)[:, 63:-63].abs().mean() < 4  # dB


def test_the_clip_lists_name_clips_and_nothing_of_a_machine():
    for name, count in (("clips_words.txt", 176), ("clips_librispeech.txt", 30)):
        lines = (ROOT / "benchmarks" / name).read_text(encoding="utf-8").splitlines()
        paths = [line for line in lines if line and not line.startswith("#")]
        assert len(set(paths)) == len(paths) == count
        assert not any(path.startswith(("/", "data/")) or ".." in path for path in paths)


def test_a_folder_of_other_sample_rates_is_read_at_16_khz(codecs, tmp_path):
    import argparse

    (tmp_path / "word").mkdir()
    audio.save(tmp_path / "word" / "a_nohash_0.wav", 0.1 * torch.randn(8000), 8000)
    arguments = argparse.Namespace(folder=tmp_path, seconds=0.5)
    (item,) = codecs.read_clips(arguments)
    assert (item.sample_rate, len(item.waveform), item.label) == (RATE, 8000, "word")
    assert item.speaker == "a"
