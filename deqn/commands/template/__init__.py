"""The files of a new economy, which `deqn new` copies under its name."""
