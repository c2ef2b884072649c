"""Networks with outputs of their own, one network for many agents, and networks of a class beside the economy."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from projects import make_project
from small import file_of, randomize, states_of
from test_outputs import Named

from deqn.commands.new import make_economy
from deqn.equilibrium import Economy, Gaussian, Report
from deqn.equilibrium.checks.dry_run import check_equations
from deqn.equilibrium.decision_rule import NetworkRule
from deqn.equilibrium.implied import implied_error
from deqn.equilibrium.network import build_network
from deqn.equilibrium.settings import EquilibriumSettings
from deqn.project.errors import UserError
from deqn.tasks.build import build_problem


def built(economy, networks=None, **network):
    asked = {"kind": "mlp", "hidden": [6], "activation": "tanh", **network}
    settings = EquilibriumSettings.model_validate({"network": asked, "networks": networks or {}})
    return build_network(economy, settings.network, 0, settings.further())


# ---- several networks


def test_each_network_gives_the_outputs_that_it_names_and_the_first_one_the_others():
    economy = Named()  # bonds 0-1, price 2, country 3, by_both 4-9
    network = built(economy, {"values": {"outputs": ["by_both", "price"], "hidden": [3]}})
    randomize(network)
    inputs = economy.features(states_of(economy, 5))
    values, rest = network.parts
    assert (values.shape_out, rest.shape_out) == ((1, 7), (1, 3))
    assert [each.layers_hidden[0].bias.shape[0] for each in network.parts] == [3, 6]
    whole = network(inputs)[:, 0].numpy()
    np.testing.assert_array_equal(whole[:, [4, 5, 6, 7, 8, 9, 2]], values(inputs)[:, 0])
    np.testing.assert_array_equal(whole[:, [0, 1, 3]], rest(inputs)[:, 0])
    assert len(network.trainable_variables) == len(values.trainable_variables) + len(rest.trainable_variables) == 8


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (
            {"v": {"outputs": ["prize"]}},
            "networks.v.outputs: 'prize' is not an output of Named, or another network gives",
        ),
        ({"v": {"outputs": ["price"]}, "w": {"outputs": ["price"]}}, "networks.w.outputs: 'price' is not an output"),
        ({"v": {"hidden": [3]}}, "networks.v.outputs: missing"),
        (
            {"v": {"outputs": ["price"], "heads": "shock"}},
            "networks.v.heads: got shock, expected none as network.heads",
        ),
        (
            {"v": {"outputs": ["price"], "kind": "cnn"}},
            "networks.v.kind: got 'cnn', expected mlp, wide_and_deep, or FILE",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(networks, words):
    with pytest.raises(UserError) as told:
        built(Named(), networks)
    assert words in str(told.value)


# ---- one network over agents


class State(NamedTuple):
    wealth: tf.Tensor  # [batch, 4]


class Policy(NamedTuple):
    consumption: tf.Tensor  # [batch, 4]
    effort: tf.Tensor  # [batch, 4, 2]


class Agents(Economy):
    """Four agents, each of whom sees the own wealth and the mean."""

    State, Policy = State, Policy
    report = Report(letters={"wealth": "w"}, dims={"effort": ()})
    axes = {"agent": ["a", "b", "c", "d"]}

    def __init__(self, parameters=None, dtype="float64"):
        super().__init__(parameters, dtype)
        self.shocks = Gaussian(4, rule="monomial", degree=3)
        self.outputs = {"share": 1, "effort": 2}

    def features(self, state):
        mean = tf.reduce_mean(state.wealth, axis=1, keepdims=True)
        return tf.stack([state.wealth, tf.broadcast_to(mean, state.wealth.shape)], axis=2)

    def policy(self, output, state):
        return Policy(state.wealth * tf.sigmoid(output.share), tf.exp(output.effort))

    def transition(self, state, policy, shock):
        return State((state.wealth - policy.consumption) * tf.exp(0.1 * shock) + 1.0)

    def residuals(self, state, policy, E):
        wanted = E(lambda s, q: 1 / q.consumption) * policy.consumption
        return {"euler": 0.9 * wanted - 1, "effort": tf.reshape(policy.effort - wanted[:, :, None], [-1, 8])}

    def initial_states(self, count, generator):
        return State(generator.uniform(1, 2, (count, 4)))


def test_one_network_decides_for_each_agent_from_what_it_sees_of_it():
    economy = Agents()
    network = built(economy)
    randomize(network, scale=1.0)
    state = states_of(economy, 5)
    rule = NetworkRule(economy, network, heads=False)
    policy, seen = rule(state), economy.features(state).numpy()
    assert economy.width == 12 and rule.output(state).shape == (5, 12)
    for agent in range(4):
        said = network.one(tf.constant(seen[:, agent]))[:, 0].numpy()  # [batch, 3]
        share = 1 / (1 + np.exp(-said[:, 0]))
        np.testing.assert_allclose(policy.consumption[:, agent], state.wealth[:, agent] * share, rtol=1e-12)
        np.testing.assert_allclose(policy.effort[:, agent], np.exp(said[:, 1:]), rtol=1e-12)
    np.testing.assert_array_equal(economy.taken.flat(economy.taken.grouped(rule.output(state))), rule.output(state))


def test_agents_who_change_places_change_their_decisions():
    economy = Agents()
    network = built(economy)
    randomize(network, scale=1.0)
    rule, state = NetworkRule(economy, network, heads=False), states_of(economy, 5)
    one, other = rule(state), rule(State(tf.gather(state.wealth, [2, 0, 3, 1], axis=1)))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(tf.gather(mine, [2, 0, 3, 1], axis=1), theirs, rtol=1e-12)


def test_an_economy_of_agents_passes_and_its_implied_error_is_found():
    assert check_equations(Agents()) == ["euler", "effort"]
    economy = Agents()
    network = built(economy)
    randomize(network)
    state = tf.nest.map_structure(np.asarray, states_of(economy, 520))
    implied = implied_error(NetworkRule(economy, network, heads=False), state)
    assert np.isfinite(implied.one_step["consumption"]).all() and implied.one_step["effort"].shape == (520, 4, 2)


# ---- a class of one's own

OWN = """
from deqn.mlp.networks import MLP

class Doubled(MLP):
    def call(self, inputs):
        return 2.0 * super().call(inputs)

class Flat(MLP):
    def call(self, inputs):
        return super().call(inputs)[:, 0]
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    make_economy("models/mine", tmp_path)
    (tmp_path / "models/mine/nets.py").write_text(OWN)
    return lambda *settings: build_problem(file_of(tmp_path / "models/mine/mine.yaml", *settings))


def test_a_network_of_a_class_beside_the_economy_is_built_and_asked(mine):
    own, plain = mine("network.kind=nets.Doubled"), mine("network.kind=mlp")
    state = own.economy.tensors(own.economy.initial_states(5, np.random.default_rng(1)))
    np.testing.assert_array_equal(own.policy_rule.output(state), 2.0 * plain.policy_rule.output(state))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nets.Trebled", "nets.py has no Keras model Trebled"),
        (
            "nets.Flat",
            "network.kind: nets.Flat gives shape [2, 1] for two states, expected [2, 3, 1], [states, heads, ou",
        ),
        ("other.Net", "other.py"),
    ],
)
def test_a_class_that_is_not_there_or_gives_another_shape_is_refused(mine, kind, words):
    with pytest.raises(UserError) as told:
        mine(f"network.kind={kind}")
    assert words in str(told.value)
