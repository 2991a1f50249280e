"""The variants: against explicit matrices, brute force, and the plain residual quantiser."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from quantizer_variants import (
    CosineQuantizer,
    FiniteScalarStage,
    ResidualStack,
    SimVectorQuantizer,
    quantize_residual,
    rotate_to,
)
from torch import Tensor

from vqlab import training
from vqlab.models import Autoencoder
from vqlab.quantize import (
    FiniteScalarQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
    straight_through,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def bottlenecks(dim: int = 8, k: int = 16, stages: int = 3) -> dict[str, ResidualStack]:
    """Every method, small: the stages and how the gradient passes."""
    made = {
        "ema": ([VectorQuantizer(dim, k) for _ in range(stages)], straight_through),
        "gradient": (
            [VectorQuantizer(dim, k, decay=None) for _ in range(stages)],
            straight_through,
        ),
        "rotation": ([VectorQuantizer(dim, k) for _ in range(stages)], rotate_to),
        "simvq": ([SimVectorQuantizer(dim, k) for _ in range(stages)], straight_through),
        "cosine": ([CosineQuantizer(dim, k, code_dim=4) for _ in range(stages)], None),
        "fsq": ([FiniteScalarStage((4, 4), dim) for _ in range(stages)], None),
    }
    return {name: ResidualStack(list_, estimator=how) for name, (list_, how) in made.items()}


METHODS = list(bottlenecks())


# The rotation trick


def rotation(z_e: Tensor, z_q: Tensor) -> Tensor:
    """lambda R of one pair of vectors as a matrix (dim, dim): the paper's section 4.2 in full."""
    e, q = z_e / z_e.norm(), z_q / z_q.norm()
    r = (e + q) / (e + q).norm()
    matrix = torch.eye(len(e), dtype=e.dtype) - 2 * torch.outer(r, r) + 2 * torch.outer(q, e)
    return z_q.norm() / z_e.norm() * matrix


def test_a_quarter_turn_by_hand() -> None:
    z_e = torch.tensor([[1.0, 0.0]], requires_grad=True)
    z_q = torch.tensor([[0.0, 2.0]])
    out = rotate_to(z_e, z_q)
    assert torch.equal(out.detach(), z_q)
    # R turns (1, 0) to (0, 1) and the vectors have lengths 1 and 2, so a gradient along z_q must
    # arrive along z_e, twice as long, and one to its left to the left of z_e.
    (along,) = torch.autograd.grad(out, z_e, torch.tensor([[0.0, 1.0]]), retain_graph=True)
    torch.testing.assert_close(along, torch.tensor([[2.0, 0.0]]))
    (left,) = torch.autograd.grad(out, z_e, torch.tensor([[-1.0, 0.0]]))
    torch.testing.assert_close(left, torch.tensor([[0.0, 2.0]]))


def test_the_gradient_is_that_of_the_explicit_matrix() -> None:
    z_e = torch.randn(20, 6, dtype=torch.float64, requires_grad=True)
    z_q, g = torch.randn(20, 6, dtype=torch.float64), torch.randn(20, 6, dtype=torch.float64)
    out = rotate_to(z_e, z_q)
    torch.testing.assert_close(out, z_q)
    out.backward(g)
    for row in range(20):
        matrix = rotation(z_e[row].detach(), z_q[row])
        torch.testing.assert_close(matrix @ z_e[row].detach(), z_q[row])  # it is the right matrix
        torch.testing.assert_close(z_e.grad[row], matrix.T @ g[row])


def test_where_z_q_is_a_multiple_of_z_e_the_gradient_is_only_scaled() -> None:
    z_e, g = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4)
    rotate_to(z_e, 3 * z_e.detach()).backward(g)
    torch.testing.assert_close(z_e.grad, 3 * g)


def test_the_gradient_keeps_its_angle_to_the_vector_which_copying_does_not() -> None:
    z_e, z_q = torch.randn(50, 6, requires_grad=True), torch.randn(50, 6)
    g = torch.randn(50, 6)
    at_z_q = F.cosine_similarity(g, z_q)
    for estimator, keeps in ((rotate_to, True), (straight_through, False)):
        (arrived,) = torch.autograd.grad(estimator(z_e, z_q), z_e, g)
        at_z_e = F.cosine_similarity(arrived, z_e)
        assert torch.allclose(at_z_e, at_z_q, atol=1e-5) == keeps


