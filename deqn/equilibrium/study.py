"""A study that decides in an economy by other means than Deep Equilibrium Nets: an agent, a grid."""

from __future__ import annotations

import abc

from deqn.equilibrium.decision_rule import DecisionRule
from deqn.training.study import Study


class EconomyStudy(Study):
    """Subclasses are final. What it finds can stand beside a Deep Equilibrium Net: `deqn compare`.

    states_per_update: states of the economy that an update looks at.
    """

    states_per_update: int

    @abc.abstractmethod
    def rule(self) -> DecisionRule:
        """What the present weights decide, in an economy of float64."""
