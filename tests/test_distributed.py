"""Several processes train one model: the same on each, and the same as by one process.

Run as a script under `torchrun`, this file is a rank of the second part: it trains and leaves what
the tests compare in the folder that it is given.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from _support import HANG, ROOT
from torch import nn

from vqlab import models, processes, training
from vqlab.codec import Codec
from vqlab.files import load_tensors
from vqlab.quantize import ResidualQuantizer
from vqlab.training import batches

STEPS = 12


def benchmark():
    spec = importlib.util.spec_from_file_location("ranks", ROOT / "benchmarks" / "ranks.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ranks = benchmark()


# What each rank does


def work(folder: Path, *names: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores ctrl-C
    torch.set_num_threads(1)
    processes.start()
    ranks.train_all(folder, names or list(ranks.CASES), STEPS)
    if not names:
        found = rows_and_sums()
        found |= resumed(folder) | interrupted() | on_two_clocks() | with_a_loss_that_is_no_number()
        (folder / f"{processes.rank()}.json").write_text(json.dumps(found))
    processes.barrier()  # neither leaves while the other still talks to it
    processes.stop()


def rows_and_sums():
    rank = processes.rank()
    rows = torch.arange(3.0)[:, None] + 10 * rank  # rank 0 has three rows, rank 1 none
    torch.manual_seed(5)
    drawn = processes.draw_rows(rows[: 3 - rank], 4)
    unused, half, all_ = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    all_.grad = torch.tensor([1.0, 2.0])
    half.grad = torch.tensor([4.0, 4.0]) if rank == 1 else None
    processes.sum_gradients([unused, half, all_], 0.25 + 0.5 * rank)
    return {
        "part": list(range(7))[processes.part(7)],
        "gathered": processes.gather_rows(rows[: 3 * (1 - rank)]).flatten().tolist(),
        "drawn": drawn.flatten().tolist(),
        "gradients": [None if p.grad is None else p.grad.tolist() for p in (unused, half, all_)],
        "from_main": [processes.from_main(value) for value in (rank, rank == 0, rank + 0.5)],
        "kept": loss_of_kept_rows(),
    }


def kept_rows():
    """Residual quantiser, vectors (8, 3, 2) and depths by which rank 1 keeps few, and none of 3."""
    torch.manual_seed(1)
    quantizer = ResidualQuantizer(3, 4, 3, kmeans_start=False)
    z = torch.randn(8, 3, 2)
    depth = torch.tensor([3, 3, 2, 3, 1, 2, 1, 1])[:, None].expand(8, 2)
    return quantizer, z, depth


def loss_of_kept_rows():
    quantizer, z, depth = kept_rows()
    mine = processes.part(8)
    found = quantizer(z[mine], depth[mine])
    loss = processes.mean_over_ranks(found.loss, 0.5)
    return [float(loss), *(layer.codebook.tolist() for layer in quantizer.layers)]


def resumed(folder):
    """A run that rank 0's callback interrupts, taken up again, against one that nobody did."""
    case = ranks.CASES["rvq"]
    whole, run = ranks.train(case, 8, folder / "whole", report_every=4)

    def interrupt(run):
        torch.rand(1)  # only rank 0 draws this
        if run.step == 4:
            raise KeyboardInterrupt

    _, cut = ranks.train(case, 8, folder / "cut", report_every=4, on_report=interrupt)
    second, again = ranks.train(case, 8, folder / "cut", report_every=4, on_report=interrupt)
    states = zip(whole.state_dict().values(), second.state_dict().values(), strict=True)
    return {
        "stopped": [cut.stopped, cut.step],
        "resumed": again.step,
        "equal": all(torch.equal(a, b) for a, b in states),
        "errors": [[r["loss"] for r in run.history], [r["loss"] for r in again.history]],
        "lines": len((folder / "cut" / "metrics.jsonl").read_text().splitlines()),
    }


