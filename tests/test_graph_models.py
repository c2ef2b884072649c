"""Problems on graphs: what is known of made data, measures against scikit-learn, mistakes in files, and gates."""

import itertools

import numpy as np
import pandas as pd
import pytest
from problems import module, problem_of, tables_of
from scipy import stats
from sklearn.metrics import mean_poisson_deviance

from deqn.graph import graphs
from deqn.project.errors import UserError

SPILLOVERS = ("filter", "context", "diffusion", "switching", "banks")


@pytest.mark.parametrize(("file", "variance"), zip(SPILLOVERS, (1, 0.436**2, 0.5, 0.25, 1), strict=True))
def test_who_knows_the_law_of_a_made_panel_is_off_by_its_shocks_alone(file, variance):
    problem, _ = problem_of(f"spillovers/{file}", "parameters.tests=2000")
    part = problem.parts[2]
    error = problem.panel.known["known law"][-len(part.y) :] - part.y
    assert (error**2).mean() == pytest.approx(variance, rel=0.03)
    assert abs((error[1:] * error[:-1]).mean()) < 0.03 * variance  # what is left can't be foreseen


def test_what_a_nodes_own_rows_tell_is_the_mean_over_all_paths_of_the_regime():
    rng = np.random.default_rng(0)
    x, context = rng.normal(size=(10, 1)), rng.normal(size=(10, 1))
    total = mean = 0.0
    for path in itertools.product([0, 1], repeat=5):  # of rows 5 to 9; nothing is told before row 6
        chance = 0.5 * np.prod([0.95 if a == b else 0.05 for a, b in itertools.pairwise(path)])
        for t, s in zip((6, 7, 8), path[1:4], strict=True):
            chance *= stats.norm.pdf(x[t, 0], 0.9 * x[t - (6 if s else 1), 0], 0.436)
            chance *= stats.norm.pdf(context[t, 0], 2 * s - 1, 1.5)
        total, mean = total + chance, mean + chance * 0.9 * x[9 - (6 if path[4] else 1), 0]
    assert module("spillovers", "exact").of_own_rows(x, context)[9, 0] == pytest.approx(mean / total)


def test_the_kalman_filter_is_the_conditional_mean_and_without_hours_so_is_the_best_linear_forecast():
    exact, rng = module("spillovers", "exact"), np.random.default_rng(0)
    spread = rng.uniform(0, 0.4, size=(3, 2, 2))
    steps = [np.block([[each, each], [np.zeros((2, 2)), 0.8 * np.eye(2)]]) for each in spread]
    rows = np.zeros((4, 4, 5, 4))  # of z_t, from the noise of row s, of which the first is before row 0
    for t, s in itertools.product(range(4), range(5)):
        if s <= t + 1:
            rows[t, :, s] = np.linalg.multi_dot([np.eye(4), *(steps[k % 3] for k in range(t, s - 1, -1)), np.eye(4)])
    sees = 0.5 * (rows[:, :2] + rows[:, 2:]).reshape(8, -1)
    covariance, x = sees @ sees.T, rng.normal(size=(4, 2))
    wanted = covariance[6:, :6] @ np.linalg.solve(covariance[:6, :6], x[:3].ravel())
    np.testing.assert_allclose(exact.kalman(x, spread, 0.8)[3], wanted)
    long = rng.normal(size=(60, 2))
    filtered = exact.kalman(long, spread[:1], 0.8)[40:]
    np.testing.assert_allclose(exact.without_hour(long, spread[:1], 0.8, 30)[40:], filtered, atol=1e-3)


def test_a_window_ends_so_many_rows_before_the_row_that_is_forecast():
    problem, _ = problem_of("spillovers/context", "parameters.rows=60", "parameters.horizon=3", "parameters.tests=50")
    values, part = problem.panel.values, problem.parts[2]
    begin = len(values) - len(part.y)
    np.testing.assert_array_equal(part.x[4], values[begin + 4 - 3 - 5 : begin + 4 - 2])
    np.testing.assert_array_equal(part.y[4], values[begin + 4, :, 0])


