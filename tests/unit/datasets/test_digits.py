import numpy as np

from dass.datasets.digits import read_digits
from dass.datasets.packing import pack


def test_all_digits_once_and_every_class_in_both_parts(tmp_path):
    listing = read_digits()
    assert len({entry.name for entry in listing.train + listing.test}) == 1797
    packed = pack(listing, tmp_path / "digits-16", "digits", 16, source="scikit-learn")
    assert (packed.card.train_count, packed.card.test_count) == (1438, 359)
    assert packed.card.classes == tuple("0123456789")
    share = np.bincount(packed.test_labels) / (np.bincount(packed.train_labels) + np.bincount(packed.test_labels))
    assert np.abs(share - 0.2).max() < 0.01
    assert packed.train_images.max() == 255
    assert (packed.train_images[..., 0] == packed.train_images[..., 2]).all()
