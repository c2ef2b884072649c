"""Algorithm 1 of Azinovic, Gaegauf & Scheidegger (2019): its inputs, loss and sampling, computed a second time."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from projects import ROOT, make_project, typed
from small import CHAIN, economy_of, file_of

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.report import tables
from deqn.tasks.build import build_problem

FILE = ROOT / "models/olg/paper60.yaml"
EPS = 1e-5  # the paper's floor; its penalties divide by it before they square
TFP, DEPRECIATION = [0.85, 1.15, 0.85, 1.15], [0.5, 0.5, 0.9, 0.9]
LABOUR = [
    *[0.6 + 0.04 * year for year in range(20)],  # ages 21 to 40
    *[1.4] * 21,  # 41 to 61
    *[1.4 - 0.07 * year for year in range(1, 10)],  # 62 to 70
    *[0.7] * 10,  # 71 to 80
]


def problem(*overrides):
    return build_problem(file_of(FILE, "network.hidden=[16,16]", *overrides))


def prices(capital, z, limit_on_K=EPS):
    """r and w of one state, with the paper's letters."""
    K, L = max(sum(capital), limit_on_K), sum(LABOUR)
    r = 0.3 * TFP[z] * K**-0.7 * L**0.7 + 1 - DEPRECIATION[z]
    return r, 0.7 * TFP[z] * K**0.3 * L**-0.3


def inputs(capital, z):
    """The 312 inputs of one state, one by one."""
    K, L = max(sum(capital), EPS), sum(LABOUR)
    r, w = prices(capital, z)
    x = [z, TFP[z], DEPRECIATION[z], K, L, r, w, TFP[z] * K**0.3 * L**0.7]
    x += list(capital)
    x += [r * k for k in capital]
    x += LABOUR
    x += [w * l for l in LABOUR]
    x += [r * k + w * l for k, l in zip(capital, LABOUR, strict=True)]
    return [*x, *CHAIN[z]]


def random_states(count, seed=0):
    generator = np.random.default_rng(seed)
    capital = generator.uniform(0.0, 1.6, (count, 60))
    capital[:, 0] = 0.0
    return capital, generator.integers(0, 4, count)


def tensors(economy, capital, shock):
    return economy.State(tf.constant(capital, economy.dtype), tf.constant(shock, tf.int32))


def network_in_numpy(weights, x):
    """relu layers on (standardised) inputs, then 59 savings and 59 multipliers by softplus: rows of 118."""
    mean, scale, *layers = weights
    x = (x - mean) / scale
    for kernel, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    return np.logaddexp(0, x @ layers[-2] + layers[-1])


def decision(weights, capital, z, limit):
    """Savings, multipliers and consumption before the floor at one state."""
    output = network_in_numpy(weights, np.array(inputs(capital, z)))
    a, lam = limit + output[:59], output[59:]
    r, w = prices(capital, z)
    return a, lam, r * capital + w * np.array(LABOUR) - np.append(a, 0)


def loss_in_numpy(weights, capital, shock, limit):
    """The four terms of equation 38 with the penalties of B.2, state by state; and how often each floor was active."""
    terms, poor, no_capital = np.zeros(4), 0, 0
    for k, z in zip(capital, shock, strict=True):
        a, lam, c_0 = decision(weights, k, z, limit)
        c = np.maximum(c_0, EPS)
        following = np.append(0, a)
        value = np.zeros(59)
        for z_next in range(4):
            c_next = np.maximum(decision(weights, following, z_next, limit)[2], EPS)
            value += 0.95 * CHAIN[z, z_next] * prices(following, z_next)[0] * c_next[1:] ** -2.0
        e = (value + lam) ** -0.5 / c[:-1] - 1
        terms += np.mean(e**2), np.mean((lam * (a - limit)) ** 2), np.mean((np.maximum(-c_0, 0) / EPS) ** 2), 0
        terms[3] += (max(-a.sum(), 0) / EPS) ** 2
        poor, no_capital = poor + np.mean(c_0 < 0), no_capital + (a.sum() < 0)
    return terms / len(shock), poor / len(shock), no_capital / len(shock)


