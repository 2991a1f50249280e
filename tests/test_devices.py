"""The same results on a GPU (NVIDIA's CUDA, Apple's MPS) as on the CPU; skipped without one.

So far nobody has run these on either: they are written, and the README says so.
"""

import gpu_check
import pytest
import torch

from vqlab import inversion, metrics, models, quantize, spectral, training
from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.spectral import MelConfig

SMALL = {"n_mels": 16, "dim": 8, "codebook_size": 16, "stages": 2, "width": 16, "decoder_blocks": 1}
FEATURES = Features(MelConfig(n_fft=256, hop_length=160, n_mels=16), mean=-40.0, std=20.0)


@pytest.fixture(params=["cuda", "mps"])
def device(request):
    here = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if not here[request.param]():
        pytest.skip(f"no {request.param} device here")
    return request.param


def sounds(n=8, samples=3200):
    torch.manual_seed(0)
    t = torch.arange(samples) / 16000
    return 0.3 * torch.hann_window(samples) * torch.sin(6.283 * 300 * torch.rand(n, 1) * t)


def test_griffin_lim_and_gradient_give_what_the_cpu_gives(device):
    config = MelConfig()
    magnitude = spectral.stft(sounds(), config).abs()
    mel = spectral.mel(sounds().to(device), config)
    torch.testing.assert_close(mel.cpu(), spectral.mel(sounds(), config), rtol=1e-3, atol=1e-5)
    for invert in (inversion.griffin_lim, inversion.gradient):
        errors = []
        for where in ("cpu", device):
            found = invert(magnitude.to(where), config, n_iter=20)
            assert found.device.type == where
            errors.append(metrics.spectral_convergence(found.cpu(), magnitude, config))
        assert errors[1] == pytest.approx(errors[0], abs=0.03)
    assert inversion.mel_to_audio(mel, config, n_iter=2).device.type == device


@pytest.mark.parametrize("name", ["vq", "rvq", "fsq", "gradient"])
def test_a_quantiser_learns_there_and_chooses_as_on_the_cpu(device, name):
    torch.manual_seed(0)
    quantizer = {
        "vq": lambda: quantize.VectorQuantizer(4, 8),
        "rvq": lambda: quantize.ResidualQuantizer(4, 8, 3, dropout=0.5),
        "fsq": lambda: quantize.FiniteScalarQuantizer([5, 4, 3, 2]),
        "gradient": lambda: quantize.VectorQuantizer(4, 8, decay=None),
    }[name]().to(device)
    z = torch.randn(2, 4, 50)
    with torch.autocast(device, enabled=device == "cuda", dtype=torch.bfloat16):
        there = z.to(device).requires_grad_()
        quantized = quantizer(there)
    (quantized.z.square().mean() + quantized.loss).backward()
    assert there.grad.abs().sum() > 0
    quantizer.eval()
    codes = quantizer(z.to(device)).codes.cpu()
    assert (quantizer.cpu()(z).codes == codes).float().mean() > 0.98  # ties may fall another way


def test_a_run_there_resumes_where_it_stopped_and_its_codec_works(device, tmp_path):
    def fit(model, out, **options):
        return training.fit(
            model, sounds(), sounds(4), features=FEATURES, out=out, steps=6, report_every=3,
            batch_size=4, device=device, progress=False, augment=training.shift_and_gain, **options,
        )  # fmt: skip

    def interrupt(run):
        raise KeyboardInterrupt

    torch.manual_seed(0)
    whole = models.speech(**SMALL)
    expected = fit(whole, tmp_path / "whole")
    torch.manual_seed(0)
    assert fit(models.speech(**SMALL), tmp_path / "cut", on_report=interrupt).step == 3
    resumed = models.speech(**SMALL)
    run = fit(resumed, tmp_path / "cut")
    assert run.step == 6 and next(resumed.parameters()).device.type == device
    # Not to the last bit: a GPU adds up in another order each time.
    errors = [r.history[-1]["validation_error"] for r in (expected, run)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)
    codec = Codec(Recipe("speech", SMALL), FEATURES, model=resumed)
    heard = codec.reconstruct(sounds()[0])
    assert heard.shape == (3200,) and heard.device.type == "cpu" and heard.isfinite().all()


def test_a_codec_of_variable_depth_codes_there_as_on_the_cpu(device):
    torch.manual_seed(0)
    blocks = {"encoder_blocks": 1, "decoder_blocks": 1, "fine_blocks": 1}
    sizes = {"n_mels": 16, "dim": 8, "codebook_size": 16, "stages": 4, "width": 16}
    codec = Codec(Recipe("variable_speech", sizes | blocks), FEATURES)
    codec.model.start(FEATURES.analyse(sounds()))
    sound = sounds()[0]
    here = codec.encode(sound, quality=20)[0]
    codec.model.to(device)
    there, gain_db = codec.encode(sound, quality=20)
    assert (here == there).float().mean() > 0.95  # ties may fall another way
    data = codec.to_bytes(there, len(sound), gain_db, 20)
    assert torch.equal(codec.from_bytes(data)[0], there)
    assert codec.decode(there, len(sound), gain_db).isfinite().all()


def test_the_check_of_a_gpu_rehearses_on_the_cpu(tmp_path, capsys):
    out = tmp_path / "gpu.md"
    arguments = ["--device", "cpu", "--steps", "2", "--notebooks", "--out", str(out)]
    assert gpu_check.main(arguments) == 0
    assert "| codes equal to the CPU's | " in out.read_text() and "| NO |" not in out.read_text()
    assert capsys.readouterr().out == out.read_text()


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is one here"
)
def test_without_a_gpu_the_check_is_one_sentence(capsys):
    assert gpu_check.main([]) == 2
    assert capsys.readouterr().err.startswith("there is no GPU here")
