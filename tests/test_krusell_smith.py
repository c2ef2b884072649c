"""Many households with risk of their own: the grids that judge them, the histogram, and the printed equations."""

import numpy as np
import pytest
import tensorflow as tf
from oracles.krusell_smith_grid import (
    follow,
    krusell_smith,
    stationary,
    wealth_grid,
    with_labour,
    with_unemployment,
)
from projects import typed
from small import ROOT, economy_of, file_of, rule_of, states_of, train

from deqn.equilibrium.implied import unaffordable
from deqn.project.errors import UserError
from deqn.tasks.build import build_problem

FOLDER = ROOT / "models/krusell_smith"
AIYAGARI, KRUSELL_SMITH = FOLDER / "aiyagari.yaml", FOLDER / "krusell_smith.yaml"
SMALL = ("parameters.nodes=20", "parameters.bins=60", "parameters.cells=5")
PERSISTENT = [[0.875, 0.125], [0.125, 0.875]]


def comparison():
    """The economy of den Haan, Judd and Juillard (2010), typed again."""
    stays = [[0.6, 0.25], [0.75, 1 / 3]]
    return with_unemployment(0.99, 1.0, 0.36, 0.025, [0.99, 1.01], PERSISTENT, 1 / 0.9, [0.1, 0.04], stays, 0.15)


def test_employment_moves_as_table_2_of_den_haan_judd_and_juillard_prints():
    printed = [
        [0.525, 0.35, 0.03125, 0.09375],
        [0.038889, 0.836111, 0.002083, 0.122917],
        [0.09375, 0.03125, 0.291667, 0.583333],
        [0.009115, 0.115885, 0.024306, 0.850694],
    ]
    economy = economy_of(KRUSELL_SMITH, *SMALL)
    chain = np.array(PERSISTENT)
    for types in (economy.types, comparison().types):
        joint = (chain[:, :, None, None] * types).transpose(0, 2, 1, 3).reshape(4, 4)
        np.testing.assert_allclose(joint, printed, atol=6e-7)


@pytest.mark.parametrize("file", [AIYAGARI, KRUSELL_SMITH])
def test_incomes_and_types_are_those_of_the_grid(file):
    economy = economy_of(file, *SMALL)
    known = comparison() if file == KRUSELL_SMITH else with_labour(0.96, 1.0, 0.36, 0.08, 7, 0.6, 0.2)
    np.testing.assert_allclose(economy.types, known.types, rtol=1e-12)
    np.testing.assert_allclose(economy.income, known.income, rtol=1e-12)
    np.testing.assert_allclose(economy.labour, known.labour, rtol=1e-12)


def test_households_pay_their_benefits_and_wages_are_what_firms_pay():
    economy = economy_of(KRUSELL_SMITH, *SMALL)
    u = np.array([0.1, 0.04])
    np.testing.assert_allclose(u * economy.income[:, 0] + (1 - u) * economy.income[:, 1], economy.labour, rtol=1e-12)


@pytest.mark.parametrize("file", [AIYAGARI, KRUSELL_SMITH])
def test_the_histogram_moves_as_a_lottery_by_hand(file):
    economy = economy_of(file, *SMALL)
    state, rule = states_of(economy, 6), rule_of(economy, heads=False, scale=0.5)
    policy, mass = rule(state), state.histogram.numpy()
    bins, nodes, S = economy.bins.wealth, economy.nodes.wealth, economy.outputs
    cash = economy.cash(state, economy.bins.tensor()).numpy()
    expected = np.zeros_like(mass)
    for b, j, s in np.ndindex(mass.shape):
        c = min(cash[b, j, s], np.interp(bins[j], nodes, policy.unconstrained.numpy()[b, :, s]))
        saved = cash[b, j, s] - c
        below = min(np.searchsorted(bins, saved, side="right") - 1, len(bins) - 2)
        above = min((saved - bins[below]) / (bins[below + 1] - bins[below]), 1)
        expected[b, below, s] += mass[b, j, s] * (1 - above)
        expected[b, below + 1, s] += mass[b, j, s] * above
    np.testing.assert_allclose(economy.moved(state, policy), expected, atol=1e-14)
    for z in range(economy.shocks.discrete):
        shock = np.full(6, z, np.int32)
        chance = economy.types[state.shock.numpy(), shock]
        ahead = economy.transition(state, policy, tf.constant(shock)).histogram.numpy()
        np.testing.assert_allclose(ahead, np.einsum("bjs,bst->bjt", expected, chance), atol=1e-14)
        np.testing.assert_allclose(ahead.sum(axis=(1, 2)), 1, rtol=1e-12)
    assert mass.shape[2] == S


