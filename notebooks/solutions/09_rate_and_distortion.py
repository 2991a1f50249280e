"""Solutions of the exercises in notebook 09. Run this file to check them all."""

import math

from vqlab import lessons


def table_entropy(counts):
    p = counts / counts.sum()
    p = p[p > 0]
    return -(p * p.log2()).sum()


def code_length(codes, frequencies):
    p = frequencies / frequencies.sum()
    return -p[codes].log2().sum()


def range_step(low, width, frequencies, code):
    step = width // sum(frequencies)
    return low + step * sum(frequencies[:code]), step * frequencies[code]


def rvq_rate(depth, sizes, seconds):
    bits = [math.log2(size) for size in sizes]
    return sum(sum(bits[:d]) for d in depth.tolist()) / seconds


def bits_by_context(counts):
    rows = counts[counts.sum(dim=1) > 0]
    return sum(row.sum() / counts.sum() * table_entropy(row) for row in rows)


if __name__ == "__main__":
    for name in lessons.exercise_names("09"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
