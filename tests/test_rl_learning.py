"""DQN, DDPG and REINFORCE: their equations against hand-computed ones, their solutions against exact ones."""

import numpy as np
import pytest
import tensorflow as tf
from rl_worlds import (
    Bandit,
    Chain,
    EndlessReinforce,
    FedDQN,
    LinearQuadratic,
    TargetReinforce,
    small_ddpg,
    small_dqn,
    small_reinforce,
)
from toys import settings

from deqn.rl.dqn import huber
from deqn.rl.reinforce import Rollout, mean_and_log_sd, returns
from deqn.rl.targets import td_target
from deqn.training.trainer import Trainer

COSINE = {"name": "Adam", "schedule": "cosine", "final": 0.0}


def trained(problem, updates, rate, **more):
    """Trains an agent, whose validations say nothing here."""
    optimizer = {name: {**COSINE, "learning_rate": rate} for name in problem.trainable}
    chosen = settings(updates, optimizer, validate_every=updates, divergence={"factor": 1e9}, **more)
    Trainer(problem, chosen).train()
    return problem


def test_a_target_has_what_follows_unless_the_world_has_ended():
    reward, terminated, following = (tf.constant(x) for x in ([1.0, 1.0, -2.0], [0.0, 1.0, 0.0], [10.0, 10.0, 3.0]))
    # 1 + .9 x 10; the world ended: 1; truncated only: -2 + .9 x 3
    np.testing.assert_allclose(td_target(reward, terminated, following, 0.9), [10.0, 1.0, 0.7], rtol=1e-6)


def test_no_gradient_flows_into_a_target():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = td_target(tf.ones([1]), tf.zeros([1]), x * tf.ones([1]), 0.9)
    assert tape.gradient(y, x) is None


def test_huber_is_a_parabola_up_to_one_and_a_line_beyond():
    np.testing.assert_allclose(huber(tf.constant([0.0, 0.5, -1.0, 3.0, -3.0])), [0, 0.125, 0.5, 2.5, 2.5])


def test_the_loss_of_dqn_is_that_of_hand_computed_transitions():
    agent = small_dqn(discount=0.5)
    q = np.arange(10.0).reshape(5, 2)  # of one-hot states: q(s, a) = 2 s + a
    for network, table in ((agent.q_network, q), (agent.target, 10 * q)):
        network.head.kernel.assign(table)
        network.head.bias.assign([0.0, 0.0])
    eye = np.eye(5, dtype="float32")
    batch = (eye[[1, 2]], np.array([1, 0]), np.float32([1, 1]), eye[[0, 4]], np.float32([0, 1]))
    # 1 + .5 x 10 - 3 = 3, and 1 - 4 = -3 since nothing follows
    loss = agent.losses(tuple(x[None] for x in batch), tf.constant(0), tf.constant([0, 0])).minimize["q"]
    assert float(loss) == pytest.approx(2.5)


def test_each_update_of_a_call_takes_a_minibatch_of_its_own():
    agent = small_dqn(updates=3, replay={"begin": 8, "capacity": 50, "minibatch": 4})
    (batch,) = agent.batches(0)
    assert batch.reward.shape == (3, 4)
    for number in range(5):
        np.testing.assert_array_equal(agent.chosen(batch, tf.constant(number)).reward, batch.reward[number % 3])


def test_the_critic_of_ddpg_learns_its_target_and_the_actor_climbs_the_critic():
    agent = small_ddpg(discount=0.5, reward_scale=2.0)
    t = np.float32([[0.3], [-1.0]]), np.float32([[0.1], [0.7]]), np.float32([1, -1]), np.float32([[0.5], [0.2]])
    ended = np.float32([0, 1])
    losses = agent.losses(tuple(x[None] for x in (*t, ended)), tf.constant(0), tf.constant([0, 0])).minimize
    mu, q = (lambda s, suffix="": agent.actor(s, suffix).numpy()), (lambda s, a, x="": agent.critic(s, a, x).numpy())
    y = 2 * t[2] + 0.5 * (1 - ended) * q(t[3], mu(t[3], "_target"), "_target")
    assert float(losses["critic"]) == pytest.approx(np.mean((y - q(t[0], t[1])) ** 2), rel=1e-5)
    assert float(losses["actor"]) == pytest.approx(-np.mean(q(t[0], mu(t[0]))), rel=1e-5)