numbers = st.floats(-100, 100, width=32)
vectors = st.lists(numbers, min_size=4, max_size=4).map(lambda row: torch.tensor([row]))


@settings(max_examples=200)
@given(vectors, vectors, vectors, st.sampled_from([1.0, 1e-3, 1e-8, 1e-20, 0.0]))
def test_any_vectors_give_the_value_of_z_q_and_a_gradient_of_known_length(
    z_e: Tensor, z_q: Tensor, g: Tensor, scale: float
) -> None:
    z_e = (scale * z_e).requires_grad_()
    out = rotate_to(z_e, z_q)
    torch.testing.assert_close(out.detach(), z_q, rtol=1e-5, atol=1e-4)
    out.backward(g)
    assert torch.isfinite(z_e.grad).all()
    length = float(z_e.detach().norm())
    if length < 1e-6:
        assert torch.equal(z_e.grad, g)  # no direction: copied
    else:
        expected = float(z_q.norm()) / length * float(g.norm())
        assert float(z_e.grad.norm()) == pytest.approx(expected, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("off", [0.0, 1e-9, 1e-7, 1e-5, 1e-3])
def test_opposite_and_nearly_opposite_vectors_stay_finite_and_of_the_right_length(
    off: float,
) -> None:
    z_e = torch.randn(100, 8).requires_grad_()
    z_q = -2 * z_e.detach() + off * torch.randn(100, 8)
    g = torch.randn(100, 8)
    out = rotate_to(z_e, z_q)
    torch.testing.assert_close(out.detach(), z_q)
    out.backward(g)
    assert (z_e.grad.norm(dim=1) <= 2.01 * g.norm(dim=1)).all()


# The codebook of SimVQ


def test_in_simvq_only_the_linear_layer_moves() -> None:
    layer = SimVectorQuantizer(6, 32)
    frozen = layer.codebook.clone()
    before = layer.linear.weight.clone()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        out = layer(torch.randn(4, 6, 10))
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    assert torch.equal(layer.codebook, frozen)
    assert not torch.equal(layer.linear.weight, before)


def test_one_chosen_code_moves_all_codes_of_simvq() -> None:
    layer = SimVectorQuantizer(6, 32)
    before = layer.table().detach().clone()
    layer(3 + torch.zeros(1, 6, 1)).loss.backward()  # one position, so one code
    with torch.no_grad():
        layer.linear.weight -= 0.1 * layer.linear.weight.grad
    assert ((layer.table().detach() - before).norm(dim=1) > 0).all()


def test_the_codes_of_simvq_are_the_nearest_of_the_codebook_times_w() -> None:
    layer = SimVectorQuantizer(6, 32).eval()
    z = torch.randn(3, 6, 7)
    w = layer.linear.weight.T
    moved = torch.stack([c @ w for c in layer.codebook]).detach()  # (32, 6)
    out = layer(z)
    for b, p in itertools.product(range(3), range(7)):
        nearest = min(range(32), key=lambda k: float((z[b, :, p] - moved[k]).norm()))  # noqa: B023
        assert int(out.codes[b, 0, p]) == nearest
        torch.testing.assert_close(out.z[b, :, p], moved[nearest])


# Codes by their angle


def test_cosine_codes_are_those_at_the_smallest_angle() -> None:
    layer = CosineQuantizer(6, 32, code_dim=3).eval()
    rows = torch.randn(40, 6)
    z_q, codes, _, _ = layer.quantize(rows)
    inside = layer.project_in(rows)
    for row in range(40):
        cosines = F.cosine_similarity(inside[row].expand(32, 3), layer.codes.codebook)
        assert int(codes[row]) == max(range(32), key=cosines.tolist().__getitem__)
        e = layer.codes.codebook[codes[row]]
        torch.testing.assert_close(z_q[row], layer.project_out(e))  # as long as the code is


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e3])
def test_the_length_of_a_vector_does_not_change_its_cosine_code(scale: float) -> None:
    layer = CosineQuantizer(6, 32, code_dim=3).eval()
    torch.nn.init.zeros_(layer.project_in.bias)
    rows = torch.randn(200, 6)
    assert torch.equal(layer.quantize(rows)[1], layer.quantize(scale * rows)[1])


