"""Ranks a teacher's students, distils the best one and compares it with its teacher.

python examples/shrink_a_teacher.py resnet20.th cifar10.zip
"""

import sys

import dass


def main(teacher_file: str, images: str, students: int = 4, epochs: int = 2) -> None:
    """Prints accuracy and cost of teacher and student."""
    teacher = dass.load_teacher(teacher_file)
    data = dass.open_dataset(images, resolution=32)
    found = dass.rank_students(teacher, data, max_macs="50%", students=students)
    [student] = dass.distill(teacher, found.pick.architecture, data, epochs=epochs)
    print(f"teacher: {found.teacher_accuracy:.1f} %, {macs(teacher.architecture, data):.1f} M multiply-accumulates")
    print(f"student: {student.final_accuracy:.1f} %, {macs(student.architecture, data):.1f} M multiply-accumulates")


def macs(architecture: dass.Architecture, data: dass.TaskData) -> float:
    """Millions of multiply-accumulates on one image."""
    return dass.cost(architecture, data.resolution, len(data.classes)).macs / 1e6


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
