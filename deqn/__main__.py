"""`python -m deqn` is `deqn`: for launchers that start an interpreter rather than a script."""

from deqn.commands.cli import main

main()
