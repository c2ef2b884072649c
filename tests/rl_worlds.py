"""Environments small enough to be solved exactly, and agents in them."""

import gymnasium
import numpy as np
from toys import settings

from deqn.rl.ddpg import DDPG
from deqn.rl.dqn import DQN
from deqn.rl.environments import Environments
from deqn.rl.gym_environments import GymEnvironments, gym_maker
from deqn.rl.parameters import DDPGSettings, DQNSettings, ReinforceSettings
from deqn.rl.reinforce import Reinforce
from deqn.rl.replay import Minibatch


class Stateless(Environments):
    """What the small worlds share: spaces of the class, randomness as a function of the number of the step."""

    def __init__(self, count, stream):
        self.name, self.count, self.stream = type(self).__name__, count, list(stream)
        self.x, self.steps = self.zeros(count), 0
        super().__init__()

    def zeros(self, count):
        """Position and age."""
        return np.zeros((2, count))

    def begin(self, chosen):
        self.x = np.where(chosen, [self.fresh(), np.zeros(self.count, int)], self.x)
        return self.seen()

    def own_state(self):
        return {"x": self.x}

    def restore_own(self, state):
        self.x = np.array(state["x"])
        return self.seen()

    def draws(self, *purpose):
        return np.random.default_rng([*self.stream, self.steps, *purpose])


class Chain(Stateless):
    """Five states in a row; action 1 goes right, 0 left, one in ten the other way.

    Beyond the right end lies 1 and the end of the world; each bump at the left end pays .1. A limit of 30 truncates.
    """

    states, slip, bump, limit = 5, 0.1, 0.1, 30

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (5,), np.float32), gymnasium.spaces.Discrete(2)

    def zeros(self, count):
        return np.zeros((2, count), int)

    def seen(self):
        return np.eye(self.states, dtype=np.float32)[self.x[0]]

    def fresh(self):
        return self.draws(1).integers(self.states, size=self.count)

    def advance(self, actions):
        slipped = self.draws(2).random(self.count) < self.slip
        target = self.x[0] + np.where(slipped, -1, 1) * (2 * actions - 1)
        rewards = np.where(target < 0, self.bump, 0.0) + (target == self.states)
        self.x = np.stack([np.clip(target, 0, self.states - 1), self.x[1] + 1])
        terminated = target == self.states
        return self.seen(), rewards, terminated, ~terminated & (self.x[1] >= self.limit)

    @classmethod
    def exact_q(cls, discount):
        """[states, actions] by value iteration over the same rules, written out once more."""
        q = np.zeros((cls.states, 2))
        for _ in range(2000):
            v = q.max(axis=1)
            right = np.array([discount * v[s + 1] if s + 1 < cls.states else 1.0 for s in range(cls.states)])
            left = np.array([discount * v[s - 1] if s else cls.bump + discount * v[0] for s in range(cls.states)])
            q = np.stack([(1 - cls.slip) * left + cls.slip * right, (1 - cls.slip) * right + cls.slip * left], axis=1)
        return q


class LinearQuadratic(Stateless):
    """x' = .9 x + .5 u + .1 e, reward -(x^2 + .5 u^2), |u| <= 2; truncated after 10 steps."""

    a, b, r, sd, limit, bound = 0.9, 0.5, 0.5, 0.1, 10, 2.0

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-bound, bound, (1,), np.float32)

    def seen(self):
        return self.x[0][:, None].astype(np.float32)

    def fresh(self):
        return self.draws(1).uniform(-1.5, 1.5, self.count)

    def advance(self, actions):
        u, (x, age) = actions[:, 0], self.x
        self.x = np.stack([self.a * x + self.b * u + self.sd * self.draws(2).standard_normal(self.count), age + 1])
        never = np.zeros(self.count, bool)
        return self.seen(), -(x**2 + self.r * u**2), never, self.x[1] >= self.limit

    @classmethod
    def riccati_gain(cls, discount):
        """k of the best u = -k x: the fixed point of the discounted Riccati equation."""
        p = 1.0
        for _ in range(1000):
            k = discount * cls.a * cls.b * p / (cls.r + discount * cls.b**2 * p)
            p = 1.0 + cls.r * k**2 + discount * p * (cls.a - cls.b * k) ** 2
        return k


