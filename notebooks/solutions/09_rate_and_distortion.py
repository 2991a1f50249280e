"""The solution of the optional exercise of notebook 09; those of the core are in `my_codec.py`."""


def huffman(shares):
    """Join the two rarest groups until one is left; a digit in front of all words of each."""
    groups = [(share, {letter: ""}) for letter, share in shares.items()]
    while len(groups) > 1:
        groups.sort(key=lambda group: group[0])
        (p, zero), (q, one), *others = groups
        words = {letter: "0" + word for letter, word in zero.items()}
        words |= {letter: "1" + word for letter, word in one.items()}
        groups = [*others, (p + q, words)]
    return groups[0][1]
