"""The sections on data of one's own in the READMEs of models/: what stands there is run, in small, as it is typed."""

import json
import re

import pytest
import tensorflow as tf
from problems import problem_of
from projects import ROOT, make_project, typed

from deqn.project.errors import UserError

FAST = ("panel", "forecasting", "spillovers")
SLOW = ("quantiles", "hmm", "dml", "text", "vhrnn", "cartpole", "pendulum")
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


HMM = ["parameters.states=[2]", "parameters.symbols=3", "parameters.model.initial=[0.5, 0.5]",
       "parameters.model.transition=[[0.9, 0.1], [0.2, 0.8]]"]  # fmt: skip
RAIN = "text,label\n" + "".join(f"day {n} was {word},{word}\n" for n in range(8) for word in ("wet", "dry"))


@pytest.mark.parametrize(
    ("file", "text", "more", "words"),
    [
        ("hmm/hmm_forward", "", [*HMM, "parameters.model.emission=[[0.7, 0.3], [0.4, 0.6]]"],
         r"parameters\.model: has 2 states and 2 symbols; write states: \[2\] and symbols: 2 \(got \[2\] and 3\)"),
        ("hmm/hmm_forward", "", [*HMM, "parameters.model.emission=[[0.7, 0.2, 0.2], [0.1, 0.3, 0.6]]"],
         r"parameters\.model: emission: row 0 sums to 1\.1"),
        ("text/sentiment", RAIN + "day 9 was cold,cold\n", [], r"has the labels cold, dry, wet, expected"),
        ("text/sentiment", RAIN, ["parameters.praise=hot"], r"dry, wet, expected two, of which 'hot' is"),
        ("text/sentiment", RAIN + ",dry\n", [], r"line 18: text is missing, expected a text"),
        ("text/sentiment", RAIN[:40], [], "expected"),
        ("quantiles/quantiles", "date,return\n2020-01-01,1\n2020-01-02,2\n", [], r"has 2 rows, of which 1 validate"),
        ("quantiles/quantiles", "date,return\n2020-01-01,1\n2020-01-02,\n", [], r"line 3: return is missing"),
        ("forecasting/forecasting", "date,return\n2020-01-02,1\n2020-01-01,2\n", [], "sort the rows; or say"),
        ("vhrnn/anomalies", "date,return\n2020-01-01,1\n", [], r"has 1 rows, expected at least 268 for"),
    ],
)  # fmt: skip
def test_a_mistake_in_it_is_told_in_one_line(file, text, more, words, tmp_path):
    (tmp_path / "own.csv").write_text(text)
    own = [f"parameters.file={tmp_path / 'own.csv'}"] if text else []
    with pytest.raises(UserError, match=words) as told:
        problem_of(file, *own, *more)
    assert "\n" not in str(told.value)


def test_the_label_that_counts_as_praise_may_be_chosen(tmp_path):
    (tmp_path / "own.csv").write_text(RAIN)
    for praise in ("dry", "wet"):
        own = [f"parameters.file={tmp_path / 'own.csv'}", f"parameters.praise={praise}"]
        problem = problem_of("text/sentiment", *own)[0]
        assert [praise in text for text in problem.texts] == list(problem.praises)


def test_a_model_of_ones_own_is_the_one_that_paths_are_drawn_from():
    more = "parameters.model.emission=[[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]"
    problem = problem_of("hmm/hmm_forward", *HMM, more, "parameters.paths=20000", "parameters.tests=10")[0]
    hidden, observed = problem.train[2]
    after_0 = hidden[:, 1:][hidden[:, :-1] == 0]
    assert (after_0 == 1).mean() == pytest.approx(0.1, abs=0.01)
    assert (observed[hidden == 1] == 2).mean() == pytest.approx(0.6, abs=0.01)