def test_responses_of_an_importance_of_edges_are_powers_of_its_matrix():
    problem, _ = problem_of("spillovers/banks", "parameters.rows=60", "parameters.tests=50", "parameters.nodes=8")
    layer = problem.network.lags[0]
    layer.raw.assign(np.random.default_rng(0).normal(size=layer.raw.shape) * 0.1)
    layer.own.kernel.assign([[0.5]])
    matrix = 0.5 * np.eye(8) + problem.network.importance().numpy()
    found = problem._responses(lambda x: problem.network(x, np.zeros(x.shape[:2], np.int32)).numpy())
    wanted = np.stack([np.linalg.matrix_power(matrix, k).T for k in range(1, 13)], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


PANEL = "date,a,b,c\n" + "".join(f"{1990 + t},{t % 3},{t % 5},{t % 7}\n" for t in range(60))


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ("from,to,weight\na,d,1\n", r"line 2: no node 'd'"),
        ("from,to,weight\na,b,-1\n", r"weight -1.0: expected two nodes and a weight above zero"),
        ("from,to\na,b\n", r"no column 'weight'"),
        (None, r"parameters\.edges: got none, expected a CSV"),
    ],
)
def test_a_mistake_in_a_file_of_edges_is_told(edges, words, tmp_path):
    (tmp_path / "panel.csv").write_text(PANEL)
    settings = [f"parameters.file={tmp_path / 'panel.csv'}"]
    if edges is not None:
        (tmp_path / "edges.csv").write_text(edges)
        settings.append(f"parameters.edges={tmp_path / 'edges.csv'}")
    with pytest.raises(UserError, match=words):
        problem_of("spillovers/banks", *settings)


@pytest.mark.parametrize("file", SPILLOVERS)
def test_every_network_on_panels_reads_a_file_of_ones_own(file, tmp_path):
    (tmp_path / "panel.csv").write_text(PANEL)
    (tmp_path / "edges.csv").write_text("from,to,weight\na,b,1\nb,c,2\n")
    settings = [f"parameters.file={tmp_path / 'panel.csv'}", f"parameters.edges={tmp_path / 'edges.csv'}"]
    problem, _ = problem_of(f"spillovers/{file}", *settings)
    assert problem.forecast(problem.parts[2]).shape == (12, 3)
    assert "known law" not in {row["forecast"] for row in problem.results().tables["forecasts"]}


def test_the_likelihood_ratio_of_graphs_counts_every_pair_once():
    problem, _ = problem_of(
        "coupling/moving", "parameters.panels=10", "parameters.validation=10", "parameters.tests=10"
    )
    drawn, _ = problem.parts[2]
    upper = np.triu_indices(40, 1)
    logs = [stats.bernoulli.logpmf(drawn[:, :, *upper], law[:, *upper]).sum(axis=(1, 2)) for law in problem.law]
    found = module("coupling", "regions")._ratio(drawn, problem.law)
    np.testing.assert_allclose(found, logs[1] - logs[0], rtol=1e-6)
    np.testing.assert_allclose(problem.law[0].mean(axis=0), problem.law[1].mean(axis=0))  # the order alone tells


def test_measures_of_flows_are_those_of_their_definitions():
    flows = module("flows", "problem")
    rng = np.random.default_rng(0)
    rates, counts = rng.uniform(0.1, 2, size=(5, 4, 4)), rng.poisson(1.0, size=(5, 4, 4))
    found = flows.measures(rates, counts)
    assert found["deviance"] == pytest.approx(mean_poisson_deviance(counts.ravel(), rates.ravel()))
    assert flows.measures(counts, counts)["cpc"] == 1 and flows.measures(counts, counts)["wmape"] == 0
    assert flows.measures(np.where(counts > 0, 0.0, 1.0), counts)["cpc"] == 0


