"""Sequences with something hidden in them: exact filters, bounds on likelihoods, variational recurrent networks.

Exact, plain NumPy: `hmm`, `kalman`, `particle_filter`, `quantiles`, `synthetic`, and the readers `music` and `panels`.
Networks: `hmm_cell`, `vae`, `variational` (VRNN), `hyper` (VHRNN), whose likelihoods `bounds` bounds from below.
"""
