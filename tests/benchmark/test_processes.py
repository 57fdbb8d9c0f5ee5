from __future__ import annotations

import os
import signal
import time

import pytest

from recgym.benchmark.processes import OverTime, ProcessPerTask, WorkerDied, WorkerFailed


def identify(value):
    import torch

    return value, os.getpid(), torch.get_num_threads()


def fail():
    raise LookupError("nothing here")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def sleep():
    time.sleep(600)


def test_every_task_has_a_process_and_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with ProcessPerTask(2) as pool:
        results = [future.result() for future in [pool.submit(identify, i) for i in range(2)]]
    assert [value for value, _, _ in results] == [0, 1]
    assert len({pid for _, pid, _ in results} | {os.getpid()}) == 3
    assert {threads for _, _, threads in results} == {1}


def environment(name):
    return os.environ.get(name)


def test_workers_have_the_environment_of_the_moment(monkeypatch):
    seen = []
    for value in ("one", "two"):
        monkeypatch.setenv("RECGYM_TEST", value)
        with ProcessPerTask(1) as pool:
            seen.append(pool.submit(environment, "RECGYM_TEST").result())
    monkeypatch.delenv("RECGYM_TEST")
    with ProcessPerTask(1) as pool:
        seen.append(pool.submit(environment, "RECGYM_TEST").result())
    assert seen == ["one", "two", None]


def test_an_error_and_a_death_are_the_problem_of_one_task_only():
    with ProcessPerTask(2) as pool:
        failing, dying, fine = pool.submit(fail), pool.submit(die), pool.submit(os.getpid)
        with pytest.raises(WorkerFailed, match=r"(?s)Traceback.*LookupError: nothing here"):
            failing.result()
        with pytest.raises(WorkerDied, match="-9"):
            dying.result()
        assert fine.result() > 0


def test_shutdown_ends_running_processes():
    pool = ProcessPerTask(1)
    futures = [pool.submit(sleep), pool.submit(sleep)]
    while not pool._running:
        time.sleep(0.05)
    process = next(iter(pool._running))
    pool.shutdown(cancel_futures=True)
    assert not process.is_alive()
    assert all(future.done() for future in futures)


def test_a_task_that_takes_longer_than_it_is_given_is_stopped_alone():
    with ProcessPerTask(2) as pool:
        slow, fast = pool.submit_within(1.0, sleep), pool.submit_within(60.0, os.getpid)
        with pytest.raises(OverTime, match="1 seconds"):
            slow.result(timeout=30)
        assert fast.result() > 0
        assert not pool._running
