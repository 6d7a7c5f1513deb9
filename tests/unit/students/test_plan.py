from dass.space.search_space import SearchSpace
from dass.students.plan import source_jobs, target_jobs


def test_more_students_keep_the_ones_there_are(space: SearchSpace) -> None:
    assert source_jobs(space, 60, 3, "split1")[:10] == source_jobs(space, 10, 3, "split1")
    assert target_jobs(space, 60, 3)[:10] == target_jobs(space, 10, 3)


def test_each_source_task_has_its_own_students_and_targets_share_theirs(space: SearchSpace) -> None:
    one, two = source_jobs(space, 20, 3, "split1"), source_jobs(space, 20, 3, "split2")
    assert one != two and one == source_jobs(space, 20, 3, "split1")
    assert source_jobs(space, 20, 4, "split1") != one
    assert target_jobs(space, 20, 3) not in (one, two)
    assert {job.seed for job in one} == {3}


def test_first_targets_students_are_repeated_under_the_next_seed(space: SearchSpace) -> None:
    jobs = target_jobs(space, 8, 3, repeated=3)
    assert len(jobs) == 11 and len(set(jobs)) == 11
    assert [job.architecture for job in jobs[8:]] == [job.architecture for job in jobs[:3]]
    assert [job.seed for job in jobs] == [3] * 8 + [4] * 3
