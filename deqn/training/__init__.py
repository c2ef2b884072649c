"""The engine: one protocol for what is trained, and one loop that trains it."""