@pytest.fixture(scope="module")
def economy():
    return economy_of(FILE, dtype="float64")


def test_the_network_sees_the_312_inputs_in_the_order_of_the_paper(economy):
    capital, shock = random_states(40)
    capital[0] = 0.0  # K at its floor
    expected = [inputs(k, z) for k, z in zip(capital, shock, strict=True)]
    features = economy.features(tensors(economy, capital, shock)).numpy()
    assert features.shape == (40, 312)
    np.testing.assert_allclose(features, expected, rtol=1e-12)


def test_the_file_asks_for_the_recipe_of_the_paper():
    file = file_of(FILE).settings
    assert (file.network.kind, file.network.hidden, file.network.activation) == ("mlp", [1000, 1000], "relu")
    assert not file.network.standardize
    sampling = file.sampling
    assert (sampling.tracks * sampling.periods, sampling.epochs, sampling.minibatch) == (10_000, 10, 1_000)
    assert (sampling.chain, sampling.every_shock, sampling.resets) == (None, False, 0.0)
    assert file.next_period.gradient == "full"
    (phase,) = file.phases
    assert (phase.updates, phase.optimizer.name, phase.optimizer.learning_rate) == (10_000 * 10 * 10, "Adam", 1e-5)
    assert phase.optimizer.schedule == "constant"
    assert {"euler.mean", "euler.max", "kkt.mean", "kkt.max"} == set(file.stop)
    assert (file.validation.on, file.validate_every) == ("new_episode", 100)  # every episode


@pytest.mark.parametrize(
    ("limit", "shift", "precision", "tolerance"),
    [
        pytest.param(0.0, -9.0, "float64", 1e-10, id="all affordable"),
        pytest.param(0.0, 0.0, "float64", 1e-10, id="some consumption infeasible"),
        pytest.param(-1.3, 0.0, "float64", 1e-10, id="and some aggregate capital"),
        pytest.param(-1.3, 0.0, "float32", 1e-5, id="in single precision"),
    ],
)
def test_the_loss_is_equation_38_with_the_penalties_of_b2(limit, shift, precision, tolerance):
    count, generator = 32, np.random.default_rng(3)
    solver = problem(
        f"sampling.periods={count}", "sampling.minibatch=null", "sampling.epochs=2", f"precision={precision}",
        f"parameters.borrowing_limit={limit}",
    )  # fmt: skip
    for variable, scale in zip(solver.network.trainable_variables, (0.1, 1, 0.25, 1, 0.15, 0.5), strict=True):
        variable.assign(scale * generator.standard_normal(variable.shape))
    solver.network.head.bias.assign_add(np.repeat([shift, 0.0], 59))  # of all savings
    capital, shock = random_states(count)
    episode = tensors(solver.economy, capital, shock)
    carry = solver.start(tf.constant([0, 0]))._replace(episode=episode, position=tf.constant(1))
    losses = solver.losses((), carry, tf.constant([0, 0]))
    # Weights and states as they were rounded for the network, so that only the computation differs.
    weights = [np.asarray(each, np.float64) for each in solver.network.weights]
    terms, poor, no_capital = loss_in_numpy(weights, np.asarray(episode.capital, np.float64), shock, limit)
    assert 0.02 < poor < 0.98 if shift == 0 else poor == 0  # both branches of the floors are in the batch
    assert 0.02 < no_capital < 0.98 if limit < 0 else no_capital == 0
    names = ("euler", "kkt", "infeasible_consumption", "infeasible_capital")
    np.testing.assert_allclose([losses.record[f"loss_{name}"] for name in names], terms, rtol=tolerance)
    np.testing.assert_allclose(losses.minimize["policy"], terms.sum(), rtol=tolerance)