def test_the_length_of_a_code_does_not_change_who_chooses_it() -> None:
    layer = CosineQuantizer(6, 32, code_dim=3).eval()
    rows = torch.randn(200, 6)
    before = layer.quantize(rows)[1]
    layer.codes.codebook.data *= torch.rand(32, 1) + 0.1
    assert torch.equal(before, layer.quantize(rows)[1])


def test_the_losses_of_cosine_codes_by_hand() -> None:
    layer = CosineQuantizer(2, 2, code_dim=2, beta=0.5)
    torch.nn.init.eye_(layer.project_in.weight)
    torch.nn.init.zeros_(layer.project_in.bias)
    layer.codes.codebook.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # (3, 1) chooses (1, 0): squared differences 4 and 1, mean 2.5, counted once and a half times.
    _, codes, loss, stats = layer.quantize(torch.tensor([[3.0, 1.0]]))
    assert codes.tolist() == [0]
    assert float(stats["commitment"]) == 2.5
    assert float(loss.detach()) == 1.5 * 2.5


# Finite scalars as a stage


def test_a_finite_scalar_stage_is_the_layer_of_that_name_between_two_maps() -> None:
    stage = FiniteScalarStage((8, 5, 5, 5), 16).eval()
    rows = torch.randn(18, 16)
    expected = FiniteScalarQuantizer((8, 5, 5, 5))(stage.project_in(rows).T[None])
    z_q, codes, loss, stats = stage.quantize(rows)
    assert torch.equal(codes, expected.codes[0, 0])
    assert torch.equal(stage.codes_of(rows), codes)
    torch.testing.assert_close(z_q, stage.project_out(expected.z[0].T))
    assert float(loss.detach()) == 0
    assert stats == expected.stats


# The stack


def test_a_stack_of_plain_layers_is_the_residual_quantiser_bit_for_bit() -> None:
    torch.manual_seed(5)
    plain = ResidualQuantizer(8, 16, 3)
    torch.manual_seed(5)
    stack = ResidualStack([VectorQuantizer(8, 16) for _ in range(3)])
    batches = torch.randn(4, 6, 8, 10)
    results = []
    for layer in (plain, stack):
        torch.manual_seed(7)  # the k-means start and the restarts draw random numbers
        seen = []
        for batch in batches:
            z = batch.clone().requires_grad_()
            out = layer(z)
            (out.z.square().sum() + out.loss).backward()
            seen += [out.z.detach(), out.codes, out.loss.detach()]
            seen += [torch.as_tensor(value) for _, value in sorted(out.stats.items())]
        seen += [layer.decode(out.codes), layer.decode(out.codes[:, :2])]
        seen += [tensor for name, tensor in layer.state_dict().items() if "layers" in name]
        results.append((seen, z.grad))
    (expected, gradient), (found, found_gradient) = results
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    torch.testing.assert_close(gradient, found_gradient)  # its parts are added in another order
    assert (stack.codebook_sizes, stack.bits_per_position) == ((16,) * 3, 12)
    assert (plain.codebook_sizes, plain.bits_per_position) == ((16,) * 3, 12)


def test_a_row_with_fewer_stages_neither_moves_nor_counts_in_the_others() -> None:
    stages = [VectorQuantizer(4, 8, kmeans_start=False) for _ in range(3)]
    rows = torch.randn(30, 4)
    before = [stage.codebook.clone() for stage in stages]
    z_q, codes, loss, _ = quantize_residual(stages, rows, depth=torch.ones(30, dtype=torch.int64))
    torch.testing.assert_close(z_q, before[0][codes[:, 0]])
    torch.testing.assert_close(loss, 0.25 * F.mse_loss(rows, z_q))
    assert not torch.equal(stages[0].codebook, before[0])


@pytest.mark.parametrize("method", METHODS)
def test_decoding_the_codes_gives_what_the_decoder_was_given(method: str) -> None:
    layer = bottlenecks()[method]
    z = torch.randn(3, 8, 5, 2)
    layer(z)  # starts the codebooks
    layer.eval()
    out = layer(z)
    assert out.codes.shape == (3, 3, 5, 2)
    assert out.codes.dtype == torch.int64
    torch.testing.assert_close(layer.decode(out.codes), out.z)
    learning = layer(z.requires_grad_())
    torch.testing.assert_close(learning.z, out.z)  # the gradient changes no value
    assert torch.equal(learning.codes, out.codes)


