"""The engine: one protocol for what is trained, one loop that trains it. Imports nothing else of deqn."""
