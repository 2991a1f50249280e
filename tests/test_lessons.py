"""The checks answer rightly: the reference passes, each mistake gets its hint, a stub is open."""

import re

import pytest
import torch
from _series import answer, sources, taught
from _support import HANG, ROOT

from vqlab import lessons, quantize
from vqlab.lessons import checking, own_file
from vqlab.lessons.exercise import difference

codec_file = own_file.program({})
NAMES = lessons.exercise_names()
MISTAKES = [(name, i) for name in NAMES for i in range(len(lessons.find(name).mistakes))]


@pytest.fixture(autouse=True)
def fresh_page():
    checking._failed.clear()


def stub(*arguments):
    raise NotImplementedError


# --- every exercise of every notebook -------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_passes_its_own_check(name):
    verdict = lessons.check(name, lessons.find(name).right)
    assert verdict, verdict
    assert repr(verdict) == f"Passed: {name}."


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_stub_is_not_attempted_yet(name):
    verdict = lessons.check(name, stub)
    assert not verdict
    assert verdict.state == "open" and "not attempted yet" in repr(verdict)


@pytest.mark.parametrize(("name", "i"), MISTAKES)
def test_each_mistake_gets_its_own_hint(name, i):
    mistake, hint = lessons.find(name).mistakes[i]
    verdict = lessons.check(name, mistake)
    assert verdict.state == "wrong"
    assert verdict.sentence == f"{name}: {hint}"


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_knows_two_mistakes_and_has_hints(name):
    exercise = lessons.find(name)
    assert len(exercise.mistakes) >= 2 and len(exercise.hints) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_has_a_solution_that_passes(name):
    number, _, short = name.partition("-")
    verdict = lessons.check(name, answer(number, short))
    assert verdict, verdict


@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_stands_in_its_notebook_as_a_stub_with_its_check(name):
    number, _, short = name.partition("-")
    code, wanted = sources(number), answer(number, short).__name__
    stub = re.compile(rf"^(def|class) {wanted}\(.*raise NotImplementedError", re.M | re.S)
    assert any(map(stub.search, code))
    assert any(f'lessons.check("{name}", {wanted})' in c for c in code)


# --- the machinery --------------------------------------------------------------------------------


def test_an_unknown_exercise_names_the_known_ones():
    with pytest.raises(ValueError, match="05-vq-loss"):
        lessons.check("05-farthest", stub)


def test_an_unknown_notebook_names_all_exercises():
    with pytest.raises(ValueError, match="05-vq-loss"):
        lessons.check("99-anything", stub)


def test_an_error_in_the_learners_function_is_one_sentence_with_its_line():
    def broken(vectors, codebook):
        table = vectors @ codebook.T
        return table.argsmallest(dim=1)

    verdict = checking.check("05-nearest-code", broken)
    assert verdict.state == "wrong"
    assert "return table.argsmallest(dim=1)" in verdict.sentence
    assert "AttributeError" in verdict.sentence and "Traceback" not in repr(verdict)


def test_a_not_implemented_error_of_torch_is_an_attempt():
    def refused(vectors, codebook):
        raise_it = "the operator is not there for this type"
        return _torch_refuses(raise_it)

    assert checking.check("05-nearest-code", refused).state == "wrong"


def _torch_refuses(text):
    kind = NotImplementedError
    raise kind(text)


def test_a_function_with_too_few_arguments_is_told_how_it_is_called():
    verdict = lessons.check("05-vq-loss", lambda x: x)
    assert "cannot be called as the exercise calls it" in verdict.sentence


def test_the_result_instead_of_the_function_is_told():
    assert "give the function itself" in lessons.check("05-vq-loss", 3).sentence


def test_a_forgotten_return_is_told():
    assert "`return`" in checking.check("05-nearest-code", lambda v, c: None).sentence


def test_an_unknown_mistake_is_told_by_shape_then_by_value():
    shape = checking.check("05-nearest-code", lambda v, c: torch.zeros(2, 2)).sentence
    assert "(2, 2)" in shape and "(40,)" in shape
    value = checking.check("05-nearest-code", lambda v, c: torch.full((40,), 99)).sentence
    assert "40 of 40 values differ" in value and "[0]" in value


def test_failing_again_opens_the_next_hint_and_passing_closes_all():
    exercise = lessons.find("05-nearest-code")
    hints, far = exercise.hints, exercise.mistakes[0][0]
    opened = [checking.check("05-nearest-code", far).open_hints for _ in range(3)]
    assert opened == [hints[:0], hints[:1], hints[:2]]
    assert checking.check("05-nearest-code", exercise.right).open_hints == ()
    assert checking.check("05-nearest-code", far).open_hints == ()


