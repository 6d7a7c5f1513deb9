from hypothesis import given
from hypothesis import strategies as st

from dass.datasets.listing import Entry, hash_split, is_image

names = st.text(alphabet="abcdef0123456789", min_size=1, max_size=6)


@given(st.dictionaries(names, st.integers(0, 3), max_size=60), st.randoms(use_true_random=False))
def test_the_split_is_whole_and_does_not_depend_on_order(images, random):
    entries = [Entry(label, name) for name, label in images.items()]
    train, test = hash_split(entries)
    assert sorted(train + test) == sorted(entries)
    random.shuffle(entries)
    assert hash_split(entries) == (train, test)
    for label in set(images.values()):
        count = sum(entry.label == label for entry in entries)
        chosen = sum(entry.label == label for entry in test)
        assert chosen == (max(1, round(count / 5)) if count > 1 else 0)


@given(st.sets(names, min_size=2, max_size=60))
def test_groups_stay_on_one_side(images):
    train, test = hash_split([Entry(0, name) for name in images], group=lambda name: name[0])
    assert not {entry.name[0] for entry in train} & {entry.name[0] for entry in test}


def test_adding_a_class_leaves_the_others_as_they_were():
    entries = [Entry(0, f"a/{number}") for number in range(30)]
    alone = hash_split(entries)
    both = hash_split(entries + [Entry(1, f"b/{number}") for number in range(30)])
    assert alone[1] == tuple(entry for entry in both[1] if entry.label == 0)


def test_endings():
    assert is_image("a/B.JPEG")
    assert not is_image("a/b.txt")
