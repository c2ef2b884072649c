"""VRNN and VHRNN on sequences of a file: music, stock prices, readings of sensors; appendices B and C of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, final

import numpy as np

from deqn.mlp.minibatches import check_size, minibatches
from deqn.project.errors import UserError
from deqn.sequence.music import NOTES, SPLITS, read_music
from deqn.sequence.panels import read_sensors, read_stocks
from deqn.sequence.variational import Data
from deqn.training.problem import Batch, Results
from deqn.training.settings import TrainingSettings

from .by_bound import ByBound
from .parameters import OnFileParameters

_AT_ONCE = 8  # sequences that are evaluated together, for memory


class Part(NamedTuple):
    """Sequences x [n, T, d], zero beyond their lengths [n]."""

    x: np.ndarray
    lengths: np.ndarray


@final
class OnFile(ByBound):
    """The network maximises a bound per step. Stocks and sensors are in units of their spread in training."""

    def __init__(self, parameters: OnFileParameters, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        p, self.rank = parameters, rank
        if not p.file:
            raise UserError(f"parameters.file: not given, expected the path of a file of {p.data}; see the README")
        try:
            self.parts, data = _read(p, np.random.default_rng([settings.seed, 0]))
        except (ValueError, OSError) as error:
            raise UserError(f"parameters.file: {error}") from error
        self.train = Part(*(each[rank::ranks] for each in self.parts["train"]))
        check_size(p.batch, len(self.train.x), f"sequences of rank {rank} of {ranks}")
        self.set_network(p, data, settings)

    def describe(self) -> Mapping[str, str]:
        counts = ", ".join(f"{len(part.x)} to {name}" for name, part in self.parts.items())
        longest = max(int(part.lengths.max()) for part in self.parts.values())
        return {"data": f"{self.p.data}: {counts}, up to {longest} steps", **self.of_network()}

    def batches(self, episode: int) -> Iterator[Batch]:
        """Yields all sequences in a new order."""
        for rows in minibatches(len(self.train.x), self.p.batch, [self.seed, 1, self.rank, episode]):
            yield self.train.x[rows].astype(self.dtype), self.train.lengths[rows]

    def validate(self) -> Mapping[str, float]:
        """Returns negative FIVO a step with the particles of training, always of the same draws."""
        return {"negative_fivo": -self.per_step(self.parts["valid"], self.p.particles)[0]}

    def per_step(self, part: Part, particles: int) -> tuple[float, np.ndarray]:
        """Returns FIVO over all steps of a part divided by their number, and FIVO of each sequence [n]."""
        found = []
        for at in range(0, len(part.x), _AT_ONCE):
            rows = np.arange(at, at + _AT_ONCE) % len(part.x)  # the last ones begin again at the first: one shape
            log_p = self.evaluate(part.x[rows], particles, lengths=part.lengths[rows]).log_p
            found.append(log_p[: len(part.x) - at].astype(np.float64))
        fivo = np.concatenate(found)
        return float(fivo.sum() / part.lengths.sum()), fivo

    def predict(self, inputs: np.ndarray, network: str | None = None) -> np.ndarray:
        """Returns FIVO of sequences [n, T, d] in the units of training, [n]."""
        return self.evaluate(np.asarray(inputs), self.p.test_particles).log_p

    def results(self) -> Results:
        """Reports FIVO a step of each part, beside a distribution without a memory."""
        rows, arrays = [], {}
        for name, part in self.parts.items():
            mean, fivo = self.per_step(part, self.p.test_particles)
            each = fivo / part.lengths
            rows.append(
                {
                    "part": name, "sequences": len(fivo), "fivo": mean,
                    "standard_error": float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else 0.0,
                    "without_memory": self._without_memory(part),
                }
            )  # fmt: skip
            arrays |= {f"fivo_{name}": fivo, f"lengths_{name}": part.lengths}
        return Results(f"FIVO a step {rows[-1]['fivo']:.3f} on test", {"parts": rows}, arrays)

    def _without_memory(self, part: Part) -> float:
        """ln p a step if each were drawn alone: keys with the frequencies of training, numbers from its normals."""
        train = self.parts["train"]
        steps, known = (p.x[np.arange(p.x.shape[1]) < p.lengths[:, None]] for p in (part, train))  # [steps, d]
        if self.p.data == "music":
            share = (known.sum(axis=0) + 0.5) / (len(known) + 1)
            return float((steps * np.log(share) + (1 - steps) * np.log(1 - share)).sum(axis=1).mean())
        mean, sd = known.mean(axis=0), known.std(axis=0)
        return float((-0.5 * ((steps - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)).sum(axis=1).mean())


def _read(p: OnFileParameters, generator: np.random.Generator) -> tuple[dict[str, Part], Data]:
    """The parts to train, validate and test, and what the network has to know of the data."""
    if p.data == "music":
        music = read_music(p.file)
        parts = {name: _padded(music.pieces[name], p.longest, name, p.file) for name in SPLITS}
        return parts, Data(NOTES, "bernoulli", music.train_mean)
    panel = (
        read_stocks(p.file, generator, p.companies, p.days)
        if p.data == "stocks"
        else read_sensors(p.file, generator, p.windows)
    )
    parts = {name: Part(x, np.full(len(x), x.shape[1])) for name in SPLITS for x in [getattr(panel, name)]}
    return parts, Data(panel.train.shape[2])


def _padded(pieces: list[np.ndarray], longest: int, split: str, path: str) -> Part:
    """Pieces cut at `longest` steps and padded with zeros to the longest one."""
    cut = [piece[at : at + longest] for piece in pieces for at in range(0, len(piece), longest)]
    if not cut:
        raise ValueError(f"{path}: {split} has no steps, expected pieces of music")
    lengths = np.array([len(piece) for piece in cut])
    x = np.zeros((len(cut), lengths.max(), NOTES), np.float32)
    for row, piece in zip(x, cut, strict=True):
        row[: len(piece)] = piece
    return Part(x, lengths)
