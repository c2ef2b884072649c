"""VRNN and VHRNN on sequences of a file: made music and made prices, whose likelihoods are known."""

import pickle

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from problems import module, problem_of, trained

from deqn.project.errors import UserError
from deqn.sequence.bounds import fivo
from deqn.sequence.hmm import forward
from deqn.sequence.music import HIGHEST_NOTE, LOWEST_NOTE, NOTES
from deqn.sequence.panels import read_stocks
from deqn.training.trainer import Trainer

SMALL = ("parameters.latent=3", "parameters.hidden=3", "parameters.network=vrnn", "parameters.test_particles=8")


@pytest.fixture
def eager():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


class Chords:
    """A hidden Markov model over twelve chords of three keys, each of which sounds with .9, any other key with .01."""

    transition = 0.75 * np.eye(12)[np.roll(np.arange(12), -1)] + 0.25 / 12

    def __init__(self):
        self.sounds = np.full((12, NOTES), 0.01)
        for chord, row in enumerate(self.sounds):
            row[chord * 5 + np.array([10, 14, 17])] = 0.9

    def pieces(self, count, generator):
        for _ in range(count):
            chord = [generator.integers(12)]
            for _ in range(generator.integers(15, 31) - 1):
                chord.append(generator.choice(12, p=self.transition[chord[-1]]))
            yield (generator.random((len(chord), NOTES)) < self.sounds[chord]).astype(float)

    def log_p(self, piece):
        logs = piece @ np.log(self.sounds).T + (1 - piece) @ np.log(1 - self.sounds).T  # [T, 12]
        top = logs.max(axis=1, keepdims=True)
        steps = forward(np.full(12, 1 / 12), self.transition, np.exp(logs - top)[:, None, :])
        return sum(step.log_norm[0] for step in steps) + top.sum()


def music_of(folder, counts=(150, 20, 40), seed=0):
    """A file of made music."""
    generator, made = np.random.default_rng(seed), Chords()
    keys = np.arange(LOWEST_NOTE, HIGHEST_NOTE + 1)
    content = {
        name: [[keys[row > 0].tolist() for row in piece] for piece in made.pieces(count, generator)]
        for name, count in zip(("train", "valid", "test"), counts, strict=True)
    }
    (folder / "music.pickle").write_bytes(pickle.dumps(content))
    return folder / "music.pickle"


def test_a_padded_piece_has_the_bound_of_the_piece_alone_and_a_long_one_is_cut(tmp_path, eager):
    file, most = music_of(tmp_path, (2, 1, 1)), 8
    problem, _ = problem_of("vhrnn/music", f"parameters.file={file}", f"parameters.longest={most}", *SMALL)
    test = problem.parts["test"]
    whole = [len(piece) for piece in pickle.loads(file.read_bytes())["test"]]
    assert test.lengths.tolist() == [min(most, length - at) for length in whole for at in range(0, length, most)]
    assert test.lengths.min() < most
    shortest = int(test.lengths.argmin())
    alone = test.x[shortest : shortest + 1, : test.lengths[shortest]]
    assert not test.x[shortest, test.lengths[shortest] :].any()
    found = [problem.evaluate(test.x[[shortest]], 8, lengths=test.lengths[[shortest]]), problem.evaluate(alone, 8)]
    np.testing.assert_allclose(found[0].log_p, found[1].log_p, rtol=1e-5)
    mean, each = problem.per_step(test, 8)
    assert mean == pytest.approx(each.sum() / test.lengths.sum())
    assert problem.results().tables["parts"][2]["sequences"] == len(test.x)
    (batch,) = list(problem.batches(0))[:1]  # four pieces: the loss is the bound over all their steps
    loss = problem.losses(tuple(map(tf.constant, batch)), (), tf.constant([1, 2])).minimize["network"]
    bound = fivo(problem.network, tf.constant(batch[0]), tf.constant([1, 2]), 4, tf.constant(batch[1]))
    assert float(loss) == pytest.approx(-bound.log_p.numpy().sum() / batch[1].sum(), rel=1e-5)


def test_without_a_file_or_with_another_one_the_message_says_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"parameters\.file: not given, expected the path of a file of music"):
        problem_of("vhrnn/music", *SMALL)
    (tmp_path / "prices.csv").write_text("date,symbol,open\n1,A,2\n")
    with pytest.raises(UserError, match=r"parameters\.file: .*prices\.csv: no column high, low, close, volume"):
        problem_of("vhrnn/stocks", f"parameters.file={tmp_path / 'prices.csv'}", *SMALL)


