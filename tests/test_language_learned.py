"""What training makes of the made text and of the made sentences, at their stated size."""

import numpy as np
import pytest
from problems import module, problem_of, tables_of

from deqn.project.errors import UserError


@pytest.mark.slow
def test_a_text_of_ones_own_is_learned_letter_by_letter(tmp_path):
    (tmp_path / "own.txt").write_text("to be or not to be, that is the question: " * 20)
    tiny = [f"parameters.file={tmp_path / 'own.txt'}", "parameters.units=[4]", "parameters.streams=3",
            "phases.0.updates=3", "validate_every=3", "parameters.samples=5"]  # fmt: skip
    assert "own.txt, 15 different ones" in problem_of("language/language", *tiny)[0].describe()["data"]
    found = tables_of("language/language", *tiny)["perplexity"].set_index("distribution")["test"]
    assert list(found.index) == ["network", "bigram", "unigram"]
    assert found["bigram"] < found["unigram"] < 15


def test_a_text_without_letters_is_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match=r"parameters.file: .*empty.txt has 0 different letters, expected 2 or more"):
        problem_of("language/language", f"parameters.file={tmp_path / 'empty.txt'}")


def test_the_sentences_need_more_than_a_count_of_words():
    make_sentences = module("text", "sentences").make_sentences
    texts, praises = make_sentences(432, np.random.default_rng(0))
    assert len(set(texts)) == 432
    assert praises.mean() == 0.5
    negated = np.array([" not " in text for text in texts])
    assert praises[negated].mean() == praises[~negated].mean() == 0.5
    with pytest.raises(ValueError, match="sentences: got 433, expected at most 432"):
        make_sentences(433, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_a_network_comes_near_the_entropy_of_the_made_source(seed):
    found = tables_of("language/language", f"seed={seed}")
    table = found["perplexity"].set_index("distribution")
    assert table["above_best_percent"]["network"] <= 3
    assert table["test"]["network"] < min(table["test"]["bigram"], table["test"]["unigram"])
    # Texts drawn from the network have the source's pairs of letters.
    assert found["pairs"]["p"][0] > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_hundred_sentences_teach_what_not_denies(seed):
    found = tables_of("text/sentiment", f"seed={seed}")
    accuracy = found["accuracy"].set_index("classifier")["accuracy"]
    assert accuracy["gru"] >= 0.9
    assert accuracy["counts of words"] <= 0.7
    assert (found["new_texts"]["praise"] > 0.5).tolist() == [True, False, True]
