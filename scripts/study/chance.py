# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely results are by chance, and other small statistics."""
import itertools
import math
import random

MAX_EXACT = 14  # differences of which all signs are tried
N_DRAWS = 20000


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def binomial_tail(successes, n, chance):
    """P(at least so many successes of n)."""
    return math.fsum(
        math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(successes, n + 1)
    )


def mcnemar(only_first, only_second):
    """Exact, one-sided: that the first is right where the second is not so much more often than the other way round."""
    n = only_first + only_second
    return binomial_tail(only_first, n, 0.5) if n > 0 else 1.0


def sign_flips(differences, seed=0):
    """One-sided: how often a mean at least as large comes up where each difference may as well have the other sign.

    Differences of whole people: their attributes depend on each other, people do not.
    """
    target, n = sum(differences) - 1e-12, len(differences)
    if n <= MAX_EXACT:
        hits = [sum(map(lambda d, s: d * s, differences, signs)) >= target for signs in itertools.product((1, -1), repeat=n)]
        return sum(hits) / len(hits)
    draw, hits = random.Random(seed), 1  # the arrangement that was seen is one of them
    for _ in range(N_DRAWS):
        signs = draw.getrandbits(n)
        hits += sum(d if signs >> i & 1 else -d for i, d in enumerate(differences)) >= target
    return hits / (N_DRAWS + 1)


def area_under_curve(scores, labels):
    """The chance that somebody with the label (above 0) has a higher score than somebody without it."""
    ranked = sorted(zip(scores, labels))
    n_with = sum(label > 0 for label in labels)
    below, total, i = 0, 0.0, 0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j][0] == ranked[i][0]:
            j += 1
        with_here = sum(label > 0 for _, label in ranked[i:j])
        without_here = j - i - with_here
        total += with_here * (below + without_here / 2)
        below += without_here
        i = j
    return total / (n_with * (len(labels) - n_with))


def show_p(p):
    return f"{p:.2g}" if p >= 0.0001 else "< 0.0001"
