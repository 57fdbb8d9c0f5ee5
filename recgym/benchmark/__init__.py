"""The benchmark: suites (data), runner (one CSV per run), scoring, report.

Import from the modules: ``recgym.benchmark.bench.bench``, ``recgym.benchmark.report.report``.
"""
