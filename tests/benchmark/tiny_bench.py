"""A bench on the tiny world as a program of its own, to be killed by a test."""

import sys
from pathlib import Path

from recgym.benchmark.influence_path.suite import METRICS
from recgym.benchmark.runner import bench
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

if __name__ == "__main__":
    result = bench(
        SUITE,
        Path(sys.argv[1]),
        jobs=1,
        on_event=lambda event, spec, path: print(event, path.name, flush=True),
    )
    sys.exit(130 if result.interrupted else bool(result.failed))