def test_consumption_of_minus_a_hundredth_is_penalised_by_a_million_as_b2_prints_it(economy):
    capital, shock = random_states(1)
    a = np.zeros((1, 59))
    r, w = prices(capital[0], shock[0])
    a[0, 30] = r * capital[0, 30] + w * LABOUR[30] + 0.01
    state = tensors(economy, capital, shock)
    policy = economy.Policy(tf.constant(a), tf.zeros([1, 59], tf.float64), tf.ones([1, 60], tf.float64))
    penalty = economy.residuals(state, policy, lambda f: f(state, policy))["infeasible_consumption"].numpy() ** 2
    np.testing.assert_allclose(penalty.sum(), 1e6, rtol=1e-9)


def test_validation_takes_both_errors_on_the_states_of_the_new_episode():
    """Where an episode has one period its states are those at which the tracks stand."""
    solver = problem("sampling.tracks=32", "sampling.periods=1", "sampling.minibatch=null", "precision=float64")
    solver.network.head.bias.assign_add([-3.0] * 118)  # savings that all can afford
    capital, shock = random_states(32)
    carry = solver.start(tf.constant([0, 0]))._replace(now=tensors(solver.economy, capital, shock))
    found = solver.validate_from(carry)
    weights = [np.asarray(each, np.float64) for each in solver.network.weights]
    euler, kkt = [], []
    for k, z in zip(capital, shock, strict=True):
        a, lam, c = decision(weights, k, z, 0.0)
        following = np.append(0, a)
        value = sum(
            0.95
            * CHAIN[z, s]
            * prices(following, s)[0]
            * np.maximum(decision(weights, following, s, 0.0)[2], EPS)[1:] ** -2.0
            for s in range(4)
        )
        euler.append(np.abs((value + lam) ** -0.5 / np.maximum(c[:-1], EPS) - 1))
        kkt.append(np.abs(lam * a))
    for name, errors in (("euler", euler), ("kkt", kkt)):
        np.testing.assert_allclose(found[f"{name}.mean"], np.mean(errors), rtol=1e-8)
        np.testing.assert_allclose(found[f"{name}.max"], np.max(errors), rtol=1e-8)


def test_the_gradient_flows_through_the_next_period():
    solver = problem("sampling.periods=8", "sampling.minibatch=null", "sampling.epochs=2", "precision=float64")
    capital, shock = random_states(8, seed=1)
    episode = tensors(solver.economy, capital, shock)
    carry = solver.start(tf.constant([0, 0]))._replace(episode=episode, position=tf.constant(1))
    solver.network.head.bias.assign_add([-3.0] * 118)  # savings that all can afford: away from the kinks of the floors
    variable, direction = solver.network.head.kernel, np.random.default_rng(0).standard_normal((16, 118))

    def loss():
        return solver.losses((), carry, tf.constant([0, 0])).minimize["policy"]

    with tf.GradientTape() as tape:
        value = loss()
    along = float(tf.reduce_sum(tape.gradient(value, variable.value) * direction))
    before, step, around = variable.numpy(), 1e-6, []
    for sign in (1, -1):
        variable.assign(before + sign * step * direction)
        around.append(float(loss()))
    np.testing.assert_allclose(along, (around[0] - around[1]) / (2 * step), rtol=1e-5)


def test_an_episode_begins_where_the_last_one_ended_however_far_that_is():
    solver = problem("sampling.periods=20", "sampling.minibatch=5", "sampling.epochs=3")
    economy, updates = solver.economy, 3 * 20 // 5
    far = 0.01 * solver.economy.initial_states(1, np.random.default_rng(0)).capital
    carry = solver.start(tf.constant([0, 0]))._replace(now=tensors(economy, far, [3]))
    episodes = []
    for update in range(2 * updates):
        carry = solver.losses((), carry, tf.constant([0, update])).carry
        if update % updates == 0:
            episodes.append((carry.episode, carry.now))
    (first, end), (second, _) = episodes
    np.testing.assert_array_equal(first.capital[0], tf.cast(far[0], tf.float32))
    np.testing.assert_array_equal(second.capital[0], end.capital[0])
    np.testing.assert_array_equal(second.shock[0], end.shock[0])
    for episode in (first, second):  # one path: next period's capital is what was saved
        saved = solver.policy_rule(episode).savings.numpy()
        np.testing.assert_allclose(episode.capital[1:, 1:], saved[:-1], rtol=1e-4)
    np.testing.assert_allclose(end.capital[0, 1:], solver.policy_rule(first).savings[-1], rtol=1e-4)
    assert not np.any(carry.resets)


