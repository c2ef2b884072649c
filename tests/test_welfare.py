"""`deqn welfare` with continuous shocks: Brock and Mirman's economy with log-normal productivity, known exactly."""

import math

import numpy as np
import pandas as pd
import pytest
from projects import make_project, typed

from deqn.tasks import welfare

ALPHA, BETA = 0.3, 0.9


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Runs of one update: where depreciation is full and utility a logarithm, networks of zeros are the solution."""
    folder = make_project(tmp_path_factory.mktemp("welfare"), "growth")
    changes = {"before": [], "capital": ["capital_share=0.36"], "risk": ["innovation_sd=0.1"]}
    for name, changed in changes.items():
        given = [f"capital_share={ALPHA}", f"discount_factor={BETA}", "depreciation=1", "risk_aversion=1",
                 "innovation_sd=0.05", "persistence=0.8", *changed]  # fmt: skip
        settings = [*(f"parameters.{each}" for each in given), "phases.0.updates=1", "phases.0.optimizer.final=1e-12",
                    "phases.0.optimizer.learning_rate=1e-12", "evaluation.periods=40",
                    "evaluation.burn_in=20"]  # fmt: skip
        words = [word for each in settings for word in ("--set", each)]
        done = typed(folder, "train", "models/growth/growth_ar1.yaml", "--run", name, *words)
        assert done.returncode == 0, done.stderr
    return folder


def gain(project, after, *words):
    done = typed(project, "welfare", "growth_ar1/before", f"growth_ar1/{after}", "--out", after, *words)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(project / after / "welfare.csv").iloc[0]


def value_of_capital(alpha, log_k):
    """V(k, z) less what depends on z alone, where c = (1 - alpha beta) z k^alpha: A + alpha/(1 - alpha beta) ln k."""
    slope = alpha / (1 - alpha * BETA)
    return (math.log(1 - alpha * BETA) + BETA * slope * math.log(alpha * BETA)) / (1 - BETA) + slope * log_k


@pytest.mark.slow
def test_a_larger_share_of_capital_is_worth_what_the_value_functions_say(project):
    log_k = math.log(ALPHA * BETA) / (1 - ALPHA)  # mean of the ergodic distribution; that of ln z is zero
    change = value_of_capital(0.36, log_k) - value_of_capital(ALPHA, log_k)
    found = gain(project, "capital")
    known = 100 * math.expm1((1 - BETA) * change)
    assert abs(found["gain %"] - known) < 4 * found["standard error"] + 1e-3 * abs(known)
    assert found["standard error"] < 0.05 < abs(known)


@pytest.mark.slow
def test_larger_innovations_of_log_productivity_are_worth_nothing_to_log_utility(project):
    # ln c is linear in the innovations, whose mean is zero: in levels more risk has a mean of its own.
    found = gain(project, "risk")
    assert abs(found["gain %"]) < 4 * found["standard error"] < 1


@pytest.mark.slow
def test_the_same_innovations_come_to_both_economies(project):
    import deqn

    runs = [deqn.load(project / f"runs/growth_ar1/{name}", trust=True) for name in ("before", "risk")]
    log_z = []
    for path in welfare.both_ways(*runs, welfare.Tastes(BETA, 1.0), 20, 1):
        log_y, log_k = (np.log(path.series[letter]) for letter in ("Y", "K"))
        log_z.append(log_y - ALPHA * log_k)
    e, e_of_risk = (z[:, 1:] - 0.8 * z[:, :-1] for z in log_z)
    np.testing.assert_allclose(e_of_risk, 2 * e, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("given", "message"), [("1,2", "got (1.0, 2.0), that of"), ("x", "expected a number from 0")])
def test_a_wrong_risk_aversion_is_refused_in_one_line(project, given, message):
    done = typed(project, "welfare", "growth_ar1/before", "growth_ar1/risk", "--risk-aversion", given)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and message in done.stderr


def test_each_country_has_a_risk_aversion_of_its_own():
    # Each loses all risk of exp(sd e - sd^2/2): 1 + g = exp(gamma sd^2 / 2), Lucas (1987).
    sd, tastes = 0.2, welfare.Tastes(0.9, (4.0, 1.0))
    risky = np.exp(sd * np.random.default_rng(0).standard_normal((4_000, 200, 2)) - sd**2 / 2)
    rows = welfare.gains_for_ever({"country": [1, 2]}, tastes, *(welfare.Paths(c, {}) for c in (risky, risky * 0 + 1)))
    for row, gamma in zip(rows, tastes.risk_aversion, strict=True):
        assert abs(row["gain %"] - 100 * math.expm1(gamma * sd**2 / 2)) < 4 * row["standard error"] < 0.6
