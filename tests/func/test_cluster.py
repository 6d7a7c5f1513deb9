"""Students on a Dask cluster of two workers: the same records as without one; a worker that dies loses none."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from dass.errors import UsageError
from flows.infrastructure.cluster import Cluster
from flows.infrastructure.processes import end_family
from tests.func.served import free_port, until
from tests.func.students_stage import EACH, TASKS, Stage, last_line

# The scheduler imports torch to read the first job, which where cores are shared takes longer than it may be silent.
PATIENT = {f"DASK_DISTRIBUTED__COMM__TIMEOUTS__{kind}": "600s" for kind in ("CONNECT", "TCP")}
needs_dask = pytest.mark.skipif(not find_spec("prefect_dask"), reason="the extra `dask` is not installed")


@pytest.mark.service
@pytest.mark.timeout(2400)
@needs_dask
def test_records_are_the_same_and_a_worker_that_dies_loses_none(stage: Stage) -> None:
    with cluster(stage) as (address, workers):
        on_cluster = {"DASS_DASK": address, "DASS_DASK_RESOURCES": "GPU=0.5", **PATIENT}
        running = stage.begin(records=2, **on_cluster)
        before = stage.records()
        workers[0].kill()
        out, _ = running.communicate(timeout=800)
        assert running.returncode == 0, out
        assert "students of split2: 6 of 6" in out
    made = stage.records()
    assert len(made) == TASKS * EACH
    assert before.items() <= made.items()
    for file in stage.database.folder.glob("*.parquet"):
        file.unlink()
    stage.goes_on_from({})
    here = stage.records()
    assert made.keys() == here.keys()
    for identity, record in made.items():
        assert record.differences(here[identity]) == ()


@pytest.mark.service
@pytest.mark.timeout(2400)
@needs_dask
def test_a_cluster_that_is_not_there_is_one_line(stage: Stage) -> None:
    code, out = stage.run(DASS_DASK=f"tcp://127.0.0.1:{free_port()}", DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="2s")
    assert code == 1
    assert "DASS_DASK=tcp://127.0.0.1" in last_line(out)


@needs_dask
def test_resources_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASS_DASK", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DASS_DASK_RESOURCES", "GPU")
    with pytest.raises(UsageError, match="DASS_DASK_RESOURCES"):
        Cluster.from_environment()


def test_without_an_address_or_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASS_DASK", raising=False)
    assert Cluster.from_environment() is None
    monkeypatch.setattr("flows.infrastructure.cluster.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="prefect-dask"):
        Cluster("tcp://127.0.0.1:1")


@contextmanager
def cluster(stage: Stage) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each with half a GPU of its own in name; its address, and the workers."""
    address = f"tcp://127.0.0.1:{free_port()}"
    log = (stage.sandbox.root / "dask.log").open("ab")

    def start(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["dask", *command], cwd=stage.sandbox.root, stdout=log, stderr=log, start_new_session=True,
            env={**stage.sandbox.environment, **PATIENT},
        )  # fmt: skip

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", address.rsplit(":", 1)[1], "--no-dashboard")]
    worker = ("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--resources", "GPU=0.5")
    processes += [start(*worker), start(*worker)]
    try:
        until(lambda: (stage.sandbox.root / "dask.log").read_text().count("Registered to") == 2, 300, "two workers")
        yield address, processes[1:]
    finally:
        for process in processes:
            end_family(process.pid)
            process.wait()
        log.close()
