"""metrics.csv: rows that are on disk as soon as they are reported."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from deqn.project.errors import UserError
from deqn.project.writing import cannot_write, write_atomically


@final
class Metrics:
    """metrics.csv: one row per report; the first row fixes the columns, "update" among them.

    keep_through: drop the rows beyond this update, so that a resumed run's file equals the uninterrupted one's.
    An unfinished last row (machine lost power) is dropped too. Raises UserError for a file that is no such table.
    """

    def __init__(self, path: Path, keep_through: int | None = None) -> None:
        self.path = Path(path)
        self.columns: list[str] = []
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: cannot be read ({error}); move it away and resume") from error
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        table = list(csv.reader(lines))
        try:
            updates = [int(row[table[0].index("update")]) for row in table[1:]]
        except (ValueError, IndexError) as error:
            raise UserError(f"{self.path}: not a table with an 'update' a row; move it away and resume") from error
        kept = [line for line, at in zip(lines[1:], updates, strict=True) if keep_through is None or at <= keep_through]
        if kept:  # without a row left, a run that starts afresh names its columns anew
            self.columns = table[0]
        content = "".join([lines[0], *kept]) if kept else ""
        if content != text:
            write_atomically(self.path, content)

    def append(self, row: Mapping[str, Any]) -> None:
        """Adds one row, at once on disk; a column without a value stays empty.

        Raises CannotWrite (full disk): the rows before are intact, the row is lost, and a later append may succeed,
        so a trainer can go on. Raises ValueError for a column the first row did not have.
        """
        lines = [] if self.columns else [list(row)]
        columns = self.columns or list(row)
        if "update" not in row or not set(row) <= set(columns):
            raise ValueError(f"metrics row has columns {list(row)}, expected 'update' and any of {columns}")
        lines.append([row.get(column, "") for column in columns])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        try:
            with self.path.open("ab", buffering=0) as file:
                before = os.fstat(file.fileno()).st_size
                data = text.getvalue().encode()
                try:
                    # A nearly full disk takes a part and says so by its count; the rest names the error.
                    while written := file.write(data):
                        data = data[written:]
                except OSError:
                    os.ftruncate(file.fileno(), before)
                    raise
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.columns = columns
