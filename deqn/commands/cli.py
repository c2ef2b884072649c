"""The command line: runs what is typed, and turns what goes wrong into one line and an exit status."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer

from deqn.commands import on_files, on_results, on_runs, on_shocks, on_verification
from deqn.commands.arguments import app
from deqn.project.errors import Diverged, Stopped, UserError

# What typer raises for a mistyped command or option. Its home has moved between typer's versions; its child has not.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 130
_COMMANDS = (on_files, on_runs, on_results, on_shocks, on_verification)  # which add themselves when imported


def main() -> None:
    """Runs a command.

    Exit status: 0 done, 1 a check of `deqn verify` failed, 2 user's mistake, 3 diverged, 75 stopped with a checkpoint,
    130 interrupted.
    """
    try:
        status = app(args=sys.argv[1:] or ["--help"], prog_name="deqn", standalone_mode=False)
        sys.stdout.flush()
    except (UserError, Diverged, Stopped) as error:
        _leave(str(error), error.exit_status)
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "deqn"
        words = " ".join(error.format_message().split()).rstrip(".")
        _leave(f"{words}; see {command} --help", UserError.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _leave("", 0)
    except RecursionError:
        _leave("a file is nested too deeply to be read; was it edited by hand?", UserError.exit_status)
    except MemoryError as error:
        _leave(f"not enough memory ({error or 'nothing is left'}); ask for smaller sizes", UserError.exit_status)
    except OSError as error:  # a name that is too long, a device that is full
        place = f"{error.filename}: " if error.filename else ""
        _leave(f"{place}{error.strerror or error}; choose another file or folder", UserError.exit_status)
    if status == _INTERRUPTED:  # which typer also returns
        _leave("interrupted; what was written before stands", _INTERRUPTED)
    if status:
        sys.exit(status)


def _leave(message: str, status: int) -> NoReturn:
    """Ends the process with a line on stderr; what stdout could not take is dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if message:
        print(f"deqn: {message}", file=sys.stderr)
    sys.exit(status)
