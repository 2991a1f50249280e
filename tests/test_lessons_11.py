"""Notebook 11: what it counts equals the package, and its checks answer a learner rightly."""

import ast

import torch
from _series import sources, taught

from vqlab import lessons, models, quantize
from vqlab.experiments import data, front, reading
from vqlab.lessons import nb11, own_file
from vqlab.spectral import MelConfig

CODE = sources("11")


# --- the references of the exercises are what the package does ------------------------------------


def test_a_layer_on_a_plane_gives_the_codes_of_a_layer_for_planes():
    torch.manual_seed(0)
    package, z_e = quantize.VectorQuantizer(3, 8).eval(), torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        package.codebook.copy_(torch.randn(8, 3))
    layer = own_file.program({}).VectorQuantizer(3, 8).eval()
    layer.codebook.copy_(package.codebook)
    z_q, codes, _ = lessons.find("11-on-a-plane").right(layer, z_e)
    expected = package(z_e)
    assert torch.equal(codes, expected.codes[:, 0])
    torch.testing.assert_close(z_q, expected.z)


def test_the_middle_of_the_notebooks_model_codes_and_decodes_as_it_learns():
    """`OnAPlane` is asked for codes by one path and in training by another."""
    named = {"models": models, "quantize": quantize, "lessons": lessons}
    named["on_a_plane"] = lessons.find("11-on-a-plane").right
    layer = taught("11", "mine-on-a-plane", **named)["OnAPlane"](4, 8)
    layer.train()(torch.randn(2, 4, 3, 5))
    layer.eval()
    z_e = torch.randn(2, 4, 3, 5)
    quantized = layer(z_e)
    assert torch.equal(layer.encode(z_e), quantized.codes)
    torch.testing.assert_close(layer.decode(quantized.codes), quantized.z)


def test_the_picture_of_the_exercise_is_the_one_of_the_front_end():
    config = MelConfig(n_fft=1024, hop_length=128, n_mels=1)
    thesis = front.Front(config, mel=False, frames=32, inversion="griffin_lim", iterations=1)
    random = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(2, thesis.samples, generator=random)
    sound[1] *= 0.01
    for ours, theirs in zip(
        lessons.find("11-note-to-picture").right(sound), thesis.analyse(sound), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_revived_file_says_what_its_check_says(tmp_path):
    """Its hint counts batches by hand."""
    grid = reading.read(reading.find("nsynth-minimal"))
    found = data.load(grid, "train")
    assert len(found) == nb11.SEGMENTS


# --- a learner's other answers --------------------------------------------------------------------


def test_other_right_answers_pass():
    def on_a_plane(layer, z_e):
        batch, dim, height, width = z_e.shape
        z_q, codes, loss = layer(z_e.reshape(batch, dim, height * width))
        return z_q.view_as(z_e), codes.view(batch, height, width), loss

    def note_to_picture(waveforms):
        frames = waveforms.unfold(1, 1024, 128) * torch.hann_window(1024)
        power = torch.fft.rfft(frames).abs().square().mT[:, :-1]
        db = 10 * torch.log10(torch.maximum(power, torch.tensor(1e-9)))
        low, high = db.flatten(1).min(dim=1).values, db.flatten(1).max(dim=1).values
        return (db - low.reshape(-1, 1, 1)) / (high - low).reshape(-1, 1, 1), low, high

    def revived(text):
        vq = "K: [16, 64], start: kmeans, decay: 0.8, restart_below: 0.1}"
        text = text.replace("K: [16, 64]}", vq).replace("nsynth-minimal", "mine")
        return text.replace("epochs: 2", "epochs: 5")

    for answer in (on_a_plane, note_to_picture, revived):
        name = f"11-{answer.__name__.replace('_', '-')}"
        assert lessons.check(name, answer), name


def test_a_file_that_cannot_be_read_is_told_with_its_line():
    said = lessons.check("11-revived", lambda text: text.replace("epochs", "epoch")).sentence
    assert "better.yaml:10: unknown key 'epoch'" in said and "tmp" not in said
    assert "the text of a file" in lessons.check("11-revived", lambda text: None).sentence


# --- the notebook ---------------------------------------------------------------------------------


def test_one_switch_each_takes_it_to_the_real_sets():
    (cell,) = [text for text in CODE if text.startswith("import") and "FAST = True" in text]
    (line,) = [line for line in cell.splitlines() if line.startswith("DIGITS, PHOTOS, NOTES = ")]
    assert '"digits", "patches", "notes"' in line
    assert all(f'"{name}"' in line for name in ("mnist", "cifar10", "nsynth"))
    used = {node.id for text in CODE[2:] for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Name)}  # fmt: skip
    assert {"DIGITS", "PHOTOS", "NOTES", "FAST"} <= used
