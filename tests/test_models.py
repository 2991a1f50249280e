"""Models: any bottleneck fits any encoder and decoder, in one dimension and in two."""

import math

import pytest
import torch

from vqlab import models, networks
from vqlab.lessons import latents
from vqlab.quantize import (
    FiniteScalarQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
    WrongAxesVectorQuantizer,
)

BOTTLENECKS = {
    "identity": lambda: models.Identity(4),
    "gaussian": lambda: models.Gaussian(4),
    "vq": lambda: VectorQuantizer(4, 8),
    "rvq": lambda: ResidualQuantizer(4, 8, 3),
    "fsq": lambda: FiniteScalarQuantizer([5, 4, 3, 2]),
}


def autoencoder(bottleneck, dimensions):
    wide = 8 if isinstance(bottleneck, models.Gaussian) else 4
    if dimensions == 1:
        encoder = networks.Encoder1d(6, wide, width=8, stride=2, blocks=1)
        decoder = networks.Decoder1d(4, 6, width=8, stride=2, blocks=1)
        return models.Autoencoder(encoder, bottleneck, decoder), torch.randn(3, 6, 20)
    encoder = networks.Encoder2d(1, wide, units=8)
    decoder = networks.Decoder2d(4, 1, units=8)
    return models.Autoencoder(encoder, bottleneck, decoder), torch.randn(3, 1, 16, 24)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("name", BOTTLENECKS)
def test_output_has_the_shape_of_the_input(name, dimensions):
    model, x = autoencoder(BOTTLENECKS[name](), dimensions)
    y, quantized = model(x)
    assert y.shape == x.shape
    assert torch.isfinite(quantized.loss)
    assert quantized.z.shape[1] == 4


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("name", ["vq", "rvq", "fsq"])
def test_decoding_the_codes_gives_what_the_model_gave(name, dimensions):
    model, x = autoencoder(BOTTLENECKS[name](), dimensions)
    model(x)  # one training batch starts the codebooks
    model.eval()
    y, quantized = model(x)
    codes = model.codes(x)
    assert torch.equal(codes, quantized.codes)
    assert codes.shape[2:] == tuple(n // model.stride for n in x.shape[2:])
    torch.testing.assert_close(model.decode(codes), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["identity", "gaussian"])
def test_a_bottleneck_without_codes_says_so(name):
    model, x = autoencoder(BOTTLENECKS[name](), 1)
    with pytest.raises(ValueError, match="has no codes"):
        model.codes(x)


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_every_encoder_weight_gets_a_gradient(name):
    model, x = autoencoder(BOTTLENECKS[name](), 1)
    y, quantized = model(x)
    ((y - x).square().mean() + quantized.loss).backward()
    for weight in model.encoder.parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0


def test_gaussian_divergence_against_the_formula_by_hand():
    # One position, two dimensions: mean (1, 0), variance (1, e): KL = 0.5 * 1 + 0.5 * (e - 1 - 1).
    z_e = torch.tensor([[1.0, 0.0, 0.0, 1.0]]).reshape(1, 4, 1)
    loss = models.Gaussian(2).eval()(z_e).loss
    assert loss.item() == pytest.approx(0.5 + 0.5 * (math.e - 2), rel=1e-6)


def test_gaussian_divergence_equals_torch_distributions():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 3, 7), torch.randn(5, 3, 7)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (0.5 * log_variance).exp()), normal(0.0, 1.0)
    ).sum(dim=(1, 2)).mean()  # fmt: skip
    loss = models.Gaussian(3, beta=0.5)(torch.cat([mean, log_variance], dim=1)).loss
    torch.testing.assert_close(loss, 0.5 * expected)


def test_gaussian_samples_in_training_and_takes_the_mean_in_evaluation():
    torch.manual_seed(0)
    z_e = torch.cat([torch.full((1, 1, 20000), 2.0), torch.full((1, 1, 20000), math.log(9.0))], 1)
    bottleneck = models.Gaussian(1)
    z = bottleneck(z_e).z
    assert z.mean().item() == pytest.approx(2.0, abs=0.1)
    assert z.std().item() == pytest.approx(3.0, abs=0.1)
    assert torch.equal(bottleneck.eval()(z_e).z, torch.full((1, 1, 20000), 2.0))