def interrupted():
    calls = []

    def pressed_on_rank_1(output, target):
        calls.append(1)
        if processes.rank() == 1 and len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return nn.functional.mse_loss(output, target)

    _, run = ranks.train(ranks.CASES["ae"], 8, loss=pressed_on_rank_1)
    return {"interrupted": [run.stopped, run.step, len(run.history)]}


def on_two_clocks():
    """Seconds pass three times as fast on rank 1, which must not stop earlier."""
    ticks = iter(range(1000))

    def clock():
        return next(ticks) * (1 + 2.0 * processes.rank())

    _, run = ranks.train(ranks.CASES["ae"], None, minutes=0.2, report_every=100, clock=clock)
    return {"minutes": run.step}


def with_a_loss_that_is_no_number():
    def spoilt(output, target):
        bad = float("nan") if processes.rank() == 1 else 0.0
        return nn.functional.mse_loss(output, target) + bad

    try:
        ranks.train(ranks.CASES["ae"], 3, loss=spoilt)
    except FloatingPointError as error:
        return {"said": str(error)}
    return {"said": ""}


# The tests


def launch(module, *arguments):
    """Start a launcher; the two ranks it starts are this file. Shows what they said on failure."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr[:4000]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder with what one process and two processes made of all cases."""
    folder = tmp_path_factory.mktemp("ranks")
    launch("torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__, folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ranks.train_all(folder, list(ranks.CASES), STEPS)
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="module")
def found(trained):
    """What rank 0 and rank 1 found."""
    return [json.loads((trained / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", ranks.CASES)
def test_two_processes_learn_what_one_learns(trained, name):
    row = ranks.compare(trained, name, STEPS)
    assert row.difference < 1e-5
    assert row.identical


@pytest.mark.parametrize("name", ranks.CASES)
def test_reports_are_of_the_whole_batch(trained, name):
    one, two = (
        json.loads(load_tensors(trained / f"{name}.0of{n}.safetensors")[1]["history"])[0]
        for n in (1, 2)
    )
    assert one.keys() == two.keys()
    for key in one.keys() - {"seconds"}:
        assert two[key] == pytest.approx(one[key], rel=1e-4), key


def test_the_cases_are_no_trivial_ones(trained):
    """Weights move far more than the tolerance, codebooks are used, and batches are uneven."""
    for name, case in ranks.CASES.items():
        torch.manual_seed(0)
        before = case.model().state_dict()
        after, metadata = load_tensors(trained / f"{name}.0of2.safetensors")
        assert max(float((after[k].float() - before[k].float()).abs().max()) for k in after) > 1e-3
        used = json.loads(metadata["history"])[0].get("used", [9])
        assert min(used) >= 6
    assert {case.count % ranks.BATCH for case in ranks.CASES.values()} == {1, 3}


def test_rows_are_cut_and_put_together_in_rank_order(found):
    assert [f["part"] for f in found] == [[0, 1, 2], [3, 4, 5, 6]]
    assert [f["gathered"] for f in found] == [[0.0, 1.0, 2.0]] * 2


def test_rows_are_drawn_from_all_ranks_as_one_process_would(found):
    torch.manual_seed(5)
    both = torch.tensor([0.0, 1.0, 2.0, 10.0, 11.0])[:, None]
    expected = processes.draw_rows(both, 4).flatten().tolist()
    assert [f["drawn"] for f in found] == [expected] * 2
    assert len(set(expected)) == 4


def test_gradients_are_weighted_sums_and_none_stays_none(found):
    # weights 0.25 and 0.75; the second has a gradient on rank 1 alone
    assert [f["gradients"] for f in found] == [[None, [3.0, 3.0], [1.0, 2.0]]] * 2


def test_numbers_of_rank_0_keep_their_type(found):
    assert found[1]["from_main"] == [0, True, 0.5]
    assert [type(value) for value in found[1]["from_main"]] == [int, bool, float]


def test_a_stage_that_ranks_keep_unequally_has_the_loss_and_codebook_of_one_process(found):
    quantizer, z, depth = kept_rows()
    loss = float(quantizer(z, depth).loss)
    for kept in (f["kept"] for f in found):
        assert kept[0] == pytest.approx(loss, rel=1e-5)
        for layer, codebook in zip(quantizer.layers, kept[1:], strict=True):
            assert torch.allclose(layer.codebook, torch.tensor(codebook), atol=1e-6)


def test_a_run_interrupted_on_rank_0_and_resumed_equals_one_that_was_not(found):
    for f in found:
        assert f["stopped"] == [True, 4] and f["resumed"] == 8
        assert f["equal"]
        assert f["errors"][0] == f["errors"][1]
        assert f["lines"] == 2  # one a report, not one a process


def test_ctrl_c_on_rank_1_ends_both_after_the_step(found):
    assert [f["interrupted"] for f in found] == [[True, 3, 1]] * 2


def test_minutes_are_those_of_rank_0(found):
    assert found[0]["minutes"] == found[1]["minutes"] > 2


def test_a_loss_that_is_no_number_on_one_rank_ends_both(found):
    assert all("the loss became nan at step 0" in f["said"] for f in found)


def test_accelerate_starts_the_same_processes(trained, tmp_path):
    pytest.importorskip("accelerate")
    # Without --multi_gpu it starts a single process on a machine without GPUs.
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    options += " --dynamo_backend no --main_process_port 0"
    launch("accelerate.commands.launch", *options.split(), __file__, tmp_path, "vq")
    for rank in (0, 1):
        ours, _ = load_tensors(trained / f"vq.{rank}of2.safetensors")
        theirs, _ = load_tensors(tmp_path / f"vq.{rank}of2.safetensors")
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_one_process_gives_back_what_it_was_given():
    rows, layer = torch.rand(3, 2), nn.Linear(2, 2)
    processes.start()  # no launcher: nothing happens
    assert (processes.rank(), processes.world_size(), processes.is_main()) == (0, 1, True)
    assert processes.sum_over_ranks(rows) is processes.gather_rows(rows) is rows
    assert processes.mean_over_ranks(rows, 0.3) is processes.from_main(rows) is rows
    assert processes.share(3) == (0, 3) and processes.part(3) == slice(0, 3)
    processes.sum_gradients(layer.parameters(), 0.5)
    assert layer.weight.grad is None


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_parts_cover_every_batch_once(monkeypatch, size):
    items = torch.arange(23)
    for step in range(3):
        parts = []
        for rank in range(size):
            monkeypatch.setattr(processes, "_place", processes._Place(rank, size, rank))
            parts.append(batches.own_part(items, step, 10, seed=4))
        whole = torch.tensor(batches.batch_rows(23, step, 10, 4))
        assert sum(weight for _, weight, _ in parts) == pytest.approx(1)
        if len(whole) < size:
            assert all(torch.equal(own, whole) and all_ for own, _, all_ in parts)
            assert [weight for _, weight, _ in parts] == [1.0] + [0.0] * (size - 1)
        else:
            assert torch.equal(torch.cat([own for own, _, _ in parts]), whole)
            assert [weight * len(whole) for _, weight, _ in parts] == [len(p[0]) for p in parts]


def test_a_folder_that_the_ranks_do_not_share_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "from_main", lambda value: 8)
    x = torch.rand(4, 1, 8, 8)
    with pytest.raises(ValueError, match="a disk that all machines share"):
        training.fit(
            models.thesis(models.Identity(2), units=4), x, x, out=tmp_path, steps=9, device="cpu",
            progress=False,
        )  # fmt: skip


def test_the_command_line_under_torchrun_trains_one_codec_in_one_folder(tmp_path):
    budget = "--steps 4 --report-every 2 --batch-size 8 --words right --codebook-size 16".split()
    program = "torch.distributed.run --standalone --nproc-per-node=2 -m vqlab train".split()
    launch(*program, "--dataset", "words", *budget, "--out", tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4]
    assert Codec.load(tmp_path / "run").trained["steps"] == 4


if __name__ == "__main__":
    work(Path(sys.argv[1]), *sys.argv[2:])