def test_complementarity_holds_and_errors_are_those_of_the_printed_equations():
    economy, known = economy_of(KRUSELL_SMITH, *SMALL, "parameters.risk_aversion=2"), comparison()
    state, rule = states_of(economy, 5), rule_of(economy, heads=False, scale=0.5)
    policy, E = rule.completed(state)
    nodes = economy.nodes.wealth
    mass, z = state.histogram.numpy(), state.shock.numpy()
    c, saved, tried = (x.numpy() for x in (policy.consumption, policy.savings, policy.unconstrained))
    K = np.einsum("bjs,j->b", mass, economy.bins.wealth)
    R, w = known.prices(K, z)
    cash = R[:, None, None] * nodes[:, None] + w[:, None, None] * known.income[z][:, None]
    np.testing.assert_allclose(c + saved, cash, rtol=1e-12)
    np.testing.assert_array_equal(policy.multiplier.numpy() * saved, 0)
    assert 0.005 < (policy.multiplier.numpy() > 0).mean() < 0.5
    value = np.zeros_like(c)
    for ahead in range(2):
        following = economy.transition(state, policy, tf.fill([5], ahead))
        tried_then = rule(following).unconstrained.numpy()
        K_then = np.einsum("bjs,j->b", following.histogram.numpy(), economy.bins.wealth)
        R_then, w_then = known.prices(K_then, ahead)
        for b, i, s in np.ndindex(c.shape):
            for t in range(2):
                chance = PERSISTENT[z[b]][ahead] * known.types[z[b], ahead, s, t]
                afford = R_then[b] * saved[b, i, s] + w_then[b] * known.income[ahead, t]
                c_then = min(afford, np.interp(saved[b, i, s], nodes, tried_then[b, :, t]))
                value[b, i, s] += chance * R_then[b] * c_then**-2.0
    asked = (0.99 * value) ** -0.5
    np.testing.assert_allclose(economy.residuals(state, policy, E)["euler"], asked / tried - 1, rtol=1e-9, atol=1e-12)
    expected = np.minimum(asked / c - 1, saved / c)
    np.testing.assert_allclose(economy.errors(state, policy, E)["optimality"], expected, rtol=1e-9, atol=1e-12)


def test_between_nodes_rules_are_lines_and_the_last_line_goes_on_beyond_the_richest_node():
    nodes = economy_of(KRUSELL_SMITH, *SMALL).nodes
    wealth = np.array([0, 1e-9, 0.3, 30, 200, 260])
    below, share = (x.numpy() for x in nodes.lottery(tf.constant(wealth)))
    np.testing.assert_allclose(nodes.wealth[below] + share * np.diff(nodes.wealth)[below], wealth, rtol=1e-12)


def test_goods_that_are_made_are_consumed_or_saved():
    economy = economy_of(KRUSELL_SMITH, *SMALL)
    state, rule = states_of(economy, 8), rule_of(economy, heads=False)
    policy, E = rule.completed(state)
    defined = economy.definitions(state, policy, E)
    bins, mass = economy.bins.wealth, state.histogram.numpy()
    tried = policy.unconstrained.numpy()
    cash = economy.cash(state, economy.bins.tensor()).numpy()
    eaten = np.zeros(8)
    for b in range(8):
        for s in range(2):
            eaten[b] += mass[b, :, s] @ np.minimum(cash[b, :, s], np.interp(bins, economy.nodes.wealth, tried[b, :, s]))
    np.testing.assert_allclose(defined["C"], eaten, rtol=1e-6)  # a lognormal tail beyond the richest is cut


def test_the_average_error_is_that_of_households_that_save_between_the_nodes_weighted_by_what_they_consume():
    economy = economy_of(KRUSELL_SMITH, *SMALL)
    state, rule = states_of(economy, 5), rule_of(economy, heads=False, scale=0.5)
    policy, E = rule.completed(state)
    found = economy.residuals(state, policy, E)
    mass, bins, nodes = state.histogram.numpy(), economy.bins.wealth, economy.nodes.wealth
    consumed = np.where(policy.savings > 0, policy.consumption, 0)
    total, weighted = np.zeros(5), np.zeros(5)
    for b, j, s in np.ndindex(mass.shape):
        total[b] += mass[b, j, s] * np.interp(bins[j], nodes, consumed[b, :, s])
        product = consumed[b, :, s] * found["euler"].numpy()[b, :, s]
        weighted[b] += mass[b, j, s] * np.interp(bins[j], nodes, product)
    np.testing.assert_allclose(found["average"], weighted / total, rtol=1e-9)
    np.testing.assert_allclose(economy.errors(state, policy, E)["average"], weighted / total, rtol=1e-6)