def test_an_untrained_network_keeps_the_path_of_a_whole_episode_finite():
    # Standardised inputs make it explode: its savings then answer to capital with a factor above one.
    solver = problem("network.hidden=[1000,1000]", "sampling.periods=300", "sampling.minibatch=300")
    carry = tf.function(solver.sampler.next_episode_if_due, jit_compile=True)(
        solver.start(tf.constant([0, 0])), tf.constant([0, 1])
    )
    assert carry.episode.capital.numpy().sum(axis=1).max() < 10 * solver.economy.steady.capital.sum()


def test_the_reported_errors_are_those_of_the_economy_with_the_networks_multiplier():
    solver = problem("precision=float64")
    economy = solver.economy
    capital, shock = random_states(30, seed=2)
    state = tensors(economy, capital, shock)
    policy = solver.policy_rule(state)
    errors = economy.errors(state, policy, solver.policy_rule.expectation(state, policy))
    assert list(errors) == ["optimality", "euler", "kkt"]
    a, lam, c = (x.numpy() for x in policy)
    value = (c[:, :-1] * (1 + errors["euler"].numpy())) ** -2.0 - lam  # beta E[r' u'(c')], from eq. 36 backwards
    np.testing.assert_allclose(errors["kkt"], lam * a)
    optimality = np.minimum(value**-0.5 / c[:, :-1] - 1, a / c[:, :-1])
    np.testing.assert_allclose(errors["optimality"], optimality, rtol=1e-6)


# --- the file's economy, the command, the benchmark ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("paper.PaperOlg", "'PaperOlg' is not a class in .*paper.py; did you mean 'PaperOLG'"),
        ("papr.PaperOLG", "papr.py: no such file; did you mean 'paper'"),
    ],
)
def test_a_mistyped_economy_is_told_with_the_nearest_name(name, words):
    with pytest.raises(UserError, match=words):
        economy_of(FILE, *[f"economy={name}"], dtype="float32")


@pytest.mark.slow
def test_twenty_updates_of_the_recipe_train_by_the_command(tmp_path):
    make_project(tmp_path, "olg")
    settings = ["phases.0.updates=20", "evaluation.periods=60", "evaluation.burn_in=20"]
    settings += ["validation.on=fresh_paths", "validation.tracks=8", "validation.burn_in=20", "validation.periods=20"]
    words = [word for each in settings for word in ("--set", each)]
    done = typed(tmp_path, "train", "models/olg/paper60.yaml", "--run", "short", *words)
    assert done.returncode == 0, done.stderr
    assert "thresholds not reached" in done.stdout
    run = RunFolder(tmp_path / "runs/paper60/short")
    assert json.loads(run.provenance.read_text())["success"] is False
    rows = [line.split(",") for line in run.metrics.read_text().splitlines()]
    losses = [float(row[rows[0].index("loss")]) for row in rows[1:]]
    assert rows[-1][rows[0].index("update")] == "20"
    assert np.isfinite(losses).all()
    assert [row["condition"] for row in tables.error_rows(run.path)] == ["optimality", "euler", "kkt"]


