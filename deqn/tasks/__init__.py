"""What a command does: from a parameter file to a run folder, and from a run folder to a solution."""
