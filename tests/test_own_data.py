"""The sections on data of one's own in the READMEs of models/: what stands there is run, in small, as it is typed."""

import json
import re

import pytest
import tensorflow as tf
from projects import ROOT, make_project, typed

FAST = ("panel", "forecasting", "quantiles", "hmm", "cartpole")
SLOW = ("dml", "text", "vhrnn", "pendulum")
SMALL = {
    "dml": ["parameters.hidden=[4]"],
    "vhrnn": ["parameters.latent=2", "parameters.hidden=2", "parameters.particles=2", "parameters.test_particles=2"],
    "hmm": ["parameters.paths=200", "parameters.tests=40", "parameters.hidden=[2]", "parameters.starts=1"],
    "cartpole": ["parameters.replay.begin=40", "parameters.steps=2", "parameters.updates=2",
                 "parameters.evaluation_episodes=1", "parameters.environments=1"],
    "pendulum": ["parameters.replay.begin=40", "parameters.steps=2", "parameters.updates=2",
                 "parameters.evaluation_episodes=1"],
}  # fmt: skip


def blocks(folder):
    """The section of one's own data in a README: pairs of language and text."""
    text = (ROOT / "models" / folder / "README.md").read_text()
    section = re.search(r"^#+ (Data|Texts|A model|An environment) of your own\n(.*)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```(\w+)\n(.*?)^```$", section[2], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("folder", [*FAST, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW)])
def test_what_the_readme_says_of_ones_own_data_runs(folder, tmp_path, monkeypatch):
    make_project(tmp_path, folder)
    monkeypatch.chdir(tmp_path)
    tf.config.run_functions_eagerly(True)
    try:
        trained = 0
        for language, text in blocks(folder):
            if home := re.match(r"# (models/\S+)\n", text):
                (tmp_path / home[1]).write_text(text)
            elif language == "python":
                exec(compile(text, f"{folder}/README.md", "exec"), {})
            else:
                for line in text.splitlines():
                    small = [word for each in ["phases=[{updates: 2}]", "validate_every=2", *SMALL.get(folder, [])]
                             for word in ("--set", each)]  # fmt: skip
                    words = [word for word in line.split()[1:] if not word.startswith("phases.0")]
                    words = [
                        w for w, after in zip(words, [*words[1:], ""], strict=True) if w != "--set" or "=" in after
                    ]
                    done = typed(tmp_path, *words, *small)
                    assert done.returncode == 0, done.stderr
                    run = tmp_path / "runs" / words[1].split("/")[-1].removesuffix(".yaml") / words[3]
                    assert json.loads((run / "provenance.json").read_text())["updates"] == 2
                    trained += 1
        assert trained
    finally:
        tf.config.run_functions_eagerly(False)
