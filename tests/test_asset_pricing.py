"""The trees of models/asset_pricing as shipped, against a closed form and Chebyshev collocation."""

import numpy as np
import pytest
from oracles import lucas_tree
from projects import deqn, make_project

from deqn.project.project import Project
from deqn.tasks.solution import load


@pytest.fixture
def solved(tmp_path):
    """Trains a file as shipped; its path, and the same economy by collocation."""
    make_project(tmp_path, "asset_pricing")

    def of(stem):
        done = deqn(tmp_path, "train", f"models/asset_pricing/{stem}.yaml", "--run", "one")
        assert done.returncode == 0, done.stderr
        solution = load(Project(tmp_path).run(f"{stem}/one").path, trust=True)
        p = solution.economy.p
        tree = lucas_tree.Tree(
            p.discount_factor, p.risk_aversion, p.substitution, p.mean_growth, p.growth_sd, p.persistence,
            p.relative_sd, p.correlation,
        )  # fmt: skip
        return solution.simulate(10_000, seed=3, burn_in=1000), tree

    return of


@pytest.mark.slow
def test_where_growth_is_independent_the_price_is_the_closed_form(solved):
    r"""With utility of risk aversion 2, p = beta E[ g'^(1-gamma) ] (1 + p)."""
    path, tree = solved("lucas_iid")
    paid = tree.beta * np.exp((1 - tree.gamma) * tree.mu + ((1 - tree.gamma) * tree.sigma) ** 2 / 2)
    assert np.abs(path["p"] / (paid / (1 - paid)) - 1).max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "largest"), [("lucas_annual", 1e-4), pytest.param("lucas_monthly", 5e-4, marks=pytest.mark.long)]
)
def test_value_and_price_are_those_of_collocation(solved, stem, largest):
    path, tree = solved(stem)
    right = lucas_tree.solve(tree)
    for letter, wanted in (("v", right.value), ("p", right.price)):
        error = np.abs(path[letter] / wanted(path["x"]) - 1)
        assert np.percentile(error, 99.9) < largest, letter
