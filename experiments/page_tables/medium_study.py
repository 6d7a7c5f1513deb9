"""The table of the first piece of preset `medium`, distilled on a GPU."""

import json
import math
from statistics import mean, stdev

from dass.students.record_file import read_records
from experiments.page_tables.markdown import table
from experiments.page_tables.paths import STUDIES

MEDIUM = STUDIES / "medium"


def medium() -> str:
    """What the first piece of preset `medium` says of its teacher and students."""
    records = read_records(MEDIUM / "records" / "cifar10.parquet")
    teacher = json.loads((MEDIUM / "teacher-cifar10.json").read_text())
    first, second = ({r.arch_id: r.final_accuracy for r in records if r.seed == seed} for seed in (0, 1))
    both = first.keys() & second.keys()
    error = math.sqrt(mean(r.final_accuracy * (100 - r.final_accuracy) / 4000 for r in records))
    seeds = math.sqrt(mean((first[name] - second[name]) ** 2 / 2 for name in both))
    accuracies = [record.final_accuracy for record in records]
    deviation, seconds, steps = stdev(first.values()), mean(record.seconds for record in records), 6000 // 64 * 5
    return table(
        ("what", "number"),
        [
            ("accuracy of the teacher on 4,000 test images", f"{teacher['accuracy']:.1f}%"),
            ("seconds of the teacher's training", f"{teacher['seconds']:.0f}"),
            ("students distilled, of 70", f"{len(records)}"),
            ("their architectures, of 50", f"{len(first.keys() | second.keys())}"),
            ("architectures with two seeds", f"{len(both)}"),
            (f"seconds a student of {steps} steps, eight side by side", f"{seconds:.1f}"),
            ("milliseconds a step of a student", f"{1000 * seconds / steps:.1f}"),
            ("minutes of the preset's 580 students at that rate, an estimate", f"{580 * seconds / 60:.0f}"),
            ("accuracy of the students", f"{min(accuracies):.1f} to {max(accuracies):.1f}%"),
            (f"deviation between the {len(first)} architectures of seed 0, in points", f"{deviation:.1f}"),
            ("standard error of one accuracy, in points", f"{error:.2f}"),
            ("deviation between seeds, in points", f"{seeds:.2f}"),
        ],
    )