@pytest.fixture(scope="module")
def olg60():
    spec = importlib.util.spec_from_file_location("olg60", ROOT / "benchmarks/olg60.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["olg60"] = module  # its NamedTuples look their module up
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_spreads_an_episodes_simulation_over_its_updates(olg60):
    cost = olg60.Cost(1_000_000, 100, update=olg60.Seconds(0.4, 0.2), episode=olg60.Seconds(3.0, 2.0))
    np.testing.assert_allclose(cost.total(), [430_000, 220_000])


@pytest.mark.slow
def test_the_benchmark_times_updates_and_episode_of_a_parameter_file(olg60):
    small = ["network.hidden=[16]", "sampling.periods=2000", "sampling.minibatch=50"]
    cost = olg60.measure(FILE, 10, small)
    assert (cost.updates, cost.updates_an_episode) == (1_000_000, 10 * 2000 // 50)
    assert 0 < cost.update.cpu < cost.episode.cpu  # 2000 steps in sequence against 50 states at once
    with pytest.raises(UserError, match="expected 1 to 399"):
        olg60.measure(FILE, 400, small)


def test_the_benchmark_reads_the_cost_to_each_accuracy_of_a_run_that_has_ended(olg60, tmp_path):
    run = RunFolder(tmp_path / "benchmark60/first")
    run.path.mkdir(parents=True)
    run.provenance.write_text(json.dumps({"updates": 8000}))
    with pytest.raises(UserError, match="let it train to the end"):
        olg60.run_row(run)
    reached = {"0.05 %": 12.3, "0.02 %": 45.6}
    record = {"cost_to_accuracy_cpu_seconds": reached, "updates": 8000, "training_cpu_seconds": 251.4}
    run.provenance.write_text(json.dumps(record))
    columns = "condition,group,key,unit,n,mean,max,p0.1,p10,p50,p90,p99.9"
    row = "optimality,all,,relative,9,3.2e-05,4e-3,0,1e-6,2e-05,6.1e-05,5.4e-4"
    run.errors.write_text(f"{columns}\n{row}\n{row.replace('optimality', 'euler')}\n")
    name, updates, *numbers = olg60.run_row(run)
    assert (name, updates) == ("benchmark60/first", "8,000")
    assert numbers == ["251", "12", "46", "", "", "", ".0032", ".0020", ".0061", ".054", ".40"]


@pytest.mark.slow
def test_the_benchmark_tells_an_update_in_matrix_products(olg60):
    seconds, of_fixed, of_own = olg60.speed("models/olg/tiny.yaml", 5, repetitions=2)
    assert 0 < seconds < 1
    assert 0.001 < of_fixed < 100
    assert 0.3 < of_own < 30  # an update makes these products and more; a call of its own costs as much here


@pytest.mark.slow
def test_the_benchmark_of_ranks_counts_the_states_that_an_update_sees():
    asked = ["models/olg/tiny.yaml", "--updates", "30", "--unpinned", "--rank", "single", "weak", "1"]
    done = subprocess.run(
        [sys.executable, "benchmarks/scaling.py", *asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (found,) = json.loads(done.stdout.partition("SCALING ")[2])
    file = file_of(ROOT / "models/olg/tiny.yaml")
    assert found["states"] == file.settings.sampling.tracks * len(file.parameters.tfp)
    assert [update for _, update in found["times"]][-1] == 30


def test_the_benchmark_reads_error_against_cpu_seconds(olg60, tmp_path):
    run = RunFolder(tmp_path / "benchmark60/first")
    run.path.mkdir(parents=True)
    run.metrics.write_text(
        "update,loss,optimality.mean,optimality.p99.9,cpu_seconds\n50,1e-6,,,20.5\n100,1e-6,1e-4,2e-3,21.5\n200,1e-7,5e-5,1e-3,23\n"
    )
    np.testing.assert_allclose(olg60.curve(run), [(100, 21.5, 0.01, 0.2), (200, 23.0, 0.005, 0.1)])
    with pytest.raises(UserError, match="can't be read"):
        olg60.curve(RunFolder(tmp_path / "benchmark60/second"))