def test_gaussian_names_the_channels_it_needs():
    with pytest.raises(ValueError, match="needs 8 channels"):
        models.Gaussian(4)(torch.zeros(1, 4, 2))


def test_tutorial_has_its_published_shapes():
    model = models.tutorial().eval()
    x = torch.rand(1, 1, 128, 32)
    assert model.encoder(x).shape == (1, 256, 32, 8)
    assert model(x)[0].shape == x.shape
    assert model.codes(x).shape == (1, 1, 32, 8)
    assert model.bottleneck.bits_per_position * 32 * 8 == 2304  # bits for one second


def test_tutorial_as_published_groups_one_channels_picture_into_a_vector():
    """The axis mistake runs without an error because 32 * 8 = 256 = D; the vectors are others."""
    torch.manual_seed(0)
    published, right = models.tutorial(published=True), models.tutorial()
    assert isinstance(published.bottleneck, WrongAxesVectorQuantizer)
    z_e = torch.randn(1, 256, 32, 8)
    wrong = published.bottleneck._to_vectors(z_e)
    assert wrong.shape == right.bottleneck._to_vectors(z_e).shape == (256, 256)
    assert torch.equal(wrong[5], z_e[0, 5].flatten())  # a channel's picture
    assert torch.equal(right.bottleneck._to_vectors(z_e)[5], z_e[0, :, 0, 5])  # a position's vector


@pytest.mark.parametrize("units", [16, 64, 256])
def test_signals_keep_their_size_in_a_small_model_of_the_thesis_as_in_its_own(units):
    torch.manual_seed(0)
    first, relu, second, *_ = models.thesis(models.Identity(8), units=units).encoder
    x = relu(first(torch.rand(1, 1, 64, 64)))
    assert second(x).std() > 0.4 * x.std()


def test_thesis_defaults_and_start():
    model = models.thesis(units=16)
    x = torch.rand(1, 1, 64, 64)
    assert model(x)[0].shape == x.shape
    weight = model.encoder[0].weight
    assert (model.bottleneck.restart_below, bool(model.bottleneck.started)) == (0.0, True)
    # 0.02 for 256 units, cut off at twice that; four times as much for a sixteenth of them.
    assert weight.abs().max() <= 0.16 and 0.04 < weight.std() < 0.1
    assert models.thesis(units=256).encoder[0].weight.abs().max() <= 0.04
    vae = models.thesis(models.Gaussian(3), units=16)
    assert vae(x)[0].shape == x.shape