def test_means_by_rank_of_wealth_add_up_and_are_those_of_households_in_order():
    economy = economy_of(KRUSELL_SMITH, *SMALL)
    state, rule = states_of(economy, 4), rule_of(economy, heads=False, scale=0.5)
    policy, E = rule.completed(state)
    defined = economy.definitions(state, policy, E)
    shares = [0.1, 0.4, 0.4, 0.09, 0.01]
    np.testing.assert_allclose(defined["mean_consumption"] @ np.array(shares)[:, None], defined["C"][:, None], 1e-6)
    wealth = np.repeat(np.tile(economy.bins.wealth[:, None], 2)[None], 4, axis=0)
    by_rank = economy.by_rank(state, tf.constant(wealth)).numpy()
    for b in range(4):  # a million households in order of wealth
        people = np.repeat(
            economy.bins.wealth, np.diff(np.round(1e6 * np.cumsum(mass_of(state, b))), prepend=0).astype(int)
        )
        groups = np.split(people, np.cumsum(np.multiply(shares[:-1], len(people))).round().astype(int))
        np.testing.assert_allclose(by_rank[b], [group.mean() for group in groups], rtol=1e-3)


def mass_of(state, number):
    """Households in each bin, [bins]."""
    return state.histogram.numpy()[number].sum(axis=1)


@pytest.mark.parametrize(("told", "inputs"), [("mean", 3), ("spread", 4), ("moments", 6), ("bins", 12)])
def test_a_file_chooses_what_the_network_sees_of_the_distribution(told, inputs):
    economy = economy_of(KRUSELL_SMITH, *SMALL, f"parameters.told={told}")
    state = states_of(economy, 7)
    seen = economy.features(state).numpy()
    assert seen.shape == (7, 20, inputs)
    np.testing.assert_array_equal(seen[:, 0, 2:], seen[:, -1, 2:])  # the same for rich and poor
    mass, wealth = state.histogram.numpy(), economy.bins.wealth
    if told == "mean":
        K = np.einsum("bjs,j->b", mass, wealth)
        np.testing.assert_allclose(np.exp(seen[:, 0, 2] / 10) * economy.typical, K, rtol=1e-10)
    if told == "spread":
        everyone = mass.sum(axis=2)
        np.testing.assert_allclose(np.exp(seen[:, 0, 2] / 10) * economy.typical, everyone @ wealth, rtol=1e-10)
        spread = np.sqrt(everyone @ wealth**2 - (everyone @ wealth) ** 2)
        np.testing.assert_allclose(seen[:, 0, 3] * economy.typical, spread, rtol=1e-8)
    if told == "moments":
        unemployed = mass[:, :, 0] / mass[:, :, 0].sum(axis=1, keepdims=True)
        mean = unemployed @ wealth
        np.testing.assert_allclose(np.exp(seen[:, 0, 2] / 10) * economy.typical, mean, rtol=1e-10)
        spread = np.sqrt(unemployed @ wealth**2 - mean**2)
        np.testing.assert_allclose(seen[:, 0, 4] * economy.typical, spread, rtol=1e-8)
    if told == "bins":
        np.testing.assert_allclose(seen[:, 0, 2:7].sum(axis=1), mass[:, :, 0].sum(axis=1), rtol=1e-12)


def test_learned_moments_are_sums_over_cells_of_a_network_of_wealth_and_type():
    settings = ["parameters.told=bins", "network.kind=network.GeneralisedMoments", "network.hidden=[6]"]
    problem = build_problem(file_of(KRUSELL_SMITH, *SMALL, *settings, "precision=float64"))
    network, sample = problem.network.one, np.random.default_rng(0).uniform(size=(9, 12))
    first, last = network.layers_moments
    moments = np.zeros((9, 2))
    for s, cell in np.ndindex(2, 5):
        point = np.array([-1 + cell / 2, s == 0, s == 1])  # the place of a cell from -1 to 1, and its type
        basis = np.tanh(point @ first.kernel.numpy() + first.bias.numpy()) @ last.kernel.numpy() + last.bias.numpy()
        share = sample[:, 2 + 5 * s + cell] - network.mean.numpy()[5 * s + cell]
        moments += share[:, None] * basis / network.scale.numpy()
    expected = network.rule(np.column_stack([sample[:, :2], moments]))
    np.testing.assert_allclose(network(sample), expected, rtol=1e-9, atol=1e-12)


