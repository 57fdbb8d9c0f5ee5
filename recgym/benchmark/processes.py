"""An executor that gives every task a process of its own.

``concurrent.futures.ProcessPoolExecutor`` keeps its workers, so one that is killed for memory
takes all waiting runs with it, and peak memory would be that of the worst run before. Here a
death is the exception of one future.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

PRELOADED = ("recgym.benchmark.runner", "torch", "pandas", "scipy.sparse", "scipy.optimize")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkerFailed(Exception):
    """The function raised in its process; the message is the traceback there."""


class WorkerDied(Exception):
    """A worker process ended without a result, e.g. killed for want of memory."""


class OverTime(Exception):
    """A worker process was stopped because it took longer than it was given."""


class ProcessPerTask(Executor):
    """At most ``jobs`` processes at a time; functions and results must pickle.

    Where the system can, workers are forked from a server that has imported what runs need, which
    takes longer than a short run. Workers use one torch thread each, ignore Ctrl-C (the parent
    handles it) and end when the parent does, even when it is killed.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise ValueError(f"jobs must be at least 1, got {jobs}")
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="recgym-run")
        self._context = context()
        self._lock = threading.Lock()
        self._running: set[BaseProcess] = set()
        self._stopped = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        return self._threads.submit(self._in_process, None, fn, args, kwargs)

    def submit_within(
        self, seconds: float | None, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future:
        """``submit``; a process that takes longer is stopped, its future raises `OverTime`."""
        return self._threads.submit(self._in_process, seconds, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """With ``cancel_futures``, running processes are terminated as well."""
        if cancel_futures:
            with self._lock:
                self._stopped = True
                for process in self._running:
                    process.terminate()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _in_process(
        self,
        seconds: float | None,
        fn: Callable[..., Any],
        args: tuple,
        kwargs: dict[str, Any],
    ) -> Any:
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work,
            args=(sender, fn, args, kwargs, dict(os.environ)),
            daemon=True,
            name="recgym-run",
        )
        with self._lock:
            if self._stopped:
                raise WorkerDied("stopped before it began")
            with _one_thread_each():
                process.start()
            self._running.add(process)
        sender.close()
        try:
            if not receiver.poll(seconds):
                process.terminate()
                process.join()
                raise OverTime(f"stopped after {seconds:.0f} seconds")
            try:
                succeeded, result = receiver.recv()
            except EOFError:
                process.join()
                raise WorkerDied(
                    f"the worker process ended with code {process.exitcode} and no result"
                    + (" (killed, perhaps for want of memory)" if process.exitcode == -9 else "")
                ) from None
            process.join()
        finally:
            receiver.close()
            with self._lock:
                self._running.discard(process)
        if not succeeded:
            raise WorkerFailed(result)
        return result


def context() -> Any:
    """How processes are started: where the system can, from a server that has imported much."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(PRELOADED))
    return found


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """BLAS reads its number of threads when it is loaded, from the parent's environment."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    sender: Connection,
    fn: Callable[..., Any],
    args: tuple,
    kwargs: dict[str, Any],
    environment: dict[str, str],
) -> None:
    os.environ.clear()  # a server has that of the time when it was started
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_thread()
    try:
        outcome = True, fn(*args, **kwargs)
    except BaseException:
        # As text, because not every exception survives pickling.
        outcome = False, traceback.format_exc()
    sender.send(outcome)
    sender.close()


def use_one_thread() -> None:
    """Let torch and BLAS compute with one thread: the order of their sums, so results, repeat."""
    # Read when torch is first imported, which a run that needs no network never does.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
