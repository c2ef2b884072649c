"""What is typed: the command line, the console and `deqn new`."""
