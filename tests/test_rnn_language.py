"""The recurrent language network: exact probabilities, sampling, vocabulary; the made source against brute force."""

import itertools

import numpy as np
import pytest
from problems import module
from scipy import stats

from deqn.rnn.language import LanguageNetwork, cross_entropy, log_probability, perplexity, sample
from deqn.rnn.vocabulary import Vocabulary

SecondOrderMarkov = module("language", "source").SecondOrderMarkov


def network(vocabulary=2, cell="gru", units=(6,), scale=1.0):
    net = LanguageNetwork(vocabulary, 3, cell, units, seed=4, dtype="float64")
    generator = np.random.default_rng(1)
    for variable in net.trainable_variables:
        variable.assign(scale * generator.normal(size=variable.shape))
    return net


def test_a_network_without_weights_has_the_perplexity_of_its_vocabulary():
    for size in (2, 7):
        tokens = np.random.default_rng(0).integers(0, size, (5, 30))
        assert perplexity(network(size, scale=0.0), tokens) == pytest.approx(size, rel=1e-12)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_probabilities_of_all_continuations_sum_to_one(cell):
    net = network(cell=cell)
    for first in (0, 1):
        rest = np.array(list(itertools.product((0, 1), repeat=9)), np.int32)  # T = 10
        tokens = np.column_stack([np.full(len(rest), first), rest])
        assert np.exp(log_probability(net, tokens)).sum() == pytest.approx(1.0, abs=1e-10)


def test_a_sequence_is_as_probable_as_its_steps_one_by_one():
    # Choe, Shin & Spencer (2017), section 3.1: the product of g(h_t), with h_t from the tokens up to t alone.
    net, tokens = network(4), np.random.default_rng(2).integers(0, 4, (1, 6)).astype(np.int32)
    product = 1.0
    for t in range(1, 6):
        logits = np.asarray(net(tokens[:, :t]))[0, -1]
        product *= np.exp(logits[tokens[0, t]]) / np.exp(logits).sum()
    assert np.exp(log_probability(net, tokens)[0]) == pytest.approx(product, rel=1e-12)


def test_perplexity_is_the_exponential_of_the_loss_under_teacher_forcing():
    net, tokens = network(5), np.random.default_rng(3).integers(0, 5, (4, 12)).astype(np.int32)
    loss = cross_entropy(net(tokens[:, :-1]), tokens[:, 1:])
    assert perplexity(net, tokens) == pytest.approx(np.exp(float(loss)), rel=1e-12)
    valid = np.arange(11) < np.array([[11], [5], [3], [1]])
    by_row = [
        float(cross_entropy(net(tokens[[b], :n]), tokens[[b], 1 : n + 1])) * n for b, n in enumerate(valid.sum(1))
    ]
    masked = cross_entropy(net(tokens[:, :-1]), tokens[:, 1:], valid)
    assert float(masked) == pytest.approx(sum(by_row) / valid.sum(), rel=1e-12)


def test_samples_are_as_frequent_as_the_network_says():
    # Theorem 5 of Choe, Shin & Spencer (2017): drawing token by token gives the distribution of whole sequences.
    net, count = network(3, "lstm"), 20_000
    rest = np.array(list(itertools.product(range(3), repeat=3)), np.int32)
    exact = np.exp(log_probability(net, np.column_stack([np.ones(len(rest), np.int32), rest])))
    drawn = sample(net, np.ones((count, 1), np.int32), 3, np.random.default_rng(0))
    assert np.all(drawn[:, 0] == 1)
    seen = np.bincount(drawn[:, 1:] @ [9, 3, 1], minlength=27)
    assert stats.chisquare(seen, count * exact).pvalue > 0.01


def test_a_sample_goes_on_from_all_of_its_beginning_and_is_the_same_for_the_same_seed():
    net, begin = network(3), np.array([[0, 1, 2], [2, 2, 0]], np.int32)
    one, two = (sample(net, begin, 5, np.random.default_rng(6)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[:, :3], begin)
    # The first token drawn has the distribution given the whole beginning, not its last token alone.
    many = sample(net, np.repeat(begin[:1], 20_000, axis=0), 1, np.random.default_rng(7))[:, 3]
    logits = np.asarray(net(begin[:1]))[0, -1]
    assert stats.chisquare(np.bincount(many, minlength=3), 20_000 * np.exp(logits) / np.exp(logits).sum()).pvalue > 0.01


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LanguageNetwork(1, 3, "rnn", (4,), seed=0), "vocabulary: got 1, expected 2 tokens or more"),
        (lambda: perplexity(network(3), np.zeros((2, 1), int)), r"tokens: got shape \(2, 1\), expected \[batch, 2 or"),
        (lambda: perplexity(network(3), np.array([[0, 3]])), "tokens: got 0 to 3, expected 0 to 2"),
        (lambda: sample(network(3), np.zeros((2, 0), int), 4, None), r"begin, length: got shape \(2, 0\) and 4"),
        (lambda: Vocabulary("ab").encode(""), "text: got no token"),
        (lambda: Vocabulary("ab").encode("abc"), "text: got 'c', which is none of the 2 tokens"),
        (lambda: Vocabulary(["a"]), "tokens: got 1"),
        (lambda: Vocabulary(["a", "b", "a"]), "tokens: got 'a' 2 times"),
    ],
)
def test_sequences_and_vocabularies_that_make_no_sense_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_tokens_come_back_from_their_numbers_and_unknown_ones_as_such():
    words = Vocabulary(["<unk>", "the", "cat", "and"])
    assert words.decode(words.encode(["the", "bird", "and"])) == ["the", "<unk>", "and"]


def test_the_made_source_has_the_entropy_that_its_own_samples_show():
    source = SecondOrderMarkov(4, 0.5, np.random.default_rng(0))
    x = source.sample(4000, 60, np.random.default_rng(1))
    log_p = np.log(source.P[x[:, :-2], x[:, 1:-1], x[:, 2:]]).mean(axis=1)
    error = log_p.std() / np.sqrt(len(x))
    assert -log_p.mean() == pytest.approx(np.log(source.perplexities()["source"]), abs=3 * error)
    # Every place of a sequence has the stationary distribution of pairs.
    last = np.bincount(4 * x[:, -2] + x[:, -1], minlength=16)
    assert stats.chisquare(last, 4000 * source.pairs.ravel()).pvalue > 0.01


def test_knowing_more_letters_of_the_made_source_never_hurts():
    perplexities = SecondOrderMarkov(5, 0.3, np.random.default_rng(3)).perplexities()
    assert 1 < perplexities["source"] < perplexities["bigram"] < perplexities["unigram"] < 5
