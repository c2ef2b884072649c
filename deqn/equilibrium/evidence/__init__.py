"""The checks of `deqn verify`: what speaks for a solution, and what against it, each as one number and a verdict."""
