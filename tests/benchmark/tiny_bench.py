"""A bench on the tiny world as a program of its own, to be killed by a test."""

import sys
from concurrent.futures import Executor, Future
from pathlib import Path

from recgym.benchmark.bench import bench
from recgym.benchmark.influence_path.suite import METRICS
from recgym.benchmark.suites import Entry, Suite

SUITE = Suite(
    name="tiny",
    title="Tiny",
    env_id="recgym/InfluencePathTiny-v0",
    entries=(Entry("random", "random"), Entry("jump", "jump")),
    seeds=(0, 1, 2),
    metrics=METRICS,
    main="return",
    unit="user",
)


class Here(Executor):
    """Runs at once, in this process; counts what it was given."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


if __name__ == "__main__":
    result = bench(
        SUITE,
        Path(sys.argv[1]),
        jobs=1,
        on_event=lambda event, spec, path: print(event, path.name, flush=True),
    )
    sys.exit(130 if result.interrupted else bool(result.failed))
