"""The demo's target: scikit-learn's 1,797 handwritten digits, which need no download."""

import numpy as np

from dass.datasets.listing import HASH_RULE, Entry, Listing, hash_split


def read_digits() -> Listing:
    """Lists the digits (8x8 pixels, 17 greys), split by `HASH_RULE`: about 1,438 to train and 359 to test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    entries = [Entry(int(label), f"{number:04}") for number, label in enumerate(digits.target)]
    train, test = hash_split(entries)
    return Listing(tuple(str(digit) for digit in range(10)), train, test, lambda name: pixels[int(name)], HASH_RULE)
