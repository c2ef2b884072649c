"""On a machine set up for them all tests must run: where CI is set, a skipped test counts as failed."""

import os

import pytest

# Tests that run commands in this process read stderr: TensorFlow's own log, read once at its import, stays out of it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return _no_skips(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return _no_skips(report)


def _no_skips(report):
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where every test has to run: {report.longrepr}"
    return report
