import pytest

from dass.config import DistillationRecipe, TeacherRecipe
from dass.datasets.task_data import TaskData
from dass.space.search_space import SearchSpace
from tests.samples import RECIPE, SPACE, TEACHER_RECIPE, rows_task


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