def test_made_flows_are_mostly_zero_and_their_coarsening_loses_no_trip():
    problem, _ = problem_of(
        "flows/flows", "parameters.days=2", "parameters.test_days=1", "parameters.validation_days=1"
    )
    counts = problem.flows.counts
    assert (counts == 0).mean() > 0.9
    for rates in problem.flows.rates.values():
        assert counts[1:].sum() == pytest.approx(rates[1:].sum(), rel=0.03)
    np.testing.assert_allclose(problem.network.coarsened(counts).sum(axis=(1, 2)), counts.sum(axis=(1, 2)))
    first = counts[:, [0, 1, 10, 11]][:, :, [0, 1, 10, 11]].sum(axis=(1, 2))  # two by two cells are a region
    np.testing.assert_allclose(problem.network.coarsened(counts)[:, 0, 0], first)


def test_a_cell_outside_the_square_is_named(tmp_path):
    (tmp_path / "trips.csv").write_text("time,from,to,count\n0,1,2,3\n1,5,100,1\n")
    with pytest.raises(UserError, match="line 3: to is 100, expected an integer from 0 to 99, a cell of 10 x 10"):
        problem_of("flows/flows", f"parameters.file={tmp_path / 'trips.csv'}")


def panels_of(folder, rows=30, panels=24):
    """A file of panels of five regions in two classes, its edges and its atlas; returns panels and settings."""
    x = np.random.default_rng(0).normal(size=(panels, rows, 5)) + 3.0
    x[::2, :, 1] = x[::2, :, 0]
    names = list("abcde")
    frame = pd.DataFrame(x.reshape(-1, 5), columns=names)
    frame.insert(0, "class", np.repeat(np.array(["war", "peace"])[np.arange(panels) % 2], rows))
    frame.insert(0, "panel", np.repeat([f"p{k}" for k in range(panels)], rows))
    frame.to_csv(folder / "panels.csv", index=False)
    (folder / "edges.csv").write_text("from,to,weight\na,b,1\nc,d,2\n")
    (folder / "atlas.csv").write_text("region,part\na,x\nb,x\nc,y\nd,y\ne,y\n")
    counts = ["parameters.validation=10", "parameters.tests=10", f"parameters.file={folder / 'panels.csv'}"]
    return x, counts


def test_panels_of_a_file_keep_their_classes_and_the_files_edges(tmp_path):
    x, settings = panels_of(tmp_path, panels=40)
    settings.append(f"parameters.edges_file={tmp_path / 'edges.csv'}")
    problem, _ = problem_of("coupling/coupling", *settings)
    assert problem.a[0, 1] == problem.a[1, 0] == 1 and problem.a[2, 3] == 2 and problem.a.sum() == 6
    found, label = (np.concatenate([part[number] for part in problem.parts]) for number in (0, 1))
    assert [len(part[1]) for part in problem.parts] == [20, 10, 10]
    np.testing.assert_array_equal(
        np.isclose(found[..., 0] * x[..., 0].std(), found[..., 1] * x[..., 1].std(), atol=0.3).all(axis=1), label == 1
    )
    tables = problem.results().tables
    assert set(tables["edges"][0]) == {"from", "to", "importance"} and tables["edges"][0]["from"] in "ac"


