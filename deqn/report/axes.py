"""The axes of an economy's arrays, such as age or country: which label belongs to which entry of a field.

An array has its states first, [batch, ...]; what follows are axes of the economy, none of them by guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from deqn.project.errors import UserError

Label = float | str


def text(label: Label) -> str:
    """A label as tables show it."""
    return label if isinstance(label, str) else f"{label:g}"


class Axes(NamedTuple):
    """The axes of an economy and what its report says of them.

    labels: of each axis, in order: numbers (ages) or names (countries). dims: the axes of a field, by its name.
    oldest: fields whose N-1 entries belong to the last N-1 of N numbers; those of others belong to the first N-1.
    """

    labels: Mapping[str, Sequence[Label]] = {}
    dims: Mapping[str, Sequence[str]] = {}
    oldest: Collection[str] = ()

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Axes:
        """The axes as description.json has them; none if it has none."""
        return cls(**described.get("axes", {}))

    def of(self, field: str, shape: Sequence[int]) -> dict[str, Sequence[Label]]:
        """The labels along each axis of a field, by the axis's name; `shape` is that of one state's numbers.

        Empty for one number a state, for a field of which `dims` says (), and for an economy without axes. A field of
        N or N-1 numbers, where exactly one axis has N labels, needs no entry in `dims`; N-1 numbers only belong to an
        axis of numbers, and names are never left out. Raises UserError where labels and sizes do not fit.
        """
        if not self.labels or not len(shape):
            return {}
        dims = self.dims[field] if field in self.dims else self._only_one(field, shape)
        if not dims:
            return {}
        along = [self._along(field, *each) for each in zip(dims, shape, strict=False)]
        if len(dims) != len(shape) or None in along:
            raise UserError(f"report.dims: {field} is said to be by {', '.join(dims)}, but {self._seen(shape)}")
        return {axis: labels for axis, labels in zip(dims, along, strict=True) if labels is not None}

    def _only_one(self, field: str, shape: Sequence[int]) -> list[str]:
        """The axis of a field of which `dims` says nothing."""
        if len(shape) > 1:
            names = ", ".join(repr(f"axis {number + 1}") for number in range(len(shape)))
            raise UserError(
                f"report.dims: {field} has no names for its axes: {self._seen(shape)}; add {{{field!r}: ({names})}}"
            )
        fitting = [axis for axis in self.labels if self._along(field, axis, shape[0]) is not None]
        if len(fitting) > 1:
            raise UserError(
                f"report.dims: {field} may be by {' or by '.join(fitting)}: {self._seen(shape)}; add "
                f"{{{field!r}: ({fitting[0]!r},)}} or the other"
            )
        if not fitting:
            raise UserError(
                f"report.dims: {field} fits no axis: {self._seen(shape)}; correct its size, or add "
                f"{{{field!r}: ()}} if its numbers belong to no axis"
            )
        return fitting

    def _along(self, field: str, axis: str, size: int) -> Sequence[Label] | None:
        """The labels of `size` entries along an axis; None if they do not fit it."""
        labels = self.labels[axis]
        missing = len(labels) - size
        if missing and (missing != 1 or not size or isinstance(labels[0], str)):
            return None
        return labels[missing:] if field in self.oldest else labels[:size]

    def _seen(self, shape: Sequence[int]) -> str:
        axes = ", ".join(f"{axis} ({len(labels)})" for axis, labels in self.labels.items())
        return f"its shape is [batch, {', '.join(map(str, shape))}], and the axes are {axes}"
