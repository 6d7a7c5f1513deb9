"""All stages of params.yaml one after the other in one process, without DVC: for projects that are thrown away.

python -m flows.run every_stage
"""

from dass.params_file import find_root
from dass.project import Project
from dass.tracking.store import prepare
from flows.infrastructure.stage import run_stage
from flows.names import main as names
from flows.stages.dataset import dataset
from flows.stages.distil import distil
from flows.stages.evaluate import evaluate
from flows.stages.meta_train import meta_train
from flows.stages.multi_fidelity import multi_fidelity
from flows.stages.rank import rank
from flows.stages.register import register
from flows.stages.search import search
from flows.stages.splits import splits
from flows.stages.students import students
from flows.stages.target_students import target_students
from flows.stages.teacher import teacher
from flows.stages.teachers import teachers


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
