"""Environments, replay and what a checkpoint holds of them; what is refused, and how."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from problems import module
from rl_worlds import CartDQN, CartReinforce, Chain, EndlessDDPG, PendulumDDPG, SmallDQN, small_ddpg, small_dqn
from rl_worlds import small_reinforce as made_reinforce
from scipy import stats
from test_resume import assert_equal, trained
from toys import settings

from deqn.project.errors import UserError
from deqn.rl.economy_environment import EconomyEnv, EconomyEnvironments
from deqn.rl.environments import Transition, returns_of
from deqn.rl.gym_environments import GymEnvironments, gym_maker
from deqn.rl.replay import Minibatch, Replay
from deqn.rl.rules import ShareRule, euler_row
from deqn.training.trainer import Trainer

AtariNetwork = module("atari", "network").AtariNetwork


def economy(folder, name, dtype="float32", **parameters):
    """An economy of models/, FILE.CLASS, with the parameters of its schema."""
    file, _, named = name.partition(".")
    return getattr(module(folder, file), named)(module(folder, "parameters").Parameters(**parameters), dtype)


def brock_mirman(dtype="float32"):
    return economy("brock_mirman", "planner.PlannedBrockMirman", dtype)


def growth(dtype="float32"):
    return economy("growth", "planner.PlannedGrowth", dtype, states=5)


# --- replay ---------------------------------------------------------------------------------------------------------


def numbered(first, count):
    """Transitions whose reward is their number."""
    number = np.arange(first, first + count, dtype=float)
    seen = np.stack([number, -number], axis=1).astype("float32")
    return Transition(seen, number.astype(int), number, seen + 1, number % 2 == 0, number % 3 == 0)


def test_replay_draws_every_transition_equally_often():
    replay = Replay(40, Minibatch(*numbered(0, 1)[:5]))
    replay.add(numbered(0, 40))
    drawn = replay.sample((100, 100), np.random.default_rng(0)).reward
    assert stats.chisquare(np.bincount(drawn.ravel().astype(int), minlength=40)).pvalue > 0.01


def test_replay_forgets_the_oldest_and_never_shows_an_empty_row():
    replay = Replay(10, Minibatch(*numbered(0, 1)[:5]))
    replay.add(numbered(5, 4))
    assert set(replay.sample((500,), np.random.default_rng(0)).reward) == {5, 6, 7, 8}
    for first in (9, 13, 17):
        replay.add(numbered(first, 4))
    assert set(replay.sample((500,), np.random.default_rng(0)).reward) == set(range(11, 21))


def test_the_fields_of_a_drawn_transition_belong_together():
    replay = Replay(30, Minibatch(*numbered(0, 1)[:5]))
    for first in range(0, 44, 4):
        replay.add(numbered(first, 4))
    drawn = replay.sample((8, 9), np.random.default_rng(1))
    np.testing.assert_array_equal(drawn.observation[..., 0], drawn.reward)
    np.testing.assert_array_equal(drawn.next_observation, drawn.observation + 1)
    np.testing.assert_array_equal(drawn.action, drawn.reward)
    np.testing.assert_array_equal(drawn.terminated, drawn.reward % 2 == 0)


# --- environments ---------------------------------------------------------------------------------------------------


def test_no_step_that_only_resets_is_ever_shown():
    # On a cart every step pays 1, and only a reset would pay 0; a reset's observation is within .05 of zero.
    carts = GymEnvironments(gym_maker("CartPole-v1"), 4, (0,))
    generator = np.random.default_rng(0)
    for _ in range(300):
        before = carts.observation
        step = carts.step(generator.integers(2, size=4))
        np.testing.assert_array_equal(step.observation, before)
        assert (step.reward == 1).all()
        assert (np.abs(step.next_observation[step.terminated]).max(axis=1) > 0.2).all()  # where the pole fell
        assert (np.abs(carts.observation[step.terminated]) <= 0.05).all()  # where the next episode begins
    assert len(carts.finished) > 20


def test_truncation_is_told_apart_from_the_end_of_the_world():
    pendulum = GymEnvironments(gym_maker("Pendulum-v1"), 2, (0,))
    steps = [pendulum.step(np.zeros((2, 1), np.float32)) for _ in range(200)]
    assert steps[-1].truncated.all() and not any(step.truncated.any() for step in steps[:-1])
    assert not any(step.terminated.any() for step in steps)
    np.testing.assert_array_equal(pendulum.finished[:, 2], 200)


@pytest.mark.parametrize("steps", [0, 7, 60])
def test_restored_environments_go_on_as_if_nothing_had_happened(steps):
    def actions(number):
        return np.random.default_rng(number).integers(2, size=3)

    carts = GymEnvironments(gym_maker("CartPole-v1"), 3, (4, 0))
    for number in range(steps):
        carts.step(actions(number))
    others = GymEnvironments(gym_maker("CartPole-v1"), 3, (9, 9))
    others.restore(carts.state())
    np.testing.assert_array_equal(others.observation, carts.observation)
    carts_stream_goes_on = [carts.step(actions(100 + number)) for number in range(5)]
    for number, step in enumerate(carts_stream_goes_on):
        if (step.terminated | step.truncated).any():
            break  # the next episode's seed is of the other stream
        np.testing.assert_array_equal(others.step(actions(100 + number)).next_observation, step.next_observation)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("DQN", lambda: small_dqn(CartDQN, environments=3, steps=5, updates=2, hidden=[8])),
        pytest.param(
            "DDPG",
            lambda: small_ddpg(PendulumDDPG, environments=2, steps=40, updates=2, noise_correlation=0.8),
            marks=pytest.mark.slow,
        ),
        ("REINFORCE", lambda: made_reinforce(CartReinforce, environments=2, steps=30)),
    ],
)
def test_a_resumed_agent_equals_the_uninterrupted_one(name, make, tmp_path):
    losses = ("critic", "actor") if name == "DDPG" else ("q",) if name == "DQN" else ("policy",)
    optimizer = {loss: {"name": "Adam", "learning_rate": 0.01} for loss in losses}
    chosen = settings(24, optimizer, validate_every=8, divergence={"factor": 1e9})
    whole, _ = trained(make, chosen, tmp_path / "whole")
    interrupted, _ = trained(make, chosen, tmp_path / "interrupted", stop_at=(6, 14))
    assert_equal(whole, interrupted)


def test_the_return_of_an_episode_counts_its_steps_once():
    chain = Chain(8, (3,))
    returns = returns_of(chain, lambda seen: np.ones(8, int))  # to the right: one is paid, and no bump but by slips
    assert ((returns >= 1) & (returns < 2)).all()


def test_a_world_without_a_limit_is_truncated_so_that_an_evaluation_ends():
    agent = small_ddpg(EndlessDDPG, environments=2, longest_episode=7, evaluation_episodes=3, steps=20)
    list(agent.batches(0))
    np.testing.assert_array_equal(agent.environments.finished[:, 2], 7)
    assert not agent.replay.state()["terminated"].any()  # what follows still counts in the targets
    assert agent.validation_returns().shape == (3,)
    assert [row["count"] for row in agent.results().tables["returns"]] == [3, 100]


def test_a_training_in_a_world_without_a_limit_stops_when_asked():
    agent = small_ddpg(EndlessDDPG, longest_episode=50, evaluation_episodes=1)
    chosen = settings(1000, {name: {"name": "SGD", "learning_rate": 1e-3} for name in agent.trainable})
    trainer = Trainer(agent, chosen, should_stop=lambda: True)
    assert trainer.train().stopped and trainer.update < 1000


def test_noise_that_is_carried_from_step_to_step_ends_with_the_episode():
    agent = small_ddpg(environments=2, noise=0.5, noise_correlation=0.9, longest_episode=3, replay={"begin": 1})
    generator, noise = np.random.default_rng(0), []
    for _ in range(3):
        agent.act(agent.explore(agent.environments.observation, generator))
        noise.append(np.abs(agent._noise).max())
    assert noise[0] > 0 and noise[1] > 0 and noise[2] == 0


# --- environments made from an economy ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [brock_mirman, growth])
def test_an_environment_made_from_an_economy_passes_the_checker_of_gymnasium(make, recwarn):
    check_env(EconomyEnv(make(), horizon=20), skip_render_check=True)
    # What it warns of is that observations have no bounds, as capital has none, and that a spec is missing.
    assert not [w for w in map(str, (each.message for each in recwarn)) if "infinity" not in w and "spec" not in w]


def test_the_reward_is_utility_and_the_state_moves_by_the_economys_equations():
    tracks = EconomyEnvironments(brock_mirman(), 5, (1,))
    k, z = tracks._state.capital.astype(float), np.array([-0.1, 0.0, 0.1])[tracks._state.shock]
    share = np.float32([[0.1], [0.3], [0.5], [0.7], [0.9]])
    step = tracks.step(share)
    y = np.exp(z) * k**0.36
    np.testing.assert_allclose(np.diff(step.reward), np.diff(np.log((1 - share[:, 0]) * y)), rtol=1e-4)
    np.testing.assert_allclose(step.next_observation[:, 0], share[:, 0] * y, rtol=1e-5)
    np.testing.assert_array_equal(step.next_observation[:, 1:], np.eye(3)[tracks._state.shock])


def test_tracks_of_an_economy_are_truncated_at_the_horizon_and_never_terminate():
    tracks = EconomyEnvironments(brock_mirman(), 3, (1,), horizon=4)
    steps = [tracks.step(np.full((3, 1), 0.3, np.float32)) for _ in range(8)]
    np.testing.assert_array_equal([step.truncated[0] for step in steps], [0, 0, 0, 1, 0, 0, 0, 1])
    assert not any(step.terminated.any() for step in steps)


def test_restored_tracks_draw_the_same_shocks_and_begin_the_same_episodes():
    def six(tracks):
        return [tracks.step(np.full((3, 1), 0.3, np.float32)).next_observation for _ in range(6)]

    tracks = EconomyEnvironments(brock_mirman(), 3, (1,), horizon=4)
    six(tracks)
    state = tracks.state()
    others = EconomyEnvironments(brock_mirman(), 3, (1,), horizon=4)
    others.restore(state)
    np.testing.assert_array_equal(six(tracks), six(others))


@pytest.mark.parametrize("share", [1.01, np.nan, -3.0])
def test_an_action_outside_its_box_is_refused(share):
    world = EconomyEnv(brock_mirman())
    world.reset(seed=0)
    with pytest.raises(ValueError, match=r"expected a share from 0 to 1"):
        world.step(np.array([share], np.float32))


def test_the_exact_share_has_no_euler_error():
    # Two ways of computing: the economy's policy from a share, and its own Euler equation.
    import tensorflow as tf

    rule = ShareRule(brock_mirman("float64"), lambda state: 0.36 * 0.96 * tf.ones_like(state.capital))
    assert euler_row(rule, periods=60, burn_in=10, tracks=3)["euler error, max"] < 1e-12


def test_an_economy_that_says_no_utility_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"IrreversibleGrowth is no Planner: expected its period_utility"):
        EconomyEnv(economy("growth", "irreversible.IrreversibleGrowth", states=3))


# --- bad input ------------------------------------------------------------------------------------------------------


class Broken(gymnasium.Env):
    """Pays what is no number in its third step."""

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.age += 1
        return np.zeros(1, np.float32), np.nan if self.age == 3 else 1.0, False, False, {}


def test_a_reward_that_is_no_number_is_told_with_its_step():
    worlds = GymEnvironments(Broken, 2, (0,))
    worlds.step(np.zeros(2, int))
    worlds.step(np.zeros(2, int))
    with pytest.raises(UserError, match="Broken: the reward of step 3 is nan, expected finite numbers"):
        worlds.step(np.zeros(2, int))


# --- Atari ----------------------------------------------------------------------------------------------------------


class Screen(gymnasium.Env):
    """Four frames of 84 x 84 bytes and four actions, as Breakout shows them."""

    observation_space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.integers(0, 256, (4, 84, 84)).astype(np.uint8), {}

    def step(self, action):
        return self.np_random.integers(0, 256, (4, 84, 84)).astype(np.uint8), float(action == 2), False, False, {}


class ScreenDQN(SmallDQN):
    def make_network(self):
        return AtariNetwork(self.actions, self.seed, self.dtype)

    def make_environments(self, count, stream):
        return GymEnvironments(lambda: gymnasium.wrappers.TimeLimit(Screen(), 3), count, stream)


def test_the_network_of_the_lecture_has_its_number_of_weights():
    network = AtariNetwork(4, seed=0, dtype="float32")
    assert network.count_params() == 1_686_180
    assert network(np.zeros((2, 4, 84, 84), np.float32)).shape == (2, 1, 4)


def test_an_agent_that_sees_frames_makes_an_update_on_bytes():
    from toys import advance_of

    agent = small_dqn(ScreenDQN, replay={"begin": 8, "capacity": 8, "minibatch": 4})
    (batch,) = agent.batches(0)
    assert batch.observation.dtype == np.uint8
    before = np.array(agent.q_network.head.kernel)
    advance, carry, _ = advance_of(agent, {"name": "Adam", "learning_rate": 1e-4}, batch)
    _, tally = advance(batch, carry, *map(np.int32, (0, 1)))
    assert np.isfinite(float(tally.sums["loss"])) and not np.array_equal(before, agent.q_network.head.kernel)
