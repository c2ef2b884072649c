"""What training makes of the made text and of the made sentences, from the command line."""

import numpy as np
import pandas as pd
import pytest
from small import ROOT, deqn

from deqn.project.user_code import load_module


@pytest.fixture
def project(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "models").symlink_to(ROOT / "models")
    return tmp_path


def train(project, folder, stem, seed, *overrides):
    words = [word for each in overrides for word in ("--set", each)]
    return deqn(project, "train", f"models/{folder}/{stem}.yaml", "--run", "one", "--seed", str(seed), *words)


@pytest.mark.slow
def test_a_text_of_ones_own_is_learned_letter_by_letter(project):
    (project / "own.txt").write_text("to be or not to be, that is the question: " * 20)
    tiny = ["parameters.file=own.txt", "parameters.units=[4]", "parameters.streams=3", "phases.0.updates=3",
            "validate_every=3", "parameters.samples=5"]  # fmt: skip
    done = train(project, "language", "language", 0, *tiny)
    assert done.returncode == 0, done.stderr
    assert "of own.txt, 15 different ones" in done.stdout
    found = pd.read_csv(project / "runs/language/one/perplexity.csv").set_index("distribution")["test"]
    assert list(found.index) == ["network", "bigram", "unigram"]
    assert found["bigram"] < found["unigram"] < 15


def test_a_text_without_letters_is_refused_in_one_line(project):
    (project / "empty.txt").write_text("")
    done = train(project, "language", "language", 0, "parameters.file=empty.txt")
    assert done.returncode == 2
    assert "parameters.file: empty.txt has 0 different letters, expected 2 or more" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_sentences_need_more_than_a_count_of_words():
    make = load_module(ROOT / "models/text", "sentences")
    texts, praises = make.sentences(432, np.random.default_rng(0))
    assert len(set(texts)) == 432
    assert praises.mean() == 0.5
    negated = np.array([" not " in text for text in texts])
    assert praises[negated].mean() == praises[~negated].mean() == 0.5
    with pytest.raises(ValueError, match="sentences: got 433, expected at most 432"):
        make.sentences(433, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_network_comes_near_the_entropy_of_the_made_source(project, seed):
    done = train(project, "language", "language", seed)
    assert done.returncode == 0, done.stderr
    run = project / "runs/language/one"
    table = pd.read_csv(run / "perplexity.csv").set_index("distribution")
    assert table["above_best_percent"]["network"] <= 3
    assert table["test"]["network"] < min(table["test"]["bigram"], table["test"]["unigram"])
    # Texts drawn from the network have the source's pairs of letters.
    assert pd.read_csv(run / "pairs.csv")["p"][0] > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_hundred_sentences_teach_what_not_denies(project, seed):
    done = train(project, "text", "sentiment", seed)
    assert done.returncode == 0, done.stderr
    accuracy = pd.read_csv(project / "runs/sentiment/one/accuracy.csv").set_index("classifier")["accuracy"]
    assert accuracy["gru"] >= 0.9
    assert accuracy["counts of words"] <= 0.7
    answers = pd.read_csv(project / "runs/sentiment/one/new_texts.csv")["praise"]
    assert (answers > 0.5).tolist() == [True, False, True]
