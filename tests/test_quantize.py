"""The quantisers: worked by hand, by brute force, and against the published layer."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from _support import need
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqlab.quantize import (
    CodebookStats,
    FiniteScalarQuantizer,
    ResidualQuantizer,
    VectorQuantizer,
    WrongAxesVectorQuantizer,
    batch_perplexity,
    distances,
    kmeans,
    lookup,
    nearest,
    nearest_codes,
    one_hot,
    straight_through,
    to_grid,
    to_vectors,
    to_vectors_wrong_axes,
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def set_codebook(quantizer: VectorQuantizer, codebook: Tensor) -> None:
    """Fix the codes, each with the moving count 1."""
    every = torch.arange(len(codebook))
    quantizer._place(every, codebook, torch.tensor(1.0))
    quantizer.started.fill_(True)


def clusters(n: int = 400, k: int = 16, dim: int = 8) -> tuple[Tensor, Tensor]:
    """Rows (n, dim) tightly around k centres far from each other, and the centres."""
    centres = 10 * torch.randn(k, dim)
    return centres[torch.arange(n) % k] + 0.01 * torch.randn(n, dim), centres


# The five steps


def test_to_vectors_gives_the_channels_of_one_position_in_one_row() -> None:
    z = torch.randn(2, 5, 3, 4)
    vectors = to_vectors(z)
    for b, h, w in itertools.product(range(2), range(3), range(4)):
        assert torch.equal(vectors[b * 12 + h * 4 + w], z[b, :, h, w])


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 5, 3, 4), (2, 6, 2, 3), (1, 4, 2, 3, 2)])
def test_to_grid_undoes_to_vectors(shape: tuple[int, ...]) -> None:
    z = torch.randn(shape)
    assert torch.equal(to_grid(to_vectors(z), shape), z)


def test_distances_by_hand() -> None:
    vectors = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    codebook = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    assert torch.equal(distances(vectors, codebook), torch.tensor([[1.0, 9.0], [18.0, 16.0]]))


def test_distances_and_nearest_agree_with_brute_force() -> None:
    vectors, codebook = torch.randn(50, 6), torch.randn(9, 6)
    brute = torch.stack([((v - codebook) ** 2).sum(dim=1) for v in vectors])
    torch.testing.assert_close(distances(vectors, codebook), brute)
    expected = [min(range(9), key=lambda k, row=row: float(row[k])) for row in brute]
    assert nearest(distances(vectors, codebook)).tolist() == expected


def test_the_distance_of_a_vector_to_itself_is_never_negative() -> None:
    vectors = 100 * torch.randn(64, 64)
    assert distances(vectors, vectors).min() >= 0


@pytest.mark.parametrize(("n", "k", "dim"), [(1, 2, 1), (300, 7, 3), (5000, 1024, 64)])
def test_the_fast_search_equals_nearest_of_distances(n: int, k: int, dim: int) -> None:
    # Small whole numbers: float32 is exact, so both must break ties alike too.
    vectors = torch.randint(-3, 4, (n, dim)).float()
    codebook = torch.randint(-3, 4, (k, dim)).float()
    assert torch.equal(nearest_codes(vectors, codebook), nearest(distances(vectors, codebook)))


def test_the_fast_search_finds_the_nearest_among_real_numbers() -> None:
    vectors, codebook = torch.randn(6000, 64), torch.randn(1024, 64)
    exact = torch.cdist(vectors.double(), codebook.double())
    found = exact.gather(1, nearest_codes(vectors, codebook)[:, None]).squeeze(1)
    torch.testing.assert_close(found, exact.min(dim=1).values, rtol=1e-6, atol=0)


def test_looking_up_by_index_equals_the_one_hot_product() -> None:
    codebook, codes = torch.randn(9, 4), torch.randint(0, 9, (30,))
    assert torch.equal(lookup(codes, codebook), lookup(one_hot(codes, 9), codebook))


def test_straight_through_has_the_value_of_z_q_and_the_gradient_of_z_e() -> None:
    z_e, z_q = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    out = straight_through(z_e, z_q)
    torch.testing.assert_close(out, z_q)
    weights = torch.randn(3, 4)
    (out * weights).sum().backward()
    assert torch.equal(z_e.grad, weights)
    assert z_q.grad is None


# The axis mistake of the tutorial


def test_wrong_axes_run_without_error_where_the_area_equals_dim_and_give_other_vectors() -> None:
    z = torch.randn(3, 32, 8, 4)  # 8 * 4 = 32 = dim
    wrong, right = to_vectors_wrong_axes(z), to_vectors(z)
    assert wrong.shape == right.shape
    assert not torch.equal(wrong, right)
    assert torch.equal(wrong[5], z[0, 5].flatten())  # one channel at all positions
    assert torch.equal(right[5], z[0, :, 1, 1])  # all channels at one position


@pytest.mark.parametrize("positions", [(8, 4), (4, 8), (5, 3), (32,)])
def test_renaming_the_channels_renames_nothing_in_the_codes(positions: tuple[int, ...]) -> None:
    z, order = torch.randn(2, 32, *positions), torch.randperm(32)
    codebook = torch.randn(16, 32)
    codes = {}
    for layer in (VectorQuantizer, WrongAxesVectorQuantizer):
        quantizer = layer(32, 16).eval()
        set_codebook(quantizer, codebook)
        before = quantizer(z).codes
        set_codebook(quantizer, codebook[:, order])
        codes[layer] = (before, quantizer(z[:, order]).codes)
    assert torch.equal(*codes[VectorQuantizer])
    assert not torch.equal(*codes[WrongAxesVectorQuantizer])


def test_one_changed_position_changes_one_code_and_in_the_wrong_layer_others() -> None:
    z = torch.randn(1, 32, 8, 4)
    changed = z.clone()
    changed[0, :, 2, 3] += 100
    where = {}
    for layer in (VectorQuantizer, WrongAxesVectorQuantizer):
        quantizer = layer(32, 16).eval()
        set_codebook(quantizer, torch.randn(16, 32))
        where[layer] = (quantizer(z).codes != quantizer(changed).codes).nonzero().tolist()
    assert all(place == [0, 0, 2, 3] for place in where[VectorQuantizer])
    assert any(place != [0, 0, 2, 3] for place in where[WrongAxesVectorQuantizer])


@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 5), (0, 8, 5), (2, 5, 8)])
def test_a_wrong_channel_axis_is_refused_with_the_numbers(shape: tuple[int, ...]) -> None:
    for quantizer in (VectorQuantizer(8, 4), ResidualQuantizer(8, 4, 2)):
        with pytest.raises(ValueError, match=r"expected \(batch, 8, \*positions\)"):
            quantizer(torch.zeros(shape))


# Losses and gradients


def test_the_forward_pass_passes_the_gradient_straight_to_z_e() -> None:
    quantizer = VectorQuantizer(4, 8, beta=0.0)
    z = torch.randn(2, 4, 5, requires_grad=True)
    out, weights = quantizer(z), torch.randn(2, 4, 5)
    ((out.z * weights).sum() + out.loss).backward()
    assert torch.equal(z.grad, weights)


def test_the_losses_by_hand() -> None:
    z = torch.tensor([[[1.0, 5.0]]], requires_grad=True)  # two positions of one channel
    for decay, expected in ((0.9, 0.5 * 1.0), (None, 1.5 * 1.0)):
        quantizer = VectorQuantizer(1, 2, beta=0.5, decay=decay).eval()
        set_codebook(quantizer, torch.tensor([[0.0], [4.0]]))  # both one away
        out = quantizer(z)
        assert float(out.loss.detach()) == pytest.approx(expected)
        assert float(out.stats["commitment"]) == pytest.approx(1.0)


def test_commitment_loss_moves_only_the_encoder() -> None:
    quantizer = VectorQuantizer(4, 8, decay=None, beta=1.0).eval()
    z = torch.randn(2, 4, 5, requires_grad=True)
    z_e = to_vectors(z)
    z_q = lookup(nearest_codes(z_e.detach(), quantizer.codebook.detach()), quantizer.codebook)
    _, commitment = quantizer._loss(z_e, z_q)
    commitment.backward()
    assert quantizer.codebook.grad is None
    torch.testing.assert_close(to_vectors(z.grad), 2 * (z_e - z_q).detach() / z.numel())


def test_codebook_loss_moves_only_the_codebook() -> None:
    quantizer = VectorQuantizer(4, 8, decay=None, beta=0.0)
    z = torch.randn(2, 4, 5, requires_grad=True)
    quantizer(z).loss.backward()
    assert quantizer.codebook.grad.abs().sum() > 0
    assert z.grad is None or not z.grad.any()


def test_the_reconstruction_loss_does_not_move_the_codebook() -> None:
    quantizer = VectorQuantizer(4, 8, decay=None)
    quantizer(torch.randn(2, 4, 5, requires_grad=True)).z.sum().backward()
    assert quantizer.codebook.grad is None


def test_a_moving_average_codebook_has_no_parameters_and_moves_only_in_training() -> None:
    quantizer = VectorQuantizer(4, 8)
    assert not list(quantizer.parameters())
    z = torch.randn(2, 4, 30)
    quantizer(z)
    before = copy.deepcopy(quantizer.state_dict())
    quantizer.eval()(z + 1)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())
    quantizer.train()(z + 1)
    assert not torch.equal(quantizer.codebook, before["codebook"])


# Learning the codebook


def test_one_moving_average_update_worked_by_hand() -> None:
    quantizer = VectorQuantizer(1, 2, decay=0.5, restart_below=0.0)
    set_codebook(quantizer, torch.tensor([[0.0], [10.0]]))
    quantizer(torch.tensor([[[1.0, 2.0, 3.0, 12.0]]]))
    # counts 0.5*1 + 0.5*(3, 1); sums 0.5*(0, 10) + 0.5*(6, 12); codes sums / counts
    torch.testing.assert_close(quantizer.ema_count, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(quantizer.ema_sum, torch.tensor([[3.0], [11.0]]))
    expected = torch.tensor([[1.5], [11.0]])
    torch.testing.assert_close(quantizer.codebook, expected, rtol=1e-4, atol=0)
    smoothed = (quantizer.ema_count + 1e-5) / (3 + 2e-5) * 3
    torch.testing.assert_close(quantizer.codebook, quantizer.ema_sum / smoothed[:, None])


def test_the_quantised_value_comes_from_the_codebook_before_its_update() -> None:
    quantizer = VectorQuantizer(1, 2, decay=0.5)
    set_codebook(quantizer, torch.tensor([[0.0], [10.0]]))
    assert quantizer(torch.tensor([[[1.0, 12.0]]])).z.tolist() == [[[0.0, 10.0]]]


def test_moving_averages_find_the_centres_of_clusters() -> None:
    rows, centres = clusters()
    quantizer = VectorQuantizer(8, 16, decay=0.9)
    for _ in range(60):
        quantizer(rows.T[None])
    assert torch.cdist(centres, quantizer.codebook).min(dim=1).values.max() < 0.05


def test_gradient_learning_finds_the_centres_of_clusters() -> None:
    rows, centres = clusters()
    quantizer = VectorQuantizer(8, 16, decay=None)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        quantizer(rows.T[None]).loss.backward()
        optimizer.step()
    assert torch.cdist(centres, quantizer.codebook.detach()).min(dim=1).values.max() < 0.2


def test_kmeans_start_uses_all_codes_on_clustered_data() -> None:
    rows, centres = clusters()
    quantizer = VectorQuantizer(8, 16)
    out = quantizer(rows.T[None])
    assert len(out.codes.unique()) == 16
    assert torch.cdist(centres, kmeans(rows, 16)).min(dim=1).values.max() < 0.05
    assert float(out.stats["used"]) == 16
    assert float(out.stats["commitment"]) < 0.01
    assert quantizer.started


def test_without_kmeans_the_same_data_uses_few_codes() -> None:
    rows, _ = clusters()
    quantizer = VectorQuantizer(8, 16, kmeans_start=False, restart_below=0.0)
    assert len(quantizer(rows.T[None]).codes.unique()) < 16
    assert quantizer.codebook.abs().max() > 1 / 16  # moved by then
    assert VectorQuantizer(8, 16, kmeans_start=False).codebook.abs().max() <= 1 / 16


def test_after_the_start_sums_belong_to_their_codes() -> None:
    quantizer = VectorQuantizer(8, 16, decay=0.99)
    quantizer.start(clusters()[0])
    torch.testing.assert_close(quantizer.ema_sum, quantizer.codebook * quantizer.ema_count[:, None])


def test_kmeans_with_fewer_vectors_than_codes_does_not_memorise_or_fail() -> None:
    rows = torch.randn(10, 4)
    centres = kmeans(rows, 32)
    assert centres.shape == (32, 4)
    assert torch.isfinite(centres).all()
    assert len(centres.unique(dim=0)) == 32  # copies differ by their noise
    assert distances(rows, centres).min() > 0  # something is left for the next residual stage
    assert torch.isfinite(kmeans(rows[:1], 32)).all()


def test_kmeans_follows_the_seed() -> None:
    rows = torch.randn(300, 4)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(kmeans(rows, 16))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


@pytest.mark.parametrize("decay", [0.99, None])
def test_a_dead_code_restarts_on_a_vector_of_the_batch_with_its_averages(decay) -> None:
    quantizer = VectorQuantizer(2, 4, decay=decay)
    set_codebook(quantizer, torch.tensor([[0.0, 0], [1, 0], [0, 1], [99, 99]]))
    quantizer.ema_count[3] = 1e-3
    rows = torch.tensor([[0.1, 0], [0.9, 0], [0, 1.1], [0.2, 0]])
    quantizer(rows.T[None])
    assert any(torch.equal(quantizer.codebook.data[3], row) for row in rows)
    assert quantizer.ema_count[3] > 0.03 * quantizer.ema_count.mean()
    if decay is not None:
        expected = quantizer.codebook[3] * quantizer.ema_count[3]
        torch.testing.assert_close(quantizer.ema_sum[3], expected)
        quantizer(rows.T[None])  # the next update must not drag it back to (99, 99)
        assert quantizer.codebook[3].abs().max() < 2


def test_no_restart_when_switched_off() -> None:
    quantizer = VectorQuantizer(2, 4, restart_below=0.0, kmeans_start=False)
    quantizer.codebook[3] = 50.0
    quantizer.ema_sum[3] = 50.0
    for _ in range(100):
        quantizer(torch.randn(1, 2, 20))
    assert quantizer.codebook[3].max() > 40


def count_restarts(quantizer: VectorQuantizer, batches) -> list[int]:
    """Number of codes put on a vector of the batch, per batch."""
    place, restarts = quantizer._place, []

    def counting(where, *others):
        restarts[-1] += len(where)
        place(where, *others)

    quantizer._place = counting
    for batch in batches:
        restarts.append(0)
        quantizer(batch)
    return restarts


def test_restarts_end_when_the_data_fills_the_codebook() -> None:
    data = torch.randn(2000, 4)
    batches = [data[torch.randint(0, 2000, (400,))].T[None] for _ in range(600)]
    quantizer = VectorQuantizer(4, 64, kmeans_start=False)
    restarts = count_restarts(quantizer, batches)
    assert sum(restarts[:300]) > 0  # +-1/64 leaves codes dead at first
    assert sum(restarts[400:]) == 0
    stats = CodebookStats([64])
    stats.update(quantizer.eval()(data.T[None]).codes)
    assert stats.used == [64]


def test_a_batch_smaller_than_the_codebook_does_not_restart_codes_all_the_time() -> None:
    batches = [torch.randn(1, 4, 20) for _ in range(400)]
    quantizer = VectorQuantizer(4, 128)
    restarts = count_restarts(quantizer, batches)[1:]
    # Each restart gives a code many batches of rest; thrashing would be dozens at every batch.
    assert sum(restarts) / len(restarts) < 2
    assert max(restarts) <= 20


def test_training_makes_no_table_of_vectors_by_codes_of_one_hot_rows(monkeypatch) -> None:
    def refuse(*_, **__):
        raise AssertionError("one-hot rows were made in the layer")

    monkeypatch.setattr(F, "one_hot", refuse)
    monkeypatch.setattr("vqlab.quantize.steps.one_hot", refuse)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor):
                largest = max(largest, out.numel())
            return out

    quantizer = VectorQuantizer(4, 1024, kmeans_start=False)
    z = torch.randn(1, 4, 8192, requires_grad=True)
    with Watch():
        out = quantizer(z)
        (out.z.sum() + out.loss).backward()
    assert largest <= 2**21 < 8192 * 1024  # slices of the distances, nothing of the whole size


# Numbers of bits and types


def test_bits_per_position_is_the_sum_of_log2_over_stages() -> None:
    assert VectorQuantizer(4, 512).bits_per_position == 9
    assert ResidualQuantizer(4, 1024, 3).bits_per_position == 30
    assert FiniteScalarQuantizer([8, 8, 4]).bits_per_position == 8
    assert ResidualQuantizer(4, 1024, 3).codebook_sizes == (1024,) * 3


@pytest.mark.parametrize(
    "make", [lambda: VectorQuantizer(8, 32), lambda: ResidualQuantizer(8, 32, 3)]
)
def test_autocast_gives_the_same_codes_and_codebook_as_float32(make) -> None:
    z, results = torch.randn(2, 8, 40), []
    first = make()
    for enabled in (False, True):
        quantizer = copy.deepcopy(first)
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            out = [quantizer(z) for _ in range(3)][-1]
        results.append((out.codes, out.z, *quantizer.state_dict().values()))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_half_precision_comes_back_as_it_came_with_float32_codes() -> None:
    quantizer = VectorQuantizer(8, 32).eval()
    set_codebook(quantizer, torch.randn(32, 8))
    z = torch.randn(2, 8, 40).bfloat16()
    assert quantizer(z).z.dtype == torch.bfloat16
    assert torch.equal(quantizer(z).codes, quantizer(z.float()).codes)


@pytest.mark.parametrize("decay", [0.99, None])
def test_a_saved_and_loaded_quantiser_continues_exactly(decay) -> None:
    batches = [torch.randn(4, 8, 20) for _ in range(8)]
    first = ResidualQuantizer(8, 16, 2, dropout=0.5, decay=decay)
    for batch in batches[:4]:
        first(batch)
    second = ResidualQuantizer(8, 16, 2, dropout=0.5, decay=decay)
    second.load_state_dict(first.state_dict())
    results = []
    for quantizer in (first, second):
        torch.manual_seed(3)
        results.append([quantizer(batch).z for batch in batches[4:]])
    assert torch.equal(torch.stack(results[0]), torch.stack(results[1]))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


# Residual stages


def test_the_error_falls_with_every_residual_stage() -> None:
    quantizer, z = ResidualQuantizer(8, 32, 4), torch.randn(16, 8, 50)
    for _ in range(30):
        quantizer(z)
    quantizer.eval()
    errors = [float(F.mse_loss(quantizer(z, stages=s).z, z)) for s in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.5 * errors[0]


def test_decoding_fewer_stages_equals_encoding_with_fewer() -> None:
    quantizer, z = ResidualQuantizer(8, 32, 3), torch.randn(4, 8, 50)
    quantizer(z)
    quantizer.eval()
    full = quantizer(z)
    assert full.codes.shape == (4, 3, 50)
    for stages in (1, 2, 3):
        part = quantizer(z, stages=stages)
        assert torch.equal(part.codes, full.codes[:, :stages])
        assert torch.equal(quantizer.decode(full.codes[:, :stages]), part.z)


def test_each_stage_codes_what_the_stages_before_left_over() -> None:
    quantizer, z = ResidualQuantizer(8, 32, 2), torch.randn(4, 8, 50)
    quantizer(z)
    quantizer.eval()
    first, second = quantizer.layers
    by_hand = first(z)
    rest = second(z - by_hand.z)
    assert torch.equal(quantizer(z).codes, torch.cat([by_hand.codes, rest.codes], dim=1))
    torch.testing.assert_close(quantizer(z).z, by_hand.z + rest.z)


def test_the_commitment_of_every_stage_moves_the_encoder() -> None:
    quantizer = ResidualQuantizer(8, 32, 3, beta=1.0)
    z = torch.randn(4, 8, 50)
    quantizer(z)
    quantizer.eval()
    z.requires_grad_()
    quantizer(z).loss.backward()
    values = [quantizer(z.detach(), stages=s).z for s in (1, 2, 3)]
    expected = sum(2 * (z.detach() - value) / z.numel() for value in values)
    torch.testing.assert_close(z.grad, expected, rtol=1e-4, atol=1e-7)


def test_quantiser_dropout_leaves_stages_out_per_item_but_codes_are_complete() -> None:
    z = torch.randn(64, 8, 10)
    quantizer = ResidualQuantizer(8, 16, 3, dropout=0.5)
    quantizer(z)
    before = copy.deepcopy(quantizer)
    out = quantizer(z)
    assert out.codes.shape == (64, 3, 10)
    depths = []
    for item, codes in zip(out.z, out.codes, strict=True):
        matches = [s for s in (1, 2, 3) if torch.allclose(before.decode(codes[None, :s])[0], item)]
        assert len(matches) == 1
        depths += matches
    assert set(depths) == {1, 2, 3}
    assert 16 < depths.count(3) < 48  # about half of 64


def test_a_dropped_item_does_not_move_the_codebook_of_that_stage() -> None:
    quantizer = ResidualQuantizer(8, 16, 2, dropout=0.5)
    z = torch.randn(4, 8, 10)
    quantizer(z)
    depths = torch.tensor([2, 1, 2, 1])[:, None].expand(4, 10)
    other = copy.deepcopy(quantizer)
    quantizer._draw_depth = other._draw_depth = lambda z, loudness: depths
    changed = z.clone()
    changed[1], changed[3] = -z[3], -z[1]  # items which use the first stage only
    stage_one = copy.deepcopy(quantizer.layers[0])
    quantizer(z)
    other(changed)
    assert torch.equal(quantizer.layers[1].codebook, other.layers[1].codebook)
    assert not torch.equal(quantizer.layers[0].codebook, other.layers[0].codebook)
    assert not torch.equal(quantizer.layers[0].codebook, stage_one.codebook)


def test_a_stage_that_every_item_drops_stays_as_it_is_and_adds_nothing() -> None:
    quantizer = ResidualQuantizer(8, 16, 2, dropout=1.0)  # with two stages: always just one
    out = quantizer(torch.randn(4, 8, 10, requires_grad=True))
    assert torch.isfinite(out.loss)
    out.loss.backward()
    assert not quantizer.layers[1].started
    assert torch.equal(quantizer.layers[1].ema_count, torch.ones(16))


@pytest.mark.parametrize("stages", [0, 4])
def test_a_number_of_stages_the_quantiser_lacks_is_refused(stages: int) -> None:
    with pytest.raises(ValueError, match=f"stages is {stages}.*1 to 3"):
        ResidualQuantizer(8, 16, 3)(torch.randn(1, 8, 5), stages=stages)


def test_foreign_codes_are_refused() -> None:
    quantizer = ResidualQuantizer(8, 16, 2)
    with pytest.raises(ValueError, match="1 to 2 stages"):
        quantizer.decode(torch.zeros(1, 3, 5, dtype=torch.long))
    with pytest.raises(ValueError, match="stage 2 has codes from 0 to 16"):
        codes = torch.zeros(1, 2, 5, dtype=torch.long)
        codes[0, 1, 3] = 16
        quantizer.decode(codes)
    with pytest.raises(ValueError, match="expected integers"):
        FiniteScalarQuantizer([3, 3]).decode(torch.zeros(1, 1, 5))


# Finite scalar quantisation


@pytest.mark.parametrize("levels", [(2,), (5,), (8, 5, 5), (4, 3, 2), (7, 6)])
def test_every_code_of_fsq_survives_the_round_trip(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    codes = torch.arange(quantizer.codebook_size)
    values = quantizer.vectors_of(codes)
    assert torch.equal(quantizer.values_to_codes(values), codes)
    assert len(values.unique(dim=0)) == quantizer.codebook_size
    assert values.min() == -1 and values.max() <= 1
    # and there is an input that leads to each of them
    width, offset = (quantizer.levels - 1) * 1.001 / 2, 0.5 * (quantizer.levels % 2 == 0)
    whole = values * (quantizer.levels // 2)
    inside = (whole + offset).clamp(-width * 0.9999, width * 0.9999) / width
    z = torch.atanh(inside) - torch.atanh(offset / width)
    assert torch.equal(quantizer(z.T[None]).codes[0, 0], codes)


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (4, 4, 3), (6, 7)])
def test_fsq_agrees_with_the_published_layer(levels: tuple[int, ...]) -> None:
    published = need("vector_quantize_pytorch").FSQ(list(levels))
    z = 3 * torch.randn(4, 60, len(levels))
    values, codes = published(z)
    out = FiniteScalarQuantizer(levels)(z.movedim(-1, 1))
    assert torch.equal(out.codes[:, 0], codes.long())
    torch.testing.assert_close(out.z.movedim(1, -1), values)


def test_fsq_stays_within_its_levels_however_large_the_input() -> None:
    quantizer = FiniteScalarQuantizer([8, 5])
    z = torch.tensor([[-1e6, 1e6, 0.0], [-1e6, 1e6, 0.0]])[None]
    assert quantizer(z).z.tolist() == [[[-1.0, 0.75, 0.0], [-1.0, 1.0, 0.0]]]
    assert quantizer(z).codes.tolist() == [[[0, 39, 20]]]


def test_fsq_stays_within_the_most_levels_it_takes() -> None:
    out = FiniteScalarQuantizer([1000, 999])(torch.tensor([[[-1e3, 1e3], [-1e3, 1e3]]]))
    assert out.codes.tolist() == [[[0, 1000 * 999 - 1]]]


def test_fsq_passes_the_gradient_of_the_bounded_value_and_has_no_loss() -> None:
    quantizer = FiniteScalarQuantizer([5])
    z = torch.tensor([[[0.3, -0.7]]], requires_grad=True)
    out = quantizer(z)
    out.z.sum().backward()
    slope = 2.002 * (1 - torch.tanh(torch.tensor([[[0.3, -0.7]]])) ** 2) / 2
    torch.testing.assert_close(z.grad, slope)
    assert float(out.loss) == 0


# Counting


def test_perplexity_of_even_use_is_the_number_of_codes_and_of_one_code_is_one() -> None:
    assert float(batch_perplexity(torch.arange(8).repeat(3), 8)) == pytest.approx(8)
    assert float(batch_perplexity(torch.zeros(20, dtype=torch.long), 8)) == pytest.approx(1)
    assert float(batch_perplexity(torch.tensor([0, 0, 1, 2]), 4)) == pytest.approx(2**1.5)


def test_an_epoch_shows_what_no_batch_can() -> None:
    stats, per_batch = CodebookStats([64]), []
    for start in range(0, 64, 8):
        codes = torch.arange(start, start + 8)
        stats.update(codes[None, None])
        per_batch.append(float(batch_perplexity(codes, 64)))
    assert max(per_batch) == pytest.approx(8)
    assert stats.used == [64]
    assert stats.perplexity == [pytest.approx(64)]
    assert stats.entropy_bits == [pytest.approx(6)]
    stats.reset()
    assert stats.used == [0] and stats.entropy_bits == [0]


def test_codebook_stats_keep_stages_apart() -> None:
    stats = CodebookStats([4, 4])
    stats.update(torch.tensor([[[0, 0, 0, 0], [0, 1, 2, 3]]]))
    assert stats.used == [1, 4]
    assert stats.perplexity == [pytest.approx(1), pytest.approx(4)]
    with pytest.raises(ValueError, match="3, 5"):
        stats.update(torch.zeros(1, 3, 5, dtype=torch.long))


# Properties of all quantisers

MAKERS = {
    "vq": lambda dim: VectorQuantizer(dim, 8),
    "gradient": lambda dim: VectorQuantizer(dim, 8, decay=None),
    "wrong axes": lambda dim: WrongAxesVectorQuantizer(dim, 8),
    "residual": lambda dim: ResidualQuantizer(dim, 8, 3, dropout=0.5),
    "fsq": lambda dim: FiniteScalarQuantizer([4, 3, 5, 2, 4, 3][:dim]),
}


@settings(max_examples=40)
@given(
    kind=st.sampled_from(sorted(MAKERS)),
    batch=st.integers(1, 4),
    dim=st.integers(1, 6),
    positions=st.lists(st.integers(1, 5), min_size=1, max_size=2),
    scale=st.sampled_from([0.0, 1e-3, 1.0, 1e3]),
)
def test_codes_decode_to_z_in_one_and_two_dimensions(kind, batch, dim, positions, scale) -> None:
    torch.manual_seed(0)
    quantizer = MAKERS[kind](dim)
    z = scale * torch.randn(batch, dim, *positions)
    out = quantizer(z.requires_grad_())
    assert torch.isfinite(out.z).all() and torch.isfinite(out.loss)
    quantizer.eval()
    with torch.no_grad():
        out = quantizer(z)
        order = torch.randperm(batch)
        permuted = quantizer(z[order])
    assert out.codes.dtype == torch.int64
    assert out.codes.shape == (batch, quantizer.stages, *positions)
    for stage, size in enumerate(quantizer.codebook_sizes):
        assert 0 <= out.codes[:, stage].min() <= out.codes[:, stage].max() < size
    assert out.z.shape == z.shape
    torch.testing.assert_close(quantizer.decode(out.codes), out.z, rtol=0, atol=0)
    assert torch.equal(permuted.codes, out.codes[order])
    assert 1 - 1e-4 <= float(out.stats["perplexity"]) <= max(quantizer.codebook_sizes) + 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda: VectorQuantizer(4, 1),
        lambda: VectorQuantizer(4, 8, decay=1.0),
        lambda: VectorQuantizer(4, 8, restart_below=2.0),
        lambda: ResidualQuantizer(4, 8, 0),
        lambda: ResidualQuantizer(4, 8, 2, dropout=1.5),
        lambda: FiniteScalarQuantizer([]),
        lambda: FiniteScalarQuantizer([1, 4]),
        lambda: FiniteScalarQuantizer([1001]),
    ],
)
def test_impossible_settings_are_refused(make) -> None:
    with pytest.raises(ValueError):
        make()


# Positions that differ in their number of stages


def test_depth_by_hand() -> None:
    quantizer = ResidualQuantizer(8, 4, 6)
    quantizer.loudness.copy_(torch.tensor([1.5, 1.25, 0.0, -9.0]))  # 0, 1, 6 and many stages less
    first = torch.tensor([[0, 1, 2, 3]])
    assert quantizer.depth(first, 8 * 6).tolist() == [[6, 5, 1, 1]]
    assert quantizer.depth(first, 8 * 3 + 7).tolist() == [[3, 2, 1, 1]]
    assert quantizer.depth(first, 8 * 12).tolist() == [[6, 6, 6, 1]]
    assert quantizer.depth(first, 0).tolist() == [[1, 1, 1, 1]]


def test_without_learned_loudness_quality_counts_stages() -> None:
    quantizer = ResidualQuantizer(8, 16, 5)
    first = torch.arange(16)
    for quality in range(8, 40):
        assert (quantizer.depth(first, quality) == quality // 8).all()


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=8), st.integers(0, 254))
def test_depth_never_falls_as_quality_or_loudness_rises(loudness, quality) -> None:
    quantizer = ResidualQuantizer(4, 8, 7)
    quantizer.loudness.copy_(torch.tensor(sorted(loudness)))
    depth = quantizer.depth(torch.arange(8), quality)
    assert depth.tolist() == sorted(depth.tolist())
    assert (quantizer.depth(torch.arange(8), quality + 1) >= depth).all()


def test_a_depth_for_each_position_leaves_out_the_codes_beyond_it() -> None:
    quantizer = ResidualQuantizer(8, 16, 3)
    z = torch.randn(2, 8, 10)
    quantizer(z)
    quantizer.eval()
    depth = torch.randint(1, 4, (2, 10))
    part, whole = quantizer(z, depth), quantizer(z)
    for stage in range(3):
        present = depth > stage
        assert torch.equal(part.codes[:, stage][present], whole.codes[:, stage][present])
        assert (part.codes[:, stage][~present] == -1).all()
    torch.testing.assert_close(quantizer.decode(part.codes), part.z)
    for n in (1, 2, 3):  # where the depth is n, z is that of the first n stages
        here = (depth == n)[:, None].expand_as(z)
        torch.testing.assert_close(part.z[here], quantizer(z, n).z[here])


def test_a_code_of_the_first_stage_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="stage 1 has codes from -1"):
        ResidualQuantizer(8, 16, 2).decode(torch.full((1, 2, 5), -1))


def test_each_first_code_learns_how_loud_its_positions_are() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(2, 2, 2, dropout=1.0)
    z = torch.randn(8, 2, 50) * 0.1
    loud = torch.rand(8, 50) < 0.5
    z[:, 0] += torch.where(loud, 5.0, -5.0)
    loudness = torch.where(loud, 1.0, -1.0)
    for _ in range(80):
        out = quantizer(z, loudness=loudness)
    torch.testing.assert_close(quantizer.loudness[out.codes[:, 0]], loudness, atol=0.02, rtol=0)


def test_louder_positions_keep_more_stages_in_training() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 8, 8, dropout=1.0)
    loudness = torch.linspace(1.5, -1.0, 20).expand(400, 20)
    depth = quantizer._draw_depth(torch.zeros(400, 4, 20), loudness)
    mean = depth.float().mean(dim=0)
    assert depth.min() == 1 and depth.max() == 8
    assert mean[0] > mean[10] > mean[-1]


def test_statistics_do_not_count_codes_that_are_left_out() -> None:
    stats = CodebookStats((4, 4))
    stats.update(torch.tensor([[[0, 1, 2], [3, -1, -1]]]))
    assert stats.used == [3, 1]


def test_beam_search_of_one_is_the_greedy_choice() -> None:
    quantizer = ResidualQuantizer(6, 16, 4)
    z = torch.randn(2, 6, 30)
    quantizer(z)
    quantizer.eval()
    depth = torch.randint(1, 5, (2, 30))
    quantizer.beam = 1
    assert torch.equal(quantizer.search(z, depth), quantizer(z, depth).codes)


def test_a_wide_beam_finds_the_best_of_all_sums() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(3, 4, 3)
    z = torch.randn(1, 3, 20)
    quantizer(z)
    quantizer.eval()
    quantizer.beam = 64
    found = quantizer.decode(quantizer.search(z, torch.full((1, 20), 3)))
    first = quantizer(z).codes[:, :1]  # the first code stays the nearest one
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4))  # (16, 2)
    for position in range(20):
        start = first[:, :, position : position + 1].expand(16, 1, 1)
        sums = quantizer.decode(torch.cat([start, every[:, :, None]], dim=1))[:, :, 0]
        best = (sums - z[0, :, position]).pow(2).sum(dim=1).min()
        ours = (found[0, :, position] - z[0, :, position]).pow(2).sum()
        torch.testing.assert_close(ours, best)


@given(st.integers(0, 1000))
def test_a_wider_beam_codes_no_worse_on_the_whole(seed) -> None:
    torch.manual_seed(seed)
    quantizer = ResidualQuantizer(8, 16, 4)
    z = torch.randn(1, 8, 60)
    quantizer(z)
    depth = torch.full((1, 60), 4)
    errors = []
    for quantizer.beam in (1, 16):
        errors.append(float(F.mse_loss(quantizer.decode(quantizer.search(z, depth)), z)))
    assert errors[1] <= errors[0] * 1.0001


@pytest.mark.parametrize(
    "bottleneck",
    [
        VectorQuantizer(4, 16, kmeans_start=False),
        WrongAxesVectorQuantizer(4, 16, kmeans_start=False),
        ResidualQuantizer(4, 16, 3, kmeans_start=False),
        FiniteScalarQuantizer([5, 4, 3, 2]),
    ],
    ids=lambda made: type(made).__name__,
)
def test_codes_for_use_are_those_of_the_forward_pass(bottleneck) -> None:
    z = torch.randn(2, 4, 6, 4)
    bottleneck.eval()
    codes = bottleneck.encode(z)
    assert codes.dtype == torch.int64 and torch.equal(codes, bottleneck(z).codes)
    torch.testing.assert_close(bottleneck.decode(codes), bottleneck(z).z)