def test_speech_model_works_at_fewer_stages_and_any_length():
    torch.manual_seed(0)
    model = models.speech(n_mels=8, dim=4, codebook_size=16, width=16, decoder_blocks=1)
    model(torch.randn(4, 8, 40))
    model.eval()
    for frames in (2, 30, 102):
        codes = model.codes(torch.randn(1, 8, frames))
        assert codes.shape == (1, 3, frames // 2)
        for stages in (1, 2, 3):
            assert model.decode(codes[:, :stages]).shape == (1, 8, frames)


# The model whose positions differ in depth


def small_variable(**options):
    sizes = {"n_mels": 6, "dim": 8, "codebook_size": 16, "stages": 4, "width": 8}
    blocks = {"encoder_blocks": 1, "decoder_blocks": 1, "fine_blocks": 1}
    return models.variable_speech(**(sizes | blocks | options))


def correlated(n=64, frames=40):
    """Frames that a few hidden slow curves explain almost wholly."""
    torch.manual_seed(0)
    hidden = torch.randn(n, 2, frames).cumsum(dim=2) * 0.3
    return torch.einsum("mh,nhf->nmf", torch.randn(6, 2), hidden) + 0.01 * torch.randn(n, 6, frames)


def test_loudness_by_hand():
    x = torch.log(torch.tensor([[[1.0, 3.0, 5.0, 5.0], [2.0, 2.0, 1.0, 9.0]]]))
    expected = torch.log(torch.tensor([[(1 + 3 + 2 + 2) / 4, (5 + 5 + 1 + 9) / 4]]))
    torch.testing.assert_close(models.loudness(x, 2), expected)


def test_loudness_rises_with_level():
    x = torch.randn(2, 6, 8)
    torch.testing.assert_close(models.loudness(x + 0.5, 4), models.loudness(x, 4) + 0.5)


def test_a_network_beside_a_linear_map_starts_as_the_linear_map():
    model = small_variable()
    x = torch.randn(3, 6, 20)
    assert torch.equal(model.encoder(x), model.encoder.linear(x))
    z = torch.randn(3, 8, 5)
    assert torch.equal(model.decoder(z), model.decoder.linear(z))


def test_the_start_loses_as_little_as_the_strongest_principal_components():
    x = correlated()
    model = small_variable()
    model.start(x)
    z = model.encoder(x)
    patches = x.reshape(64, 6, 10, 4).permute(0, 2, 1, 3).reshape(640, 24)
    weight = models.loudness(x, 4).exp().reshape(-1, 1)
    mean = (weight * patches).sum(0) / weight.sum()
    _, _, vh = torch.linalg.svd(weight.sqrt() * (patches - mean), full_matrices=False)
    by_svd = (patches - mean) @ vh[:8].T  # the same subspace by another way
    ours = z.permute(0, 2, 1).reshape(640, 8)
    torch.testing.assert_close(ours.pow(2).sum(1), by_svd.pow(2).sum(1), rtol=1e-3, atol=1e-3)
    error = (model.decoder(z) - x).pow(2).mean()
    assert error < 0.05 * x.var()


def test_the_start_gives_every_stage_a_codebook_that_lowers_the_error():
    x = correlated()
    model = small_variable()
    model.start(x)
    model.eval()
    z = model.encoder(x).detach()
    errors = [float((model.bottleneck(z, s).z - z).pow(2).mean()) for s in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True) and errors[3] < 0.5 * errors[0]
    assert all(bool(layer.started) for layer in model.bottleneck.layers)


def test_in_evaluation_soft_positions_use_fewer_stages():
    model = small_variable()
    x = correlated()
    model.start(x)
    model.eval()
    soft = torch.full((1, 6, 8), -3.0)
    quantized = model.bottleneck(model.encoder(soft), loudness=models.loudness(soft, 4))
    assert torch.equal(quantized.z, model.bottleneck(model.encoder(soft), 1).z)


# --- interpolation on the sphere ------------------------------------------------------------------


def test_slerp_walks_along_a_quarter_circle():
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for degrees in (0, 30, 45, 60, 90):
        angle = math.radians(degrees)
        expected = torch.tensor([[math.cos(angle), math.sin(angle)]])
        torch.testing.assert_close(latents.slerp(x, y, degrees / 90), expected)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_slerp_keeps_the_length_and_divides_the_angle(share):
    torch.manual_seed(0)
    start, end = 5 * torch.nn.functional.normalize(torch.randn(2, 4, 7, 3), dim=2)
    point = latents.slerp(start, end, share)
    torch.testing.assert_close(point.norm(dim=1), torch.full((4, 3), 5.0))

    def angle(a, b):
        cosine = torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1)
        return cosine.clamp(-1, 1).arccos()

    expected = share * angle(start, end)
    torch.testing.assert_close(angle(start, point), expected, atol=2e-3, rtol=1e-4)


def test_slerp_of_single_vectors_follows_the_formula_of_the_thesis():
    torch.manual_seed(1)
    a, b = torch.randn(5, dtype=torch.float64), 3 * torch.randn(5, dtype=torch.float64)
    omega = torch.arccos(a @ b / (a.norm() * b.norm()))
    expected = (0.7 * omega).sin() / omega.sin() * a + (0.3 * omega).sin() / omega.sin() * b
    torch.testing.assert_close(latents.slerp(a, b, 0.3, dim=0), expected)


@pytest.mark.parametrize("end", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0], [1.0 + 1e-6, 2.0]])
def test_slerp_is_the_straight_line_where_there_is_no_single_arc(end):
    start, end = torch.tensor([[1.0, 2.0]]), torch.tensor([end])
    point = latents.slerp(start, end, 0.25)
    torch.testing.assert_close(point, 0.75 * start + 0.25 * end, atol=1e-5, rtol=1e-5)


def test_slerp_takes_a_share_for_each_item():
    start, end = torch.randn(3, 6, 1), torch.randn(3, 6, 1)
    shares = torch.tensor([0.0, 0.4, 1.0]).reshape(3, 1, 1)
    points = latents.slerp(start, end, shares)
    for i, share in enumerate((0.0, 0.4, 1.0)):
        torch.testing.assert_close(
            points[i : i + 1], latents.slerp(start[i : i + 1], end[i : i + 1], share)
        )
