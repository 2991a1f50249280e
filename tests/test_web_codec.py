"""The codec of the page gives Python's bytes and sound, and refuses what Python refuses."""

import base64
import binascii
import dataclasses
import shutil
from contextlib import closing

import pytest
import torch
from _support import missing, script
from torch import nn

from vqlab.codec import Codec, Recipe, packing
from vqlab.features import Features
from vqlab.spectral import MelConfig


@pytest.fixture(scope="module")
def bench():
    return script("benchmarks", "page")


@pytest.fixture(scope="module")
def browsers():
    return script("benchmarks", "browsers")


@pytest.fixture(scope="module")
def export():
    return script("web", "export")


@pytest.fixture(scope="module")
def codec(bench):
    return Codec.load(bench.WEIGHTS)


@pytest.fixture(scope="module")
def golden(bench, browsers, export, codec, tmp_path_factory):
    """A folder with clips and the codec, and what Python makes of the clips: 44 files."""
    folder = tmp_path_factory.mktemp("page")
    named = [(name, x) for name, x in bench.sounds(13) if len(x) < 100_000]
    clips, _ = bench.prepare(folder, codec, named)
    export.export(bench.WEIGHTS, folder, bits=16)
    browsers.pages(folder)
    return folder, clips


def agrees(bench, codec, clips, found):
    assert bench.different(clips, found) == []
    for clip, one in zip(clips, found, strict=True):
        assert bench.apart_db(clip, one, codec) <= 0.02, clip.name


def test_node_gives_pythons_bytes_and_sound_without_webassembly(bench, browsers, codec, golden):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    folder, clips = golden
    agrees(bench, codec, clips, browsers.in_node(folder, plain=True))


def test_chromium_gives_pythons_bytes_and_sound_from_a_file(
    bench, browsers, codec, golden, browser
):
    folder, clips = golden
    agrees(bench, codec, clips, browsers.in_browser(browser, (folder / "fast.html").as_uri()))


@pytest.mark.parametrize("name", ["Firefox", "WebKit"])
def test_other_browsers_give_pythons_bytes_and_sound(
    bench, browsers, codec, golden, tmp_path, name
):
    command = browsers.programs(tmp_path).get(name)
    if command is None:
        missing(f"{name} is not installed")
    folder, clips = golden
    agrees(bench, codec, clips, browsers.in_program(command, folder))


@pytest.mark.parametrize("priced", [False, True], ids=["tables", "networks"])
def test_a_codec_of_other_sizes_gives_pythons_bytes(
    bench, browsers, export, browser, tmp_path, priced
):
    torch.manual_seed(0)
    sizes = dict(n_mels=20, dim=12, codebook_size=40, stages=3, stride=2, width=20)
    recipe = Recipe("variable_speech", sizes | dict(encoder_blocks=1, decoder_blocks=2))
    config = MelConfig(sample_rate=8000, n_fft=256, hop_length=100, n_mels=20, f_max=4000.0)
    small = Codec(recipe, Features(config, mean=-40.0, std=20.0), contrast=0.1)
    for parameter in small.model.parameters():
        nn.init.normal_(parameter, std=0.1)
    for layer in small.model.bottleneck.layers:
        layer.codebook.normal_()
    small.model.bottleneck.loudness.uniform_(0.5, 2.0)
    clips = [x[: 8000 + 37 * n] for n, (_, x) in enumerate(bench.sounds(9)) if len(x) > 9000]
    small.fit_tables(clips)
    if priced:
        nets = script("tools", "golden").nets(3, 40)
        small.tables = dataclasses.replace(small.tables, nets=nets)
    small.save(tmp_path / "small.safetensors")
    small = Codec.load(tmp_path / "small.safetensors")
    made, _ = bench.prepare(tmp_path, small, [(str(n), x) for n, x in enumerate(clips)])
    export.export(tmp_path / "small.safetensors", tmp_path, bits=16)
    browsers.pages(tmp_path)
    found = browsers.in_browser(browser, (tmp_path / "fast.html").as_uri())
    agrees(bench, small, made, found)