def test_the_page_shows_the_sentence_and_folds_the_other_hints():
    exercise = lessons.find("05-nearest-code")
    page = checking.check("05-nearest-code", exercise.mistakes[0][0])._repr_html_()
    assert "farthest" in page
    assert page.count("<details>") == len(exercise.hints)
    assert "<script" not in page


def test_a_learners_text_cannot_break_the_page():
    def broken(vectors, codebook):
        raise ValueError("<b>boom</b>")

    assert "<b>boom" not in checking.check("05-nearest-code", broken)._repr_html_()


def test_the_learner_cannot_spoil_the_inputs_of_the_next_attempt():
    exercise = lessons.find("05-nearest-code")

    def spoils(vectors, codebook):
        return exercise.right(vectors.zero_(), codebook)

    checking.check("05-nearest-code", spoils)
    assert checking.check("05-nearest-code", exercise.right)


@pytest.mark.parametrize(
    ("outcome", "expected", "word"),
    [
        (torch.ones(2), torch.ones(3), "shape"),
        ("a", "b", "'a'"),
        ((1, 2), (1, 2, 3), "3 parts"),
        ("text", 1.0, "str"),
        ({"a": 1}, {"a": 1, "b": 2}, "b is missing"),
        (float("nan"), 1.0, "nan"),
        (torch.ones(2, dtype=torch.complex64), torch.ones(2), "complex64"),
    ],
)
def test_a_difference_is_said(outcome, expected, word):
    assert word in difference(outcome, expected)


@pytest.mark.parametrize(
    "value", [1, 2.5, "x", None, True, torch.ones(2), (1, torch.zeros(1)), {"a": [1, 2]}]
)
def test_equal_outcomes_have_no_difference(value):
    assert difference(value, value) is None


def test_a_float_index_and_a_whole_one_count_as_equal():
    assert difference(torch.tensor([1.0, 2.0]), torch.tensor([1, 2])) is None


# --- guesses --------------------------------------------------------------------------------------


def test_a_guess_stands_beside_the_result():
    assert str(lessons.guess("used", 300)) == "Kept: 300."
    assert lessons.guess("used") == 300
    expected = "You guessed 300 codes; it is 661 codes."
    assert str(lessons.reveal("used", torch.tensor(661), "codes")) == expected


def test_a_guess_survives_the_kernel(her_file, monkeypatch):
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(code):
        said = []
        answer = kernel.execute_interactive(code, timeout=HANG, output_hook=said.append)
        assert answer["content"]["status"] == "ok", said
        return [m["content"]["data"]["text/plain"] for m in said if "data" in m["content"]]

    manager, kernel = start_new_kernel(startup_timeout=HANG)
    try:
        kept = "from vqlab import lessons; lessons.guess('06-dealt', 80)"
        assert run(kept) == ["Kept: 80."]
        manager.restart_kernel(now=True)
        kernel.wait_for_ready(timeout=HANG)
        asked = "from vqlab import lessons; lessons.reveal('06-dealt', 100, '%')"
        assert run(asked) == ["You guessed 80 %; it is 100 %."]
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    guesses = her_file.with_suffix(".guesses.json")
    guesses.write_text("{")  # damaged: as if there were none, and the next one is kept again
    assert lessons.guess("06-dealt") is None
    lessons.guess("06-dealt", torch.tensor(3))
    assert str(lessons.reveal("06-dealt", 4)) == "You guessed 3; it is 4."


def test_without_a_guess_the_result_stands_alone():
    assert lessons.guess("used", None) is None
    assert str(lessons.reveal("used", 0.123456)) == "No guess made; it is 0.1235."


def test_a_note_is_shown_as_text():
    note = lessons.reveal("used", "<b>")
    assert repr(note) == str(note) and "&lt;b&gt;" in note._repr_html_()


# --- functions taught in a notebook equal the package's -------------------------------------------


@pytest.fixture(scope="module")
def taught05():
    names = {"F": torch.nn.functional, "nearest_code": codec_file.nearest_code}
    return taught("05", torch=torch, **names)


