"""Networks of contexts: the learned numbers and the whole ones say the same, and learning pays."""

import fit_context
import numpy as np
import torch

from vqlab.codec import entropy

SIZE = 12


def codebooks(stages):
    return [torch.randn(SIZE, 6, generator=torch.Generator().manual_seed(n)) for n in range(stages)]


def bits(net, codes, stage):
    """Of each code of a stage: (positions,)."""
    where = np.arange(codes.shape[1])
    expected = entropy.frequencies(net.weights(codes, where))[where, codes[stage]]
    return 24 - np.log2(expected)


def test_whole_numbers_say_what_the_learned_ones_say():
    for stage, windows in enumerate(fit_context.WINDOWS):
        torch.manual_seed(stage)
        predictor = fit_context.Predictor(windows, codebooks(stage + 1), 8).eval()
        codes = torch.randint(SIZE, (1, 3, 50))
        with torch.no_grad():
            logits = predictor(codes)[0].log_softmax(dim=-1) / -np.log(2)
        learned = logits[torch.arange(50), codes[0, stage]].numpy()
        whole = bits(predictor.whole(), codes[0].numpy(), stage)
        assert np.abs(whole - learned).mean() < 0.1


def test_codes_that_follow_from_the_one_before_get_cheap():
    torch.manual_seed(0)
    start = torch.randint(SIZE, (96, 1, 1, 1))
    codes = (start + 5 * torch.arange(40)) % SIZE  # (crops, qualities, stages, positions)
    net = fit_context.fit(codes, codebooks(1), hidden=16, epochs=60)
    found = bits(net, codes[0, 0].numpy(), 0)
    assert found[1:].mean() < 1 < np.log2(SIZE)  # the first has nothing before it