@pytest.mark.parametrize(
    "architecture, features, message",
    [
        ("speech", Features(), "not speech"),
        ("variable_speech", Features(MelConfig(n_fft=400, hop_length=160)), "not 400"),
    ],
)
def test_another_kind_of_codec_is_refused_in_one_sentence(
    export, tmp_path, capsys, architecture, features, message
):
    options = dict(width=8, dim=4, codebook_size=8, stages=2)
    Codec(Recipe(architecture, options), features).save(tmp_path / "other.safetensors")
    assert export.main([str(tmp_path / "other.safetensors"), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_with_eight_bits_the_sound_stays_within_half_a_decibel(
    bench, browsers, export, codec, golden, browser
):
    folder, clips = golden
    export.export(bench.WEIGHTS, folder, bits=8)
    found = browsers.in_browser(browser, (folder / "fast.html").as_uri())
    assert bench.different(clips, found) == []
    assert max(bench.apart_db(*pair, codec) for pair in zip(clips, found, strict=True)) < 0.5


@pytest.fixture(scope="module")
def opened(bench, browsers, export, golden, browser):
    """A page with `codec`, the shipped one, and `from` and `to`, which read and write base64."""
    folder, _ = golden
    export.export(bench.WEIGHTS, folder, bits=8)
    scripts = "".join(f'<script src="{name}"></script>' for name in ("codec.js", *browsers.MADE))
    (folder / "open.html").write_text(f"<!doctype html><meta charset=utf-8>{scripts}")
    with closing(browser.new_page()) as page:
        page.goto((folder / "open.html").as_uri())
        page.evaluate("""async () => {
          const {Codec, unzipped} = vqlabCodec();
          self.from = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          self.to = (bytes) => btoa(String.fromCharCode(...bytes));
          self.codec = new Codec(await unzipped(from(vqlabParts.sound)));
        }""")
        yield page


REFUSED = """(text) => {
  try { codec.read(from(text)); return ""; } catch (error) { return error.message; }
}"""


def test_files_that_python_refuses_are_refused_with_its_sentence(bench, codec, golden, opened):
    good = golden[1][-1].files[1]
    packed = packing.unpack(good)
    fields = packed.__dict__
    at = 3 if packed.version == 2 else 1  # of the version; five bytes on, the length begins
    length = bytes([good[at + 5], good[at + 6] | 128, good[at + 7] | 128, 0])
    hostile = [
        b"",
        b"VQ",
        b"RIFF" + good,
        good[:-1],
        good[:20] + bytes([good[20] ^ 1]) + good[21:],
        checked(good[:at] + bytes([good[at] + 1]) + good[at + 1 : -2]),
        checked(good[:at] + bytes([good[at] | 0xF0]) + good[at + 1 : -2]),
        checked(good[: at + 5] + length + good[at + 8 : -2]),
        packing.pack(packing.Packed(**fields | {"identity": b"\0\0"})),
        packing.pack(packing.Packed(**fields | {"samples": packing.MOST_SAMPLES})),
        packing.pack(packing.Packed(**fields | {"samples": 3 * packed.samples})),
        packing.pack(packing.Packed(**fields | {"payload": packed.payload + b"\0"})),
        packing.pack(packing.Packed(**fields | {"payload": b"\xff" * 60})),
    ]
    for data in hostile:
        with pytest.raises(ValueError):
            codec.from_bytes(data)
        said = opened.evaluate(REFUSED, bench.text(data))
        assert said and "\n" not in said, data
    assert opened.evaluate(REFUSED, bench.text(good)) == ""


def checked(body):
    return body + binascii.crc_hqx(body, 0).to_bytes(2, "big")


def test_random_bytes_are_read_as_python_reads_them(bench, codec, golden, opened):
    """One byte of the codes changed, the checksum right: valid for both or for neither."""
    good = golden[1][-1].files[0]
    for place in range(10, len(good) - 2, 5):
        data = checked(good[:place] + bytes([good[place] ^ 90]) + good[place + 1 : -2])
        try:
            codes, _, _ = codec.from_bytes(data)
        except ValueError:
            assert opened.evaluate(REFUSED, bench.text(data)) != "", place
        else:
            mine = opened.evaluate(
                "(text) => codec.read(from(text)).columns.map((c) => [...c])", bench.text(data)
            )
            assert mine == [[int(c) for c in column if c >= 0] for column in codes[0].T], place


def test_edited_codes_are_refitted_and_come_back_in_python(bench, codec, golden, opened):
    """First-stage codes changed everywhere: depths follow, and Python reads the codes shown."""
    good = golden[1][-1].files[2]
    shown, file = opened.evaluate(
        """(text) => {
          const file = codec.read(from(text));
          const edited = file.columns.map((column, p) => {
            const other = column.slice();
            if (p % 2) other[0] = (37 * p) % 1024;
            return other;
          });
          file.columns = codec.refit(edited, file.quality);
          return [file.columns.map((column) => [...column]), to(codec.write(file))];
        }""",
        bench.text(good),
    )
    codes, _, _ = codec.from_bytes(base64.b64decode(file))
    assert shown == [[int(c) for c in column if c >= 0] for column in codes[0].T]
    before, _, _ = codec.from_bytes(good)
    assert any(
        (codes[0, :, p] >= 0).sum() != (before[0, :, p] >= 0).sum() for p in range(len(shown))
    )
