"""Random numbers that depend on what they are for, and on nothing else.

How image 17 is cropped in epoch 3 is a function of the seed, the epoch, the image and the purpose. It depends neither
on the order of the images, nor on how many processes share them, nor on what was drawn before. So one process and eight
see the same images, and a run that was killed and resumed sees what an uninterrupted one would have seen.

The mixing function is splitmix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", Fig. 17).
"""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z: np.ndarray) -> np.ndarray:
    """Return splitmix64's output for states ``z``, uint64, elementwise."""
    with np.errstate(over="ignore"):
        z = z + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: int, epoch: int, indices: np.ndarray, draws: int, purpose: str = "") -> np.ndarray:
    """Return uniform numbers in [0, 1), shape (len(indices), draws), float64.

    Args:
        seed: of the run.
        epoch: counted from 0.
        indices: which examples, integers.
        draws: how many numbers for each.
        purpose: what they are for; another purpose gives other numbers.
    """
    state = mix(np.array([seed % 2**64], dtype=np.uint64))
    for word in (epoch, *purpose.encode()):
        state = mix(state ^ np.uint64(word))
    rows = mix(state ^ np.asarray(indices).astype(np.uint64))
    cells = mix(rows[:, None] ^ mix(np.arange(draws, dtype=np.uint64))[None, :])
    return (cells >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order in which an epoch meets ``n`` examples, int64."""
    return np.argsort(uniform(seed, epoch, np.arange(n), 1, "order")[:, 0], kind="stable")