def test_cells_that_were_empty_at_first_are_not_blown_up_once_households_enter_them():
    network = build_problem(file_of(KRUSELL_SMITH, *SMALL, "parameters.told=bins", "precision=float64")).network.one
    sample = np.random.default_rng(0).uniform(size=(200, 12))
    sample[:, 2:] *= 0.1
    sample[:, 7] = 1e-9 * sample[:, 7]
    network.adapt(sample)
    entered = sample[:1].copy()
    entered[0, 7] = 0.1
    assert np.abs(network.standardize(entered)).max() < 3
    told = network.standardize(sample).numpy()[:, 2:]
    np.testing.assert_allclose(told.var(axis=0).sum(), 1, rtol=1e-6)  # together they vary as one input does


def test_rates_of_unemployment_that_the_employed_cannot_bring_about_are_refused_in_one_line():
    with pytest.raises(UserError, match="which the employed who lose work can't bring about") as told:
        economy_of(KRUSELL_SMITH, "parameters.unemployment=[0.1, 0.001]")
    assert "\n" not in str(told.value)


def test_an_economy_that_says_so_is_not_compiled_by_xla():
    assert build_problem(file_of(AIYAGARI, *SMALL)).compiler == "graph"


def test_implied_errors_that_would_take_hours_are_left_out_with_the_reason():
    assert "would ask the network 14,745,600 times" in unaffordable(economy_of(KRUSELL_SMITH, "parameters.bins=60"))
    assert unaffordable(economy_of(KRUSELL_SMITH, *SMALL)) == ""


@pytest.mark.slow
def test_the_command_writes_errors_and_path_of_an_economy_without_implied_errors(tmp_path):
    settings = ["parameters.bins=60", "phases.0.updates=20", "evaluation.periods=60", "evaluation.burn_in=10"]
    errors, path, run = train(tmp_path, "krusell_smith/krusell_smith", *settings, command=typed)
    assert errors.loc["optimality", "n"] == 50 * 120 * 2
    assert not (run / "implied.csv").exists()
    K = np.einsum("tjs,j->t", path["m"], wealth_grid(60, 200.0, 1.5))
    np.testing.assert_allclose(path["K"], K, rtol=1e-10)


# --- the grids -----------------------------------------------------------------------------------------------------


def test_the_stationary_grid_clears_the_market_and_its_histogram_rests():
    known = stationary(with_labour(0.96, 1.0, 0.36, 0.08, 3, 0.6, 0.2), nodes=400, bins=400, richest=60.0)
    held = (known.histogram @ known.bins).sum()
    assert held == pytest.approx(known.capital, rel=1e-6)
    R, _ = known.economy.prices(held, 0)
    assert pytest.approx(known.gross_return, abs=1e-7) == R
    # The Euler equation between the grid's points, where the limit does not bind.
    wealth = np.random.default_rng(0).uniform(0, 30, 500)
    c = known.consumption(wealth)
    cash = known.gross_return * wealth + known.wage * known.economy.income[0][:, None]
    for s in range(3):
        saved = cash[s] - c[s]
        ahead = known.economy.types[0, 0, s] @ known.consumption(saved) ** -1.0
        free = saved > 1e-9
        np.testing.assert_allclose(c[s][free], 1 / (0.96 * known.gross_return * ahead[free]), rtol=2e-4)
    types = known.economy.types[0, 0]
    np.testing.assert_allclose(known.histogram.sum(axis=1) @ types, known.histogram.sum(axis=1), rtol=1e-9)


@pytest.mark.slow
def test_the_law_of_motion_is_that_of_maliar_maliar_and_valli():
    """Their ln K' = .123815 + .965565 ln K in recessions, .137800 + .963238 ln K in booms (JEDC 34, 2010)."""
    uniform, shocks = np.random.default_rng(0).uniform(size=3000), np.zeros(3000, int)
    for t in range(1, 3000):
        shocks[t] = shocks[t - 1] if uniform[t] < 0.875 else 1 - shocks[t - 1]
    wealth = wealth_grid(500, 200.0, 1.5)
    mass = np.exp(-0.5 * ((wealth - 39.0) / 15) ** 2) * np.gradient(wealth)
    start = np.array([[0.1], [0.9]]) * mass / mass.sum()
    solution = krusell_smith(comparison(), start, shocks, nodes=200, capitals=np.linspace(33, 46, 14), bins=500,
                             tolerance=1e-5)  # fmt: skip
    published = np.array([[0.123815, 0.965565], [0.137800, 0.963238]])
    for K in (37.0, 39.0, 41.0):
        here, there = (law[:, 0] + law[:, 1] * np.log(K) for law in (solution.law, published))
        np.testing.assert_allclose(here, there, atol=2e-4)
    assert (solution.r2 > 0.99999).all()
    capital, _ = follow(solution, start, shocks, 500)
    assert 35 < capital[500:].min() < capital[500:].max() < 44
