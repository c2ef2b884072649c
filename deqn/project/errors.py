"""What a command can end with besides success, and the words that help after a mistyped name.

The command line prints the exception's text on one line of stderr and leaves with its `exit_status`.
"""

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar


class UserError(Exception):
    """A mistake the user can mend: one line saying what was seen, what was expected and what to do."""

    exit_status: ClassVar[int] = 2
    is_common = False  # of several ranks, all have it

    def __init__(self, message: str) -> None:
        # Quoted values and libraries' texts may run over several lines; the promise of one line is kept here.
        super().__init__(" ".join(line.strip() for line in str(message).splitlines()))


class CannotWrite(UserError):
    """A file could not be written: full disk, exceeded quota, no permission. What stood there before is intact.

    Not an OSError, so that no bare errno reaches a user; a class of its own, so that a trainer can tell it from
    other mistakes: go on without the row of metrics, or stop with the last checkpoint as `Stopped`.
    """


class Diverged(Exception):
    """Training broke down (NaN, infinite loss) and no rollback helped; the last good checkpoint stands."""

    exit_status: ClassVar[int] = 3


class Stopped(Exception):
    """Training was interrupted and left a checkpoint from which it can be resumed."""

    exit_status: ClassVar[int] = 75  # EX_TEMPFAIL of sysexits.h: try again later


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name` (case aside), or None if none is like it."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return by_lower[found[0]] if found else None


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: " did you mean 'x'?", else a list of the known names.

    Begins with a blank; empty if nothing is known. At most a dozen names are listed.
    """
    names = list(dict.fromkeys(known))
    if match := closest(name, names):
        return f" did you mean '{match}'?"
    if not names:
        return ""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f" known: {', '.join(names[:12])}{more}"


def quoted(value: Any) -> str:
    """A value as a message shows it, at most 70 characters of it."""
    text = repr(value)
    return text if len(text) <= 70 else text[:67] + "..."
