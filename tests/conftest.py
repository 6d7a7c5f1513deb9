"""Fixtures that every test may use."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from dass.project import let_threads_sleep

let_threads_sleep()
settings.register_profile("shared machine", deadline=None)  # a loaded machine is slow, not broken
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def shared_datasets() -> Path:
    """The folder of real image zips; the test is skipped, visibly, where there is none."""
    folder = Path(os.environ.get("DASS_SHARED_DATASETS", ""))
    if not os.environ.get("DASS_SHARED_DATASETS") or not folder.is_dir():
        pytest.skip("DASS_SHARED_DATASETS does not name a folder of real image zips")
    return folder


@pytest.fixture(scope="session")
def shared_teachers() -> Path:
    """The folder of public checkpoints; the test is skipped, visibly, where there is none."""
    folder = Path(os.environ.get("DASS_SHARED_TEACHERS", ""))
    if not os.environ.get("DASS_SHARED_TEACHERS") or not folder.is_dir():
        pytest.skip("DASS_SHARED_TEACHERS does not name a folder of public checkpoints")
    return folder


@pytest.fixture(scope="session")
def file_size_limit() -> Callable[[int], AbstractContextManager[None]]:
    """Within it no file of this process may grow beyond so many bytes: the kernel refuses a write as on a full disk."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real Prefect server for all tests that need no more, as `make repro` starts one for all stages."""
    with pytest.MonkeyPatch.context() as patch:
        # Prefect takes seconds to import, and most tests need none.
        from flows.infrastructure.server import prefect_server

        patch.delenv("PREFECT_API_URL", raising=False)
        with prefect_server(tmp_path_factory.mktemp("prefect")) as api:
            yield api