def test_targets_go_the_stated_share_of_the_way():
    agent = small_ddpg(averaging=0.25)
    before = [np.array(w) for w in agent.networks["critic_target"].trainable_variables]
    for variable in agent.networks["critic"].trainable_variables:
        variable.assign_add(tf.ones_like(variable))
    agent.after_update()
    for old, new in zip(before, agent.networks["critic_target"].trainable_variables, strict=True):
        np.testing.assert_allclose(new, old + 0.25, atol=1e-6)


def test_returns_are_discounted_sums_of_what_follows():
    np.testing.assert_allclose(returns(np.array([[1.0], [2.0], [4.0]]), 0.5), [[3.0], [4.0], [4.0]])


def test_the_expected_policy_gradient_on_a_bandit_is_the_exact_one():
    # sum over arms of pi(a) grad[-log pi(a)] pay(a) = -grad sum pi(a) pay(a), here by central differences
    agent = small_reinforce(standardize_returns=False)
    logits = np.array([0.3, -0.2, 0.1])
    agent.policy.head.kernel.assign(0 * agent.policy.head.kernel)
    agent.policy.head.bias.assign(logits)

    def value(logits):
        return np.exp(logits) @ Bandit.pays / np.exp(logits).sum()

    exact = [-(value(logits + step) - value(logits - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
    pi, gradient = np.exp(logits) / np.exp(logits).sum(), np.zeros(3)
    for arm in range(3):
        one = np.ones((1, 1), np.float32)
        batch = Rollout(one[..., None], np.array([[arm]]), np.float32(Bandit.pays[arm]) * one, one)
        with tf.GradientTape() as tape:
            loss = agent.losses(batch, (), None).minimize["policy"]
        gradient += pi[arm] * np.asarray(tape.gradient(loss, agent.policy.head.bias))
    np.testing.assert_allclose(gradient, exact, atol=1e-5)


def test_sampled_policy_gradients_scatter_around_the_exact_one():
    agent = small_reinforce(environments=4000, standardize_returns=False)
    (batch,) = agent.batches(0)
    with tf.GradientTape() as tape:
        loss = agent.losses(batch, (), None).minimize["policy"]
    gradient = np.asarray(tape.gradient(loss, agent.policy.head.bias))
    pi = tf.nn.softmax(agent.outputs(np.ones((1, 1), np.float32)))[0].numpy()
    exact = pi * (pi @ Bandit.pays - Bandit.pays)  # - d/d logit of the expected pay
    scores = (np.eye(3) - pi) * Bandit.pays[:, None]  # by arm
    deviation = np.sqrt(pi @ (scores - pi @ scores) ** 2 / 4000)
    assert (np.abs(gradient - exact) < 4 * deviation).all()


def test_log_probabilities_are_those_of_scipy():
    from scipy import stats

    agent = small_reinforce(TargetReinforce)
    output = np.float32([[0.2, -1.0], [0.5, 0.3]])  # mu, ln sigma
    action = np.float32([[0.4], [-0.7]])
    expected = stats.norm.logpdf(action[:, 0], output[:, 0], np.exp(output[:, 1]))
    np.testing.assert_allclose(agent.log_probability(output, action), expected, rtol=1e-5)


def test_what_follows_an_episodes_end_does_not_count():
    agent = small_reinforce(environments=2, steps=3)
    (batch,) = agent.batches(0)
    np.testing.assert_array_equal(batch.counts, [[1, 1], [0, 0], [0, 0]])  # the bandit's episodes are of one step
    changed = batch._replace(weight=batch.weight + 100 * (1 - batch.counts))
    losses = [float(agent.losses(each, (), None).minimize["policy"]) for each in (batch, changed)]
    assert losses[0] == losses[1]


def test_episodes_that_the_number_of_steps_cuts_off_are_counted():
    agent = small_reinforce(EndlessReinforce, environments=3, steps=4, average_over=6)
    for episode in range(2):
        (batch,) = agent.batches(episode)
    assert batch.counts.all()
    np.testing.assert_array_equal(agent.environments.finished[:, 2], [4] * 6)
    assert agent.validate()["minus_return"] == -agent.environments.finished[:, 1].mean()


def test_reinforce_reports_what_the_saved_weights_earn_in_fresh_episodes():
    agent = small_reinforce(environments=200, average_over=200)
    list(agent.batches(0))
    agent.policy.head.bias.assign([-50.0, -50.0, 50.0])  # since then it has learned to take the arm that pays 4
    fresh, best, last = agent.results().tables["returns"]
    assert (fresh["mean"], fresh["count"]) == (4.0, 100)
    assert best["mean"] == last["mean"] == agent.environments.finished[:, 1].mean() < 4


def test_a_spread_beyond_its_bounds_learns_to_come_back_and_goes_no_further():
    log_sd = tf.constant([[-9.0], [-9.0], [3.0], [3.0], [0.5]])
    wanted = tf.constant([[1.0], [-1.0], [-1.0], [1.0], [1.0]])  # where a loss wants it to go
    with tf.GradientTape() as tape:
        tape.watch(log_sd)
        _, cut = mean_and_log_sd(tf.concat([0 * log_sd, log_sd], axis=1))
        loss = -tf.reduce_sum(wanted * cut)
    np.testing.assert_array_equal(cut[:, 0], [-5, -5, 1, 1, 0.5])
    np.testing.assert_array_equal(tape.gradient(loss, log_sd)[:, 0], [-1, 0, 1, 0, -1])


def test_two_halves_of_a_minibatch_give_the_gradient_of_the_whole():
    # What ranks average: of two that share a minibatch each computes half of it.
    def gradients(rank, ranks):
        agent = FedDQN(rank, ranks)
        (batch,) = agent.batches(0)
        with tf.GradientTape() as tape:
            loss = agent.losses(batch, tf.constant(0), None).minimize["q"]
        return [np.asarray(g) for g in tape.gradient(loss, agent.trainable["q"])]

    for whole, one, two in zip(gradients(0, 1), gradients(0, 2), gradients(1, 2), strict=True):
        np.testing.assert_allclose(0.5 * (one + two), whole, atol=1e-7)


def test_ranks_see_data_of_their_own_and_begin_with_equal_weights():
    agents = [FedDQN(rank, 2) for rank in range(2)]
    assert not np.array_equal(agents[0].environments.observation, agents[1].environments.observation)
    for one, other in zip(agents[0].q_network.weights, agents[1].q_network.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_dqn_with_a_table_finds_the_values_of_the_chain():
    agent = small_dqn(
        environments=16, steps=4, updates=8, discount=0.9, target_every=4,
        exploration={"first": 1.0, "last": 1.0}, replay={"begin": 2000, "capacity": 100_000, "minibatch": 256},
    )  # fmt: skip
    trained(agent, 6000, 0.02)
    q = agent.q_values(np.eye(Chain.states, dtype="float32")).numpy()
    np.testing.assert_allclose(q, Chain.exact_q(0.9), atol=0.02)


def test_a_truncated_chain_is_valued_as_one_that_goes_on():
    # At the left end nothing but the step limit ends an episode: were that a terminal, Q there would be about a third.
    assert Chain.limit == 30
    agent = small_dqn(environments=16, replay={"begin": 3000, "capacity": 3000, "minibatch": 32})
    (_,) = agent.batches(0)
    kept = agent.replay.state()
    at_right_end = kept["observation"][:, -1] == 1
    lengths = agent.environments.finished[:, 2]
    assert kept["terminated"].sum() == (lengths < Chain.limit).sum()
    assert not kept["terminated"][~at_right_end].any()


@pytest.mark.slow
def test_ddpg_on_a_linear_quadratic_problem_finds_the_gain_of_riccati():
    agent = small_ddpg(
        environments=16, steps=4, updates=4, discount=0.9, hidden=[32, 32], activation="swish", averaging=0.01,
        noise=0.3, replay={"begin": 2000, "capacity": 50_000, "minibatch": 128},
    )  # fmt: skip
    trained(agent, 20_000, 2e-3)
    x = np.linspace(-1, 1, 21, dtype="float32")[:, None]
    u = agent.to_environment(agent.greedy(x))
    gain = -float(np.sum(x * u) / np.sum(x * x))
    assert gain == pytest.approx(LinearQuadratic.riccati_gain(0.9), rel=0.05)


def test_reinforce_finds_the_best_arm():
    agent = trained(small_reinforce(environments=16), 150, 0.1)
    assert int(np.argmax(agent.outputs(np.ones((1, 1), np.float32)))) == 2


def test_a_gaussian_policy_reaches_the_best_act():
    agent = trained(small_reinforce(TargetReinforce, environments=64), 400, 0.03)
    assert float(agent.outputs(np.ones((1, 1), np.float32))[0, 0]) == pytest.approx(0.6, abs=0.05)
