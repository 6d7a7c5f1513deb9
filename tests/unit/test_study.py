"""The records of the first study belong together."""

from pathlib import Path

from dass.params_file import load_params
from dass.students.record import StudentRecord
from dass.students.record_file import read_records

STUDY = Path(__file__).parents[2] / "docs" / "study" / "small-first"


def test_its_records_are_of_one_teacher_and_recipe_a_task() -> None:
    params = load_params(STUDY / "params.yaml")
    tasks: dict[str, list[StudentRecord]] = {}
    for path in (STUDY / "records").iterdir():
        for record in read_records(path):
            tasks.setdefault(record.task, []).append(record)
    assert tasks.keys() == {f"split{index}" for index in params.source.splits} | params.targets.keys()
    for task, records in tasks.items():
        assert len({record.key for record in records}) == 1
        first = [record for record in records if record.seed == params.seed]
        target = params.targets.get(task)
        repeated = params.students.repeated if target and target.repeat else 0
        assert len(first) == (params.students.per_target if target else params.students.per_source)
        assert len(records) == len(first) + repeated