@pytest.mark.slow
def test_music_of_a_known_model_is_learned_beyond_independent_keys_and_no_bound_is_above_the_truth(tmp_path):
    file, made = music_of(tmp_path), Chords()
    small = ("parameters.latent=8", "parameters.hidden=16", "parameters.omega_width=12", "phases.0.updates=1500")
    problem = trained("vhrnn/music", f"parameters.file={file}", "parameters.longest=40", *small)
    test = problem.parts["test"]
    exact = np.array([made.log_p(x[:n].astype(float)) for x, n in zip(test.x, test.lengths, strict=True)])
    row = problem.results().tables["parts"][2]
    best, gap = exact.sum() / test.lengths.sum(), exact - problem.per_step(test, 128)[1]
    print(f"independent keys {row['without_memory']:.3f}, FIVO {row['fivo']:.3f}, exact {best:.3f}")
    assert row["without_memory"] + 1 < row["fivo"] < best
    assert gap.mean() > 3 * gap.std() / np.sqrt(len(gap))


def garch(companies, days, generator):
    """Returns [companies, 2 days, 5] of GARCH(1,1), with one variance for five columns, and ln p of each step.

    alpha .35, beta .6; the long-run variance is 1e-4 on the first half of the days, four times as large on the second.
    """
    variance, ratios, log_p = np.full((companies, 1), 1e-4), [], []
    for day in range(2 * days):
        ratios.append(np.sqrt(variance) * generator.normal(size=(companies, 5)))
        log_p.append((-0.5 * ratios[-1] ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)).sum(axis=1))
        long_run = 1e-4 if day < days else 4e-4
        variance = 0.05 * long_run + 0.35 * (ratios[-1] ** 2).mean(axis=1, keepdims=True) + 0.6 * variance
    return np.stack(ratios, axis=1), np.stack(log_p, axis=1)


@pytest.mark.slow
def test_prices_of_a_known_process_are_nearly_as_likely_as_they_can_be(tmp_path):
    days, generator = 60, np.random.default_rng(0)
    prices = 50 * np.exp(np.cumsum(np.pad(garch(140, days, generator)[0], [(0, 0), (2, 0), (0, 0)]), axis=1))
    table = pd.DataFrame(prices.reshape(-1, 5), columns=["open", "high", "low", "close", "volume"])
    rows = prices.shape[1]
    table["date"], table["symbol"] = np.tile([f"{d:03d}" for d in range(rows)], 140), np.repeat(np.arange(140), rows)
    table.to_csv(tmp_path / "prices.csv", index=False)
    sizes = (
        "parameters.companies=[100, 20, 20]",
        "parameters.latent=6",
        "parameters.hidden=6",
        "phases.0.updates=2000",
    )
    file = (f"parameters.file={tmp_path / 'prices.csv'}", f"parameters.days={days}")
    problem, settings = problem_of("vhrnn/stocks", *file, *sizes)
    mean, scale = scale_of(tmp_path / "prices.csv", problem)
    new, log_p = garch(60, days, generator)
    first, second = slice(0, days), slice(days, None)

    def part(companies, half):
        x = (new[companies, half] - mean) / scale
        return module("vhrnn", "on_file").Part(x.astype(np.float32), np.full(len(x), days))

    # The file's validation is on the second half of the days, for which no weights of the first are the right ones.
    problem.parts["valid"] = part(slice(0, 20), first)
    Trainer(problem, settings).train()
    gaps = {}
    for name, half in {"first": first, "second": second}.items():
        fivo = problem.per_step(part(slice(20, None), half), 128)[0]
        gaps[name] = log_p[20:, half].mean() + np.log(scale).sum() - fivo
    print(f"below the truth: first half {gaps['first']:.3f}, second {gaps['second']:.3f} nats a step")
    # One normal distribution for all days is .44 below the truth on the first half, 2.9 on the second.
    assert 0 < gaps["first"] < 0.15


def scale_of(path, problem):
    """The mean and spread with which the reader has standardised the training part."""
    panel = read_stocks(path, np.random.default_rng([problem.seed, 0]), problem.p.companies, problem.p.days)
    return panel.mean, panel.scale