class Bandit(Stateless):
    """Three arms, paying 1, 2 and 4; every episode is one step."""

    pays = np.array([1.0, 2.0, 4.0])

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (1,), np.float32), gymnasium.spaces.Discrete(3)

    def seen(self):
        return np.ones((self.count, 1), np.float32)

    def fresh(self):
        return np.zeros(self.count)

    def advance(self, actions):
        return self.seen(), self.pays[actions], np.ones(self.count, bool), np.zeros(self.count, bool)


class Target(Bandit):
    """Pays -(a - .6)^2 for a number a in [-1, 1]; every episode is one step."""

    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def advance(self, actions):
        return self.seen(), -((actions[:, 0] - 0.6) ** 2), np.ones(self.count, bool), np.zeros(self.count, bool)


class Endless(LinearQuadratic):
    """The same without any limit: no episode ever ends by itself."""

    def advance(self, actions):
        following, rewards, never, _ = super().advance(actions)
        return following, rewards, never, never


class InWorld:
    """An agent that acts in a world of this file, or in one that gymnasium knows by name."""

    def make_environments(self, count, stream):
        known = isinstance(self.world, str)
        return GymEnvironments(gym_maker(self.world), count, stream) if known else self.world(count, stream)


class SmallDQN(InWorld, DQN):
    world = Chain


class CartDQN(SmallDQN):
    world = "CartPole-v1"


class SmallDDPG(InWorld, DDPG):
    world = LinearQuadratic


class EndlessDDPG(SmallDDPG):
    world = Endless


class PendulumDDPG(SmallDDPG):
    world = "Pendulum-v1"


class SmallReinforce(InWorld, Reinforce):
    world = Bandit


class TargetReinforce(SmallReinforce):
    world = Target


class EndlessReinforce(SmallReinforce):
    world = Endless


class CartReinforce(SmallReinforce):
    world = "CartPole-v1"


class FedDQN(SmallDQN):
    """Learns from the same 64 transitions again and again: of n ranks each gets every n-th."""

    def __init__(self, rank=0, ranks=1):
        super().__init__(DQNSettings(hidden=[8], replay={"minibatch": 64 // ranks, "begin": 64}), settings(), rank)
        self.share = slice(rank, None, ranks)

    def batches(self, episode):
        yield Minibatch(*(each[None, self.share] for each in transitions(64)))


def transitions(count, seed=0):
    """Made ones in the chain, [count, ...] each."""
    generator = np.random.default_rng(seed)
    seen = np.eye(Chain.states, dtype=np.float32)[generator.integers(Chain.states, size=(2, count))]
    rewards, ended = generator.normal(size=count).astype("float32"), (generator.random(count) < 0.3).astype("float32")
    return Minibatch(seen[0], generator.integers(2, size=count), rewards, seen[1], ended)


def small_dqn(make=SmallDQN, seed=0, **parameters):
    """An agent with a tiny network by default."""
    chosen = {"hidden": [], "replay": {"begin": 64, "capacity": 500, "minibatch": 32}, **parameters}
    return make(DQNSettings.model_validate(chosen), settings(seed=seed))


def small_ddpg(make=SmallDDPG, seed=0, **parameters):
    """An agent with a tiny network by default."""
    chosen = {"hidden": [8], "replay": {"begin": 64, "capacity": 500, "minibatch": 32}, **parameters}
    return make(DDPGSettings.model_validate(chosen), settings(seed=seed))


def small_reinforce(make=SmallReinforce, seed=0, **parameters):
    """An agent with a tiny network by default."""
    return make(ReinforceSettings.model_validate({"hidden": [], "steps": 5, **parameters}), settings(seed=seed))