@pytest.mark.parametrize(("network", "windows"), [("pooled", 1), ("dynamic", 3)])
def test_graphs_of_a_file_are_its_correlations_in_each_window(network, windows, tmp_path):
    x, settings = panels_of(tmp_path)
    more = [f"parameters.atlas={tmp_path / 'atlas.csv'}", "parameters.windows=3", "parameters.keep=2"]
    problem, _ = problem_of("coupling/regions", *settings, *more, f"parameters.network={network}")
    wanted = [
        [(np.abs(np.corrcoef(cut.T)) > 0.3) & ~np.eye(5, dtype=bool) for cut in np.split(panel, windows)] for panel in x
    ]
    found = np.concatenate([part[0] for part in problem.parts])
    assert sorted(map(np.ndarray.tobytes, found)) == sorted(each.tobytes() for each in np.array(wanted, np.float32))
    if network == "pooled":
        np.testing.assert_allclose(problem.network.parts, [[0.5, 0], [0.5, 0], *[[0, 1 / 3]] * 3])
        assert {row["region"] for row in problem.results().tables["regions"]} == set("abcde")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"panel": "p1"}, "panel 'p0' has another number of rows"),
        ({"class": "truce"}, "panel 'p0' has more than one class"),
    ],
)
def test_a_mistake_in_a_file_of_panels_is_told(changes, words, tmp_path):
    _, settings = panels_of(tmp_path)
    frame = pd.read_csv(tmp_path / "panels.csv")
    for name, value in changes.items():
        frame.loc[0, name] = value
    frame.to_csv(tmp_path / "panels.csv", index=False)
    with pytest.raises(UserError, match=words):
        problem_of("coupling/coupling", *settings, f"parameters.edges_file={tmp_path / 'edges.csv'}")


def test_demand_and_supply_of_a_file_stand_at_their_hour_and_region_and_a_gap_is_told(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(t, region, *rng.normal(size=3)) for t in range(300) for region in ("north", "south")]
    frame = pd.DataFrame(rows, columns=["time", "region", "demand", "supply", "rain"])
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "trips.csv", index=False)
    settings = [f"parameters.file={tmp_path / 'trips.csv'}", "parameters.known=[rain]", "parameters.tests=100"]
    problem, _ = problem_of("demand_supply/demand_supply", *settings, "parameters.validation=50")
    past, ahead, truth = problem.of["supply"]
    mean, sd = problem.scale["supply"]
    south = frame[frame["region"] == "south"]
    np.testing.assert_allclose(truth[:, 1] * sd + mean, south["supply"])
    np.testing.assert_array_equal(past[:, :, 1], ahead[:, :, 3])  # demand, by now and known ahead
    assert np.corrcoef(ahead[:, 1, 0], south["rain"])[0, 1] == pytest.approx(1)
    frame.drop(index=7).to_csv(tmp_path / "trips.csv", index=False)
    with pytest.raises(UserError, match="expected each region once at each time"):
        problem_of("demand_supply/demand_supply", *settings)


def test_supply_alone_is_not_told_demand_and_supply_is():
    problem, _ = problem_of("demand_supply/demand_supply", "parameters.rows=100", "parameters.features=0")
    x = problem.of["demand"][2]
    for name, told in (("supply", True), ("supply_alone", False)):
        inputs = np.concatenate([part.reshape(len(x), -1) for part in problem.of[name][:2]], axis=1)
        correlation = np.corrcoef(inputs.T, x[:, 0])[-1, :-1]
        assert (np.abs(correlation).max() > 0.999) == told


def test_the_levels_of_files_come_back_where_they_change_rarely(tmp_path):
    table = module("activation", "table")
    made = module("activation", "made").make(np.random.default_rng(0))
    names = [f"r{k}" for k in range(36)]
    frame = pd.DataFrame(made.observed, columns=names)
    frame.insert(0, "week", [f"w{t}" for t in range(len(frame))])
    frame.to_csv(tmp_path / "panel.csv", index=False)
    pairs = np.argwhere(np.triu(made.a))
    pd.DataFrame([(names[i], names[j]) for i, j in pairs], columns=["from", "to"]).to_csv(
        tmp_path / "e.csv", index=False
    )
    found = table.of_files(
        str(tmp_path / "panel.csv"), str(tmp_path / "e.csv"), ",".join(map(str, made.response)), table.TIME, table.SPACE
    )
    assert found["week"].tolist() == frame["week"].tolist()
    assert table.correlation(found[names].to_numpy(), made.activity) > 0.9
    assert table.noise_of(made.observed) == pytest.approx(made.noise, rel=0.1)


