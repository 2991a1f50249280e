"""Solutions of the exercises in notebook 07. Run this file to check them all."""

import math

from vqlab import lessons


def kl_bits(mean, log_variance, seconds):
    nats = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return nats.sum() / math.log(2) / seconds


def three_rates(positions_per_second, D, kl, K):
    bits = 32 * D, kl / math.log(2), math.log2(K)  # of one position
    return tuple(positions_per_second * b for b in bits)


def p_value(right, trials):
    return sum(math.comb(trials, k) for k in range(right, trials + 1)) / 2**trials


def fewest(trials):
    return next((right for right in range(trials + 1) if p_value(right, trials) < 0.05), None)


if __name__ == "__main__":
    for name in lessons.exercise_names("07"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