@pytest.mark.parametrize("shape", [(2, 4, 7, 1), (3, 4, 2, 2), (1, 5, 3, 4)])
def test_05_the_notebooks_reshapes_equal_the_packages(taught05, shape):
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    rows = taught05["picture_to_vectors"](z)
    assert torch.equal(rows, quantize.to_vectors(z))
    assert torch.equal(taught05["to_grid"](rows, z.shape), quantize.to_grid(rows, z.shape))
    assert torch.equal(taught05["to_grid"](rows, z.shape), z)


@pytest.mark.parametrize("seed", range(5))
def test_05_the_notebooks_search_and_one_hot_rows_equal_the_packages(taught05, seed):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(50, 6, generator=random)
    codebook = torch.randn(9, 6, generator=random)
    d = taught05["distances_by_definition"](x, codebook)
    torch.testing.assert_close(d, quantize.distances(x, codebook), rtol=1e-4, atol=1e-5)
    codes = quantize.nearest(d)
    hot = taught05["one_hot"](codes, 9)
    assert torch.equal(hot, quantize.one_hot(codes, 9))
    assert torch.equal(hot @ codebook, quantize.lookup(codes, codebook))


def test_05_the_notebooks_entropy_equals_the_packages(taught05):
    codes = torch.randint(0, 30, (200,), generator=torch.Generator().manual_seed(1))
    stats = quantize.CodebookStats((32,))
    stats.update(codes[None, None])
    assert taught05["entropy_bits"](codes, 32) == pytest.approx(stats.entropy_bits[0], rel=1e-5)


def test_05_the_notebooks_kmeans_step_is_the_packages_update_without_memory(taught05):
    random = torch.Generator().manual_seed(4)
    x = torch.randn(200, 3, generator=random)
    start = x[:8].clone()  # each code has at least the vector it sits on
    layer = quantize.VectorQuantizer(3, 8, decay=0.0, kmeans_start=False, restart_below=0.0)
    layer.codebook.copy_(start)
    layer(x.T[None])
    expected = taught05["kmeans_step"](x, start)
    torch.testing.assert_close(expected, layer.codebook, rtol=1e-3, atol=1e-4)


@pytest.fixture
def same_start():
    """The layer of `my_codec.py` and the package's, with the same codes and counts."""
    layers = (
        codec_file.VectorQuantizer(4, 8, decay=0.9),
        quantize.VectorQuantizer(4, 8, kmeans_start=False, restart_below=0.0, decay=0.9),
    )
    start = torch.randn(8, 4, generator=torch.Generator().manual_seed(3))
    names = ("counts", "sums"), ("ema_count", "ema_sum")
    for layer, (counts, sums) in zip(layers, names, strict=True):
        layer.codebook.copy_(start)
        getattr(layer, counts).fill_(6.0)
        getattr(layer, sums).copy_(6 * start)
    return layers


def test_05_the_layer_learns_as_the_packages(same_start):
    ours, theirs = same_start
    for seed in range(5):
        z = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(seed))
        ours(z), theirs(z)
    torch.testing.assert_close(ours.codebook, theirs.codebook, rtol=1e-3, atol=1e-4)


def test_05_the_layer_gives_what_the_packages_gives(same_start):
    z = torch.randn(3, 4, 11, generator=torch.Generator().manual_seed(2), requires_grad=True)
    ours, theirs = (layer.eval() for layer in same_start)
    z_q, codes, loss = ours(z)
    expected = theirs(z)
    torch.testing.assert_close(z_q, expected.z)
    torch.testing.assert_close(loss, expected.loss)
    assert torch.equal(codes, expected.codes[:, 0])
    (mine,) = torch.autograd.grad(loss + z_q.pow(2).sum(), z)
    (wanted,) = torch.autograd.grad(expected.loss + expected.z.pow(2).sum(), z)
    torch.testing.assert_close(mine, wanted)


def test_05_the_stages_give_what_the_packages_give():
    torch.manual_seed(0)
    ours, theirs = codec_file.ResidualQuantizer(4, 8, 3), quantize.ResidualQuantizer(4, 8, stages=3)
    for mine, wanted in zip(ours.layers, theirs.layers, strict=True):
        mine.codebook.copy_(torch.randn(8, 4))
        wanted.codebook.copy_(mine.codebook)
    z = torch.randn(2, 4, 9)
    z_q, codes, loss = ours.eval()(z)
    expected = theirs.eval()(z)
    torch.testing.assert_close(z_q, expected.z)
    torch.testing.assert_close(loss, expected.loss)
    assert torch.equal(codes, expected.codes)
    torch.testing.assert_close(ours.lookup(codes), theirs.decode(codes))
