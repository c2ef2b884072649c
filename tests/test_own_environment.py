"""Environments of one's own, named MODULE:CLASS in a parameter file: what is wrong with one is told in one line."""

import pytest

from deqn.project.errors import UserError
from deqn.rl.gym_environments import gym_maker

TANK = """
import gymnasium, numpy as np


class Tank(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 3, (1,), np.float32)
    action_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        return np.ones(1, np.float32), 0.0, False, False, {}
"""


def test_one_in_a_file_of_the_folder_or_in_a_module_that_python_finds_is_made(tmp_path):
    (tmp_path / "tank.py").write_text(TANK)
    assert type(gym_maker("tank:Tank", tmp_path)()).__name__ == "Tank"
    name = "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
    assert type(gym_maker(name)()).__name__ == "CartPoleEnv"


@pytest.mark.parametrize(
    ("text", "instead", "name", "words"),
    [
        ("", "", "tank:Tnak", r"environment: tank:Tnak: no gymnasium\.Env of that name; did you mean 'Tank'\?"),
        ("", "", "tonk:Tank", r"environment: tonk:Tank: no file .*tonk\.py, and Python can't import it"),
        ("", "", "Tank-v0", r"gymnasium does not know 'Tank-v0';.* one of your own is MODULE:CLASS"),
        ("np.ones(1, np.float32), {}", "np.ones(2, np.float32), {}", "tank:Tank", "does not pass gymnasium's checks: "),
        ("0.0, False, False, {}", "False, {}", "tank:Tank", "does not pass gymnasium's checks: "),
        ("import gymnasium, numpy as np", "import gymnasum", "tank:Tank", r"tank\.py, line 2: ModuleNotFoundError"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path, text, instead, name, words):
    (tmp_path / "tank.py").write_text(TANK.replace(text, instead) if text else TANK)
    with pytest.raises(UserError, match=words) as told:
        gym_maker(name, tmp_path)
    assert "\n" not in str(told.value)
