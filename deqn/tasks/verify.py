"""`deqn verify`: the checks of a run, and certificate.json and verify.md, which say what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deqn.project.errors import UserError
from deqn.project.identity import checksum, identity, python_of, recorded
from deqn.project.parameter_yaml import read_yaml
from deqn.project.provenance import record_of_start
from deqn.project.run import RunFolder
from deqn.project.user_code import load_module, mistakes_in_user_code
from deqn.project.writing import write_atomically
from deqn.report import certificate, files
from deqn.tasks.build import load_problem
from deqn.tasks.parameter_file import ParameterFile, parameter_file_of
from deqn.training import checkpoint

if TYPE_CHECKING:
    from deqn.equilibrium.evidence.check import Check
    from deqn.equilibrium.evidence.subject import Subject
    from deqn.equilibrium.evidence.truths import Declared
    from deqn.equilibrium.problem import Equilibrium

_TRAINED = ("command", "seed", "commit", "dirty", "versions", "processor", "host", "cores", "start",
            "training_cpu_seconds", "updates")  # fmt: skip


def other_seeds(run: RunFolder) -> list[RunFolder]:
    """The finished runs beside this one of the same settings and equations but other seeds, the newest of each."""

    def what(each: RunFolder) -> tuple[str, Any]:
        settings = read_yaml(each.parameters)
        seed = settings.pop("seed", 0)
        return identity(settings, recorded(each).get("python") or {}), seed

    mine, my_seed = what(run)
    found: dict[Any, RunFolder] = {}
    beside = [RunFolder(path.parent) for path in run.path.parent.glob("*/parameters.yaml")]
    for each in sorted(beside, key=lambda each: each.start, reverse=True):
        done = recorded(each).get("status") == "done" and checkpoint.weights_of(each.checkpoints).is_file()
        if not done:
            continue
        other, seed = what(each)
        if other == mine and seed != my_seed:
            found.setdefault(seed, each)
    return list(found.values())


def with_other_seed(run: RunFolder, as_trained: bool, known: Sequence[RunFolder]) -> ParameterFile:
    """The run's file with a seed that neither it nor the known runs have."""
    file = parameter_file_of(run, as_trained)
    taken = {file.settings.seed, *(read_yaml(each.parameters).get("seed", 0) for each in known)}
    seed = next(seed for seed in range(len(taken) + 1) if seed not in taken)
    return file._replace(settings=file.settings.model_copy(update={"seed": seed}))


def verify_run(run: RunFolder, others: Sequence[RunFolder], command: str, as_trained: bool = False) -> Iterator[Check]:
    """Yields each check of a run as soon as it is made; at the end writes certificate.json and verify.md.

    others: runs of other seeds, with which its policies are compared. Raises UserError for what is no economy, and if
    a state or a policy along the path is not finite.
    """
    file = parameter_file_of(run, as_trained)
    problem = _equilibrium(run, file)
    from deqn.equilibrium.evaluation import check_finite
    from deqn.equilibrium.evidence.check import FAIL, plain
    from deqn.equilibrium.evidence.subject import subject_of

    weights = checkpoint.weights_of(run.checkpoints)
    before = {
        "weights_file": str(weights.relative_to(run.path)),
        "weights": checksum(weights.read_bytes()),
        "evaluation": files.description(run.path).get("id"),
    }
    started, made = time.process_time(), []
    declared = _declared(file)
    with mistakes_in_user_code(file.path.parent, "verify", f"{file.module}.py"):
        subject = subject_of(problem.rule(), problem.settings.evaluation, problem.settings.verify)
        check_finite(subject.path)
        for check in _checks(subject, declared, others, as_trained):
            made.append(plain(check))
            yield check
    now = record_of_start(command, subject.seed, 1, file.project.root)
    failed = [each["name"] for each in made if each["verdict"] == FAIL]
    trained = recorded(run)
    said = {
        "verdict": "failed" if failed else "verified",
        "failed": failed,
        "run": str(run),
        file.settings.names: file.named,
        **before,
        "identity": identity(read_yaml(run.parameters), python_of(file.path.parent, file.module)),
        "thresholds": problem.settings.verify.model_dump(),
        "path": {**problem.settings.evaluation.model_dump(), "seed": subject.seed, "starts": subject.starts},
        "trained": {name: trained[name] for name in _TRAINED if name in trained},
        "verified": {
            **{name: now[name] for name in ("command", "commit", "dirty", "versions", "processor", "host", "cores")},
            "end": datetime.now(UTC).isoformat(timespec="seconds"),
            "cpu_seconds": round(time.process_time() - started, 1),
        },
        "checks": made,
    }
    write_atomically(run.path / certificate.FILE, json.dumps(said, indent=1) + "\n")
    write_atomically(run.path / "verify.md", certificate.markdown(said))


def _equilibrium(run: RunFolder, file: ParameterFile) -> Equilibrium:
    from deqn.equilibrium.problem import Equilibrium

    problem = load_problem(run, file)
    if not isinstance(problem, Equilibrium):
        raise UserError(f"{run}: solves no economy's conditions; deqn verify checks solutions of an economy")
    return problem


def _declared(file: ParameterFile) -> Declared:
    """What `evidence.py` beside the economy says (`FILE_evidence.py` of a class in FILE.py)."""
    from deqn.equilibrium.evidence.truths import Declared

    name = "evidence" if file.module == file.settings.names else f"{file.module}_evidence"
    if not (file.path.parent / f"{name}.py").is_file():
        return Declared()
    module = load_module(file.path.parent, name)
    return Declared(**{each: getattr(module, each, None) for each in Declared._fields})


def _checks(subject: Subject, declared: Declared, others: Sequence[RunFolder], as_trained: bool) -> Iterator[Check]:
    from deqn.equilibrium.evidence import dynamics, on_path, truths

    yield from on_path.errors(subject)
    yield from on_path.implied(subject)
    yield from on_path.feasibility(subject)
    yield from dynamics.den_haan_marcet(subject)
    yield from dynamics.ergodicity(subject)
    yield from dynamics.box(subject)
    yield from truths.known_solution("closed form", subject, declared.closed_form)
    yield from truths.known_solution("independent grid", subject, declared.grid)
    yield from truths.steady_state(subject)
    yield from truths.present_values(subject, declared.paid)
    yield from _against(subject, others, as_trained)
    yield from on_path.welfare(subject)


def _against(subject: Subject, others: Sequence[RunFolder], as_trained: bool) -> Iterator[Check]:
    """The policies of other seeds at the same states."""
    from deqn.equilibrium.evidence.check import not_applicable
    from deqn.equilibrium.evidence.subject import policies_at
    from deqn.equilibrium.evidence.truths import distances
    from deqn.equilibrium.memory import Remembering

    if isinstance(subject.rule.economy, Remembering):
        yield not_applicable("other seeds", "rules of two seeds remember in numbers of their own each")
        return
    if not others:
        yield not_applicable("other seeds", "there is no run of another seed; --seeds 3 trains what is missing")
    compared = [name for name in subject.measured.policy if name != subject.rule.economy.report.binding]
    for other in others:
        file = parameter_file_of(other, as_trained)
        policies = policies_at(_equilibrium(other, file).rule(), subject.sample)
        yield from distances(f"seed {file.settings.seed}", subject, {n: policies[n] for n in compared})
