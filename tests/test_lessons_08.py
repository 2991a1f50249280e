"""Notebook 08 breaks a layer on purpose: here its healthy form is the package's, its logs real."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from _series import solutions, taught
from torch import nn

from vqlab import datasets, lessons, models, networks, quantize, training
from vqlab.features import Features
from vqlab.lessons import nb08


@pytest.fixture(scope="module")
def by_hand():
    """The notebook's own layer, network and training, on the words it trains on."""
    return taught(
        "08", torch=torch, F=F, nn=nn, models=models, networks=networks, quantize=quantize,
        training=training, STEPS=150,
    )  # fmt: skip


@pytest.fixture(scope="module")
def train_x():
    clips = datasets.load("words", "train", seconds=1.0, level_db=-26.0, limit=450)
    waveforms = clips.waveforms(progress=False)
    return Features().fitted(waveforms).analyse(waveforms)


def vectors(seed=0):
    return torch.randn(3, 32, 11, generator=torch.Generator().manual_seed(seed))


def test_the_open_layer_left_alone_is_the_packages_layer(by_hand):
    made = []
    for layer in (
        by_hand["OpenLayer"](),
        quantize.VectorQuantizer(32, 64, decay=None, restart_below=0.1),
    ):
        with torch.no_grad():
            layer.codebook.copy_(torch.randn(64, 32, generator=torch.Generator().manual_seed(9)))
        z_e = vectors().requires_grad_()
        quantized = layer.eval()(z_e)
        inputs = [z_e, layer.codebook]
        gradients = torch.autograd.grad(quantized.z.pow(2).sum() + quantized.loss, inputs)
        made.append((quantized.z, quantized.codes, quantized.loss, *gradients))
    for ours, theirs in zip(*made, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_count_from_zero_throws_unchosen_codes_out_and_the_package_does_not(by_hand):
    far = {}
    for name, layer in {
        "published": by_hand["CountFromZero"](),
        "ours": quantize.VectorQuantizer(32, 64, kmeans_start=False, restart_below=0.0),
    }.items():
        torch.manual_seed(0)
        codes = layer.train()(vectors()).codes
        unchosen = torch.ones(64, dtype=torch.bool)
        unchosen[codes.flatten()] = False
        far[name] = layer.codebook[unchosen].norm(dim=1).max()
    assert far["ours"] < 1 < 100 < far["published"]


def test_the_log_says_whether_the_gradient_arrives(by_hand, train_x):
    by_hand["train_x"] = train_x[:32]
    copied = by_hand["train"](by_hand["OpenLayer"], steps=10)[1]
    lost = by_hand["train"](lambda: by_hand["OpenLayer"](copy=lambda z_e, z_q: z_q), steps=10)[1]
    assert [row["arrives"] for row in copied] == pytest.approx([1.0] * 10)
    assert [row["arrives"] for row in lost] == [0.0] * 10


@pytest.mark.parametrize("patient", nb08.LOGS)
def test_the_clinics_logs_begin_as_the_notebook_trains_them(by_hand, train_x, patient):
    by_hand["train_x"] = train_x
    open_layer, loss = by_hand["OpenLayer"], by_hand["vq_loss"]
    layers = {
        "no copy": lambda: open_layer(copy=lambda z_e, z_q: z_q),
        "no commitment": lambda: open_layer(loss=lambda z_e, z_q: loss(z_e, z_q, 0.01)),
        "count from zero": by_hand["CountFromZero"],
        "healthy": lambda: quantize.VectorQuantizer(32, 64, restart_below=0.1),
    }
    _, log = by_hand["train"](layers[nb08.TRUTH[patient]], steps=15, seed=nb08.MADE_BY[patient])
    recorded = nb08.LOGS[patient][:2]
    assert [row["step"] for row in recorded] == [log[0]["step"], log[-1]["step"]] == [1, 15]
    for made, row in zip((log[0], log[-1]), recorded, strict=True):
        # `used` counts since the row before, and these rows are closer together.
        for column in ("loss", "vq_loss", "z_e", "codes"):
            assert made[column] == pytest.approx(row[column], rel=0.3), column


def test_every_wrong_answer_to_the_clinic_is_answered():
    for patient, right in nb08.TRUTH.items():
        assert set(nb08._AGAINST[patient]) == set(nb08.DISEASES) - {right}


def test_an_unknown_disease_and_a_missing_patient_are_told():
    assert "'flu' is not one of" in lessons.check("08-clinic", lambda: {"A": "flu"}).sentence
    assert "patient B: None" in lessons.check("08-clinic", lambda: {"A": "no copy"}).sentence
    assert "dictionary" in lessons.check("08-clinic", lambda: ["no copy"]).sentence


# --- the layer to mend ----------------------------------------------------------------------------


def test_the_broken_layer_of_the_notebook_has_the_four_mistakes_of_its_check(by_hand):
    def mended(*arguments):
        return by_hand["broken"](*arguments)

    assert "all four mistakes are left" in lessons.check("08-mended", mended).sentence


def test_the_check_counts_what_is_left():
    for slips in itertools.chain.from_iterable(
        itertools.combinations(nb08.SLIPS, n) for n in (1, 2, 3)
    ):
        said = lessons.check("08-mended", nb08.edited(*map(nb08.SLIPS.__getitem__, slips))).sentence
        assert nb08.SLIPS[slips[0]][2] in said
        assert said.startswith(f"08-mended: {('one', 'two', 'three')[len(slips) - 1]} mistake")


def test_the_mended_layer_is_the_open_one(by_hand):
    z_e, codebook = vectors().requires_grad_(), torch.randn(64, 32, requires_grad=True)
    layer = by_hand["OpenLayer"]()
    with torch.no_grad():
        layer.codebook.copy_(codebook)
    quantized = layer.eval()(z_e)
    z, codes, loss = solutions("08").mended(z_e, codebook)
    torch.testing.assert_close(z, quantized.z)
    torch.testing.assert_close(loss, quantized.loss)
    assert torch.equal(codes, quantized.codes[:, 0])


def test_an_answer_that_changes_what_it_is_given_does_not_pass():
    def careless(z_e, codebook, beta=0.25):
        out = solutions("08").mended(z_e, codebook, beta)
        with torch.no_grad():
            codebook[0] = 0
        return out

    verdict = lessons.check("08-mended", careless)
    assert not verdict and "`codebook`, which should stay" in verdict.sentence


def test_other_right_answers_pass():
    def mended(z_e, codebook, beta=0.25):
        rows = z_e.permute(0, 2, 1).flatten(0, 1)
        codes = torch.cdist(rows, codebook).argmin(dim=1)
        z_q = codebook[codes].unflatten(0, (len(z_e), -1)).movedim(2, 1)
        loss = beta * (z_e - z_q.detach()).square().mean() + (z_e.detach() - z_q).square().mean()
        return z_q.detach() + z_e - z_e.detach(), codes.reshape(len(z_e), -1), loss

    def each_for_itself(layer, z_e):
        before = layer(z_e)
        for b, t in itertools.product(range(z_e.shape[0]), range(z_e.shape[2])):
            other = z_e.clone()
            other[b, :, t] += 100
            after = layer(other)
            after[b, :, t] = before[b, :, t]
            if not torch.equal(after, before):
                return False
        return True

    assert lessons.check("08-mended", mended)
    assert lessons.check("08-each-for-itself", each_for_itself)


def test_the_two_tests_find_the_layers_that_are_broken():
    each_for_itself = solutions("08").each_for_itself
    for kind, sound in {
        quantize.VectorQuantizer: True,
        quantize.WrongAxesVectorQuantizer: False,
    }.items():
        torch.manual_seed(0)
        layer = kind(32, 64).train()
        layer(torch.randn(16, 32, 50))
        layer.eval()
        assert each_for_itself(lambda z_e, layer=layer: layer(z_e).z, vectors()) == sound