@pytest.mark.parametrize("method", METHODS)
def test_the_decoders_gradient_reaches_the_encoder(method: str) -> None:
    layer = bottlenecks()[method]
    z = torch.randn(3, 8, 5, requires_grad=True)
    layer(z).z.square().sum().backward()
    assert torch.isfinite(z.grad).all()
    assert (z.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("method", ["cosine", "fsq"])
def test_the_linear_maps_of_every_stage_learn_from_the_decoder(method: str) -> None:
    layer = bottlenecks()[method]
    layer(torch.randn(3, 8, 5, requires_grad=True)).z.square().sum().backward()
    for stage in layer.layers:
        assert stage.project_in.weight.grad.abs().sum() > 0
        assert stage.project_out.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_the_error_on_a_toy_set(method: str) -> None:
    # Points on a curve of two parameters in eight dimensions, as encoders find them in sound.
    mix = torch.randn(2, 8)
    encoder, decoder = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
    layer = bottlenecks()[method]
    parts = torch.nn.ModuleList([encoder, layer, decoder])
    optimizer = torch.optim.Adam([p for p in parts.parameters() if p.requires_grad], lr=5e-3)
    errors = []
    for _ in range(300):
        x = torch.tanh(torch.randn(64, 2) @ mix)
        out = layer(encoder(x)[..., None])
        error = F.mse_loss(decoder(out.z[..., 0]), x)
        optimizer.zero_grad()
        (error + out.loss).backward()
        optimizer.step()
        errors.append(float(error.detach()))
    first, last = sum(errors[:5]) / 5, sum(errors[-20:]) / 20
    assert last < 0.25 * first
    parts.eval()
    x = torch.tanh(torch.randn(200, 2) @ mix)
    codes = layer(encoder(x)[..., None]).codes
    with torch.no_grad():
        one, three = (decoder(layer.decode(codes[:, :n])[..., 0]) for n in (1, 3))
    assert F.mse_loss(three, x) < F.mse_loss(one, x)


@pytest.mark.parametrize("method", ["gradient", "simvq"])
def test_a_training_interrupted_and_resumed_equals_one_that_was_not(
    method: str, tmp_path: Path
) -> None:
    items = torch.randn(16, 4, 6)

    def fit(folder: str, stop_at: int | None = None) -> torch.nn.Module:
        torch.manual_seed(3)
        model = Autoencoder(
            torch.nn.Conv1d(4, 8, 1), bottlenecks()[method], torch.nn.Conv1d(8, 4, 1)
        )

        def on_report(run: training.Run) -> None:
            if run.step == stop_at:
                raise KeyboardInterrupt

        training.fit(
            model, items, items, steps=6, report_every=3, batch_size=8, device="cpu",
            out=tmp_path / folder, on_report=on_report, progress=False,
        )  # fmt: skip
        return model

    whole = fit("whole")
    fit("cut", stop_at=3)
    resumed = fit("cut")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_stack_of_one_stage_is_a_bottleneck_with_one_codebook() -> None:
    layer = ResidualStack([VectorQuantizer(4, 8)], estimator=rotate_to)
    out = layer(torch.randn(2, 4, 6, requires_grad=True))
    assert out.codes.shape == (2, 1, 6)


def test_what_cannot_be_stacked_or_decoded_is_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match=r"dim \[4, 8\]"):
        ResidualStack([VectorQuantizer(4, 8), VectorQuantizer(8, 8)])
    with pytest.raises(ValueError, match="one or more"):
        ResidualStack([])
    stack = ResidualStack([FiniteScalarStage((4, 4), 8), VectorQuantizer(8, 32)])
    with pytest.raises(ValueError, match=r"expected \(batch, 8, \*positions\)"):
        stack(torch.zeros(2, 5, 8))
    with pytest.raises(ValueError, match="stage 1 has codes from 16 to 16"):
        stack.decode(torch.full((1, 2, 3), 16))
