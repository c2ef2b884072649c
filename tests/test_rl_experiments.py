"""The shipped experiments at their stated size: what each has to reach, over seeds 0, 1 and 2."""

import numpy as np
import pytest
from problems import problem_of

from deqn.project.errors import UserError
from deqn.training.trainer import Trainer


def trained(file, seed, *settings):
    """The problem of a parameter file after its training, and how that ended."""
    problem, read = problem_of(file, f"seed={seed}", *settings)
    return problem, Trainer(problem, read).train()


def seeds_that_reach(file, minus_return):
    """How many of three seeds validate below a threshold; a training ends when it does, and the third if two have."""
    reached = 0
    for seed in range(3):
        if reached < 2:
            _, outcome = trained(file, seed, f"stop={{minus_return: {minus_return}}}")
            reached += outcome.best["minus_return"] <= minus_return
    return reached


@pytest.mark.slow
def test_reinforce_solves_cartpole_within_1500_episodes_for_two_of_three_seeds():
    assert seeds_that_reach("cartpole/cartpole_reinforce", -475) >= 2
    problem, settings = problem_of("cartpole/cartpole_reinforce")
    assert settings.phases[0].updates * problem.p.environments <= 1500
    assert problem.p.average_over == 100


@pytest.mark.slow
def test_dqn_reaches_400_on_cartpole_within_60000_steps_for_two_of_three_seeds():
    assert seeds_that_reach("cartpole/cartpole_dqn", -400) >= 2


@pytest.mark.slow
def test_ddpg_reaches_minus_250_on_the_pendulum_within_20000_steps_for_two_of_three_seeds():
    assert seeds_that_reach("pendulum/pendulum", 250) >= 2


@pytest.mark.parametrize(("file", "most"), [("cartpole/cartpole_dqn", 60_000), ("pendulum/pendulum", 20_000)])
def test_an_experiment_makes_no_more_transitions_than_its_gate_allows(file, most):
    problem, settings = problem_of(file)
    p = problem.p
    episodes = sum(phase.updates for phase in settings.phases) / p.updates
    begin = -(-p.replay.begin // p.environments) * p.environments
    assert begin + episodes * p.steps * p.environments <= most


@pytest.mark.long
def test_ddpg_finds_the_saving_rate_of_brock_and_mirman_from_every_seed():
    errors = []
    for seed in range(3):
        problem, _ = trained("brock_mirman/brock_mirman_ddpg", seed)
        row = problem.results().tables["agent"][0]
        errors.append(row["saving rate error, mean"])
        assert row["saving rate error, max"] < 0.05
    assert max(errors) < 0.03
    assert np.median(errors) < 0.015


@pytest.mark.parametrize(
    ("file", "setting", "expected"),
    [
        ("cartpole_dqn", "environment=Pendulum-v1", "DQN needs a Discrete .* but Pendulum-v1 has Box.*DDPG takes"),
        ("cartpole_dqn", "environment=FrozenLake-v1", "DQN needs to observe a vector .* but FrozenLake-v1 has"),
        ("cartpole_dqn", "environment=CartPole-v7", "does not know 'CartPole-v7'; did you mean 'CartPole-v1'"),
        ("cartpole_dqn", "replay.begin=200000", "parameters.replay.begin: got 200000, expected at most"),
        ("pendulum", "environment=CartPole-v1", "DDPG needs a Box .* but CartPole-v1 has Discrete.*DQN takes"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(file, setting, expected):
    with pytest.raises(UserError, match=expected) as caught:
        problem_of(f"{file.split('_')[0]}/{file}", f"parameters.{setting}")
    assert "\n" not in str(caught.value)