def test_edges_that_carry_are_among_the_known_ones():
    problem, _ = problem_of("spillovers/banks")
    assert (problem.panel.graphs[0][problem.panel.carries] == 1).all()
    assert not np.diag(problem.panel.graphs[0]).any()
    reached = graphs.diffusion(problem.panel.graphs[0]).sum(axis=1)
    np.testing.assert_allclose(reached[problem.panel.graphs[0].any(axis=1)], 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_total_activation_finds_the_levels_and_more_with_neighbours(seed):
    row = module("activation", "table").table([seed]).iloc[0]
    assert row["level in time"] >= 0.85 and row["and alike in space"] >= 0.9
    assert row["Wiener filter"] < min(row["level in time"], row["and alike in space"])


def mse(file, seed, *more):
    rows = tables_of(f"spillovers/{file}", f"seed={seed}", *more)["forecasts"].set_index("forecast")["mse"]
    return rows["network"], rows


SEEDS = [pytest.param(0, marks=pytest.mark.slow), *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_filter_on_the_right_graph_is_as_good_as_the_law_and_better_than_a_penalised_var(seed):
    error, rows = mse("filter", seed)
    assert error <= 1.02 and error < rows["ridge VAR"]


@pytest.mark.parametrize("seed", SEEDS)
def test_exposures_that_carry_losses_are_found_and_responses_are_better_than_a_vars(seed):
    edges = tables_of("spillovers/banks", f"seed={seed}")["edges"].set_index("network")
    assert edges["auc"]["network"] >= 0.95
    assert edges["error of responses"]["network"] < 0.6 * edges["error of responses"]["VAR"]


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("file", "most", "without", "least", "bound"),
    [
        ("context", 0.25, "parameters.gate=none", 0.26, "law, own rows"),
        ("diffusion", 0.61, "parameters.gated=false", 0.61, "law, no hour, linear"),
    ],
)
def test_with_a_gate_a_forecast_is_better_than_any_that_is_not_told_what_the_gate_is(
    file, most, without, least, bound, seed
):
    error, rows = mse(file, seed)
    assert error <= min(most, rows[bound])
    assert mse(file, seed, without)[0] > max(least, rows[bound])


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_edges_by_day_and_by_night_are_told_apart(seed):
    assert tables_of("spillovers/switching", f"seed={seed}")["edges"]["auc"][0] >= 0.9


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_of_panels_and_the_edges_that_tell_are_found(seed):
    tables = tables_of("coupling/coupling", f"seed={seed}")
    accuracy = tables["accuracy"].set_index("who")["accuracy"]
    assert accuracy["ST-GCN, votes"] >= accuracy["likelihood ratio"] - 0.03
    assert tables["edges"]["differs"][:12].sum() == 6


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pooling_keeps_the_regions_that_tell_and_a_recurrent_network_the_order_of_graphs(seed):
    tables = tables_of("coupling/regions", f"seed={seed}")
    assert tables["accuracy"]["accuracy"][0] >= 0.9
    assert tables["regions"]["differs"][:10].sum() == 6
    assert tables_of("coupling/moving", f"seed={seed}")["accuracy"]["accuracy"][0] >= 0.9


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rates_of_flows_are_halfway_from_the_average_by_hour_to_the_known_ones(seed):
    wmape, rmse, cpc = tables_of("flows/flows", f"seed={seed}")["way"]["share"]
    assert min(rmse, cpc) >= 0.5 and wmape >= 0.3


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_risk_of_supply_is_smaller_where_demand_is_known(seed):
    risk = tables_of("demand_supply/demand_supply", f"seed={seed}")["risk"].set_index("forecast")["risk 50%"]
    assert risk["supply"] <= 0.8 * risk["supply alone"]
