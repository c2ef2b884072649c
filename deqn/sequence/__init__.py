"""Sequences with hidden states: exact filters, bounds on likelihoods, variational recurrent networks.

Exact, plain NumPy: `hmm`, `kalman`, `particles`, `quantiles`, and the readers `music` and `panels`.
Networks: `hmm_cell`, `vae`, `variational` (VRNN), `hyper` (VHRNN), whose likelihoods `bounds` bounds from below.
"""
