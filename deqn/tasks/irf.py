"""`deqn irf`: impulse responses of a run's solution, as rows of responses.csv with what figures need beside them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from deqn.equilibrium.economy import Economy, axes_of
from deqn.equilibrium.interventions import interventions_of
from deqn.equilibrium.responses import Plan, Response, impulse_responses
from deqn.project.identity import checksum
from deqn.project.run import RunFolder
from deqn.project.writing import write_atomically, write_csv
from deqn.report.axes import text
from deqn.report.responses import COLUMNS, ERGODIC
from deqn.tasks.build import in_user_code, load_problem
from deqn.tasks.compare import evaluation_of
from deqn.tasks.parameter_file import parameter_file_of
from deqn.tasks.solution import states_of
from deqn.training import checkpoint


class Asked(NamedTuple):
    """shocks: by name, all if none. size: of innovations, in standard deviations. states: an .npz of states, or None.

    The others are those of a `Plan`.
    """

    shocks: Sequence[str] = ()
    size: float = 1.0
    states: str | None = None
    period: int = 25
    periods: int = 50
    paths: int = 200_000
    seed: int = 0


def write_responses(run: RunFolder, asked: Asked, as_trained: bool = False) -> str:
    """Writes responses.csv and responses.json into the run folder; a line that says what was done, and the check.

    Raises UserError for a shock or states that the economy does not have.
    """
    start_of_clock = time.process_time()
    file = parameter_file_of(run, as_trained)
    problem = load_problem(run, file)
    rule = problem.training_rule()
    economy = rule.economy
    start = None if asked.states is None else economy.check_states(states_of(economy, asked.states))
    burn_in = evaluation_of(file).burn_in
    plan = Plan(asked.period, asked.periods, asked.paths, asked.seed, burn_in)
    interventions = interventions_of(economy, asked.shocks, asked.size)
    with in_user_code(file, "definitions"):
        responses, outside = impulse_responses(rule, interventions, plan, start, own_law=True)
    seconds = time.process_time() - start_of_clock
    rows = [row for each in responses for row in rows_of(each, economy)]
    report = economy.report
    single = {row["variable"]: row["variable"] for row in rows if not row["axis"]}
    names = list(economy.describe_shocks())
    described = {
        **plan._asdict(),
        "shocks": [each.shock for each in responses],
        "size": asked.size,
        "start": asked.states or ERGODIC,
        "weights": checksum(checkpoint.weights_of(run.checkpoints).read_bytes()),
        "share_outside": outside,
        "cpu_seconds": round(seconds, 1),
        "aggregates": {name: words for name, words in report.aggregates.items() if name in single} or single,
        "along": [name for name in report.shock_variables if name in {row["variable"] for row in rows}],
        "axis_labels": dict(report.axis_labels),
        "shock_names": {str(number): name for number, name in enumerate(names, start=1)},
    }
    write_csv(run.path / "responses.csv", COLUMNS, rows)
    write_atomically(run.path / "responses.json", json.dumps(described, indent=1) + "\n")
    return (
        f"{run}: {asked.paths} tracks a shock, from {described['start']}; {outside:.4%} of their periods lie where the "
        f"rule was not trained; {seconds:.0f} CPU-seconds"
    )


def rows_of(response: Response, economy: Economy) -> Iterator[dict[str, Any]]:
    """The rows of responses.csv: a horizon of what is one number a state, or an entry of an axis on impact."""
    axes = axes_of(economy)
    for name, values in response.values.items():
        errors, means = response.standard_errors[name], response.means[name]
        along = axes.of(name, values.shape) if name in response.along else {}
        if name in response.along and not along:
            continue  # numbers that belong to no axis
        entries = ["/".join(map(text, place)) for place in itertools.product(*along.values())]  # [""] without axes
        for place, value in enumerate(values.ravel()):
            yield {
                "variable": name, "shock": response.shock, "axis": "/".join(along),
                "entry": entries[place if along else 0], "horizon": 0 if along else place, "value": value,
                "standard_error": errors.flat[place], "mean": means.flat[place],
            }  # fmt: skip
