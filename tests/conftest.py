"""On a machine set up for them all tests must run: where CI is set, a skipped test counts as failed."""

import os
import tempfile

import pytest

# Tests that run commands in this process read stderr: TensorFlow's own log, read once at its import, stays out of it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_configure(config):
    """The processes of a test run share one folder, for what takes long to make."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory()
        os.environ["DEQN_TESTS_SHARED"] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.fixture(scope="session")
def solution():
    """Of the run that `trained_project` has."""
    from small import trained_project

    import deqn

    return deqn.load(trained_project() / "runs/tiny/one", trust=True)


@pytest.fixture(scope="session")
def arrays():
    """That run's simulation.npz."""
    import numpy as np
    from small import trained_project

    with np.load(trained_project() / "runs/tiny/one/simulation.npz") as file:
        return dict(file)


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
