import pytest
import torch

from dass.config import DistillationRecipe, TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.space.search_space import SearchSpace
from tests.samples import RECIPE, SPACE, TEACHER_RECIPE, rows_task

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=NO_GPU)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device there is, for what must hold on each."""
    return torch.device(request.param)


@pytest.fixture(scope="session")
def data() -> TaskData:
    return rows_task()


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return SPACE


@pytest.fixture(scope="session")
def teacher_recipe() -> TeacherRecipe:
    return TEACHER_RECIPE


@pytest.fixture(scope="session")
def recipe() -> DistillationRecipe:
    return RECIPE
