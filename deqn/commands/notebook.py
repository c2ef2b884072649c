"""Training from Python, as in a notebook: what `deqn train` does, with a progress bar."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from deqn.commands.arguments import read_file

if TYPE_CHECKING:
    from deqn.tasks.solution import Solution
    from deqn.tasks.trained import Trained


def train(
    file: str | Path, changes: Mapping[str, Any] | None = None, run: str | None = None, seed: int | None = None
) -> Solution | Trained:
    """Trains what a parameter file names and returns what `deqn.load` gives; the run folder is that of `deqn train`.

        solution = deqn.train("models/mine/mine.yaml", {"parameters.risk_aversion": 3})

    changes: settings by name, as after --set. run: its name, by default the time.
    Raises UserError for a mistake, Diverged if training breaks down, Stopped with the command that continues.
    """
    from deqn.workers.devices import import_tensorflow

    import_tensorflow()
    from deqn.tasks.evaluate import evaluate_run
    from deqn.tasks.solution import opened
    from deqn.tasks.train import Request, choose_run, prepare, train_run
    from deqn.workers.workers import SingleWorker

    settings = [f"{name}={json.dumps(value)}" for name, value in (changes or {}).items()]
    asked = read_file(Path(file), settings, seed)
    words = ["deqn", "train", str(file), *(word for each in settings for word in ("--set", each))]
    words += [] if seed is None else ["--seed", str(seed)]
    request = Request(run, False, None, shlex.join(words))
    folder, workers = choose_run(asked, request), SingleWorker()
    problem = prepare(asked, request, workers)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    with Progress(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task(asked.stem, total=sum(phase.updates for phase in asked.settings.phases))

        def report(progress: Any) -> None:
            if progress.errors:
                bar.update(task, description=f"{asked.stem}: {problem.in_words(progress.errors)}")
            bar.update(task, completed=progress.update)

        train_run(asked, request, folder, problem, workers, lambda line: bar.print(line), report)
    evaluate_run(folder, {})
    return opened(folder)
