"""All stages of params.yaml one after the other in one process, without DVC: for projects that are thrown away.

python -m flows.run every_stage
"""

from dass.params_file import find_root
from dass.project import Project
from dass.tracking.store import prepare
from flows.dataset import dataset
from flows.distil import distil
from flows.evaluate import evaluate
from flows.meta_train import meta_train
from flows.multi_fidelity import multi_fidelity
from flows.names import main as names
from flows.rank import rank
from flows.register import register
from flows.search import search
from flows.splits import splits
from flows.stage import run_stage
from flows.students import students
from flows.target_students import target_students
from flows.teacher import teacher
from flows.teachers import teachers


def every_stage() -> None:
    """Carry out the stages in the order of dvc.yaml."""
    prepare(find_root())
    project = Project.open()
    names()
    for name in project.params.datasets:
        dataset(name)
    for stage in (splits, teachers, students, meta_train, multi_fidelity):
        stage()
    for target in project.params.targets:
        for of_target in (teacher, target_students, search, distil, register):
            of_target(target)
    rank()
    evaluate()


if __name__ == "__main__":
    run_stage(every_stage)
