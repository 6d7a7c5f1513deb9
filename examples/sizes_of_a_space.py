"""Lists what students of a search space cost, from the smallest to the largest of a sample."""

import numpy as np

import dass


def main() -> None:
    """Prints depths, widths, multiply-accumulates and parameters of ten students."""
    space = dass.SearchSpace((16, 32, 64, 128), 3, (0.25, 0.5, 0.75, 1.0), "block")
    students = space.sample(10, np.random.default_rng(0))
    rows = [(dass.cost(student, 32, 10), student) for student in students]
    print(f"{space.size:,} students; ten of them, for images of 32 pixels and ten classes:")
    for price, student in sorted(rows, key=lambda row: row[0].macs):
        print(f"{price.macs / 1e6:6.2f} M MACs {price.parameters / 1e6:6.3f} M parameters  {student.stage_label}")


if __name__ == "__main__":
    main()
