import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dass.students.record import StudentRecord, merge
from tests.factories import make_record


def record(arch_id: str = "a" * 12, seed: int = 0, **changes: object) -> StudentRecord:
    return make_record(arch_id=arch_id, seed=seed, **changes)


def test_where_and_when_do_not_make_a_difference() -> None:
    one = record()
    assert one.differences(record(seconds=1.0, device="NVIDIA H100", torch_version="3", finished_at="")) == ()
    assert one.differences(record(final_accuracy=39.0, best_accuracy=41.0)) == ("best_accuracy", "final_accuracy")
    failed = record(final_loss=math.nan, failure="loss became nan")
    assert failed.differences(replace(failed)) == ()


def test_merge_keeps_what_is_there_and_reports_what_disagrees() -> None:
    here = [record("b" * 12), record("a" * 12, seed=1)]
    new = [record("b" * 12, seconds=99.0), record("a" * 12, seed=1, final_accuracy=1.0), record("a" * 12)]
    joined = merge(here, new)
    assert [(one.arch_id[0], one.seed) for one in joined.records] == [("a", 0), ("a", 1), ("b", 0)]
    assert (joined.added, joined.unchanged) == (1, 1)
    [conflict] = joined.conflicts
    assert conflict.existing is here[1] and conflict.fields == ("final_accuracy",)
    assert str(conflict) == f"split0 {'a' * 12} seed 1: final_accuracy 39.5 kept, 1.0 refused"


def test_records_under_another_key_are_other_records() -> None:
    joined = merge([record()], [record(teacher_id="u" * 12), record(recipe_id="s" * 12), record(data_id="e" * 12)])
    assert joined.added == 3 and len(joined.records) == 4


identities = st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.sampled_from([39.5, 40.5]))


@given(st.lists(st.lists(identities, max_size=6), max_size=6))
def test_merging_never_doubles_and_never_changes(batches: list[list[tuple[str, int, float]]]) -> None:
    held: tuple[StudentRecord, ...] = ()
    for batch in batches:
        new = [record(name * 12, seed, final_accuracy=accuracy) for name, seed, accuracy in batch]
        joined = merge(held, new)
        assert set(held) <= set(joined.records)
        assert len({one.identity for one in joined.records}) == len(joined.records)
        assert joined.added + joined.unchanged + len(joined.conflicts) == len(new)
        assert len(joined.records) == len(held) + joined.added
        held = joined.records
    assert merge((), held).records == held
