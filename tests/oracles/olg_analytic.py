"""Closed-form OLG economy: Huffman (1987), Krueger and Kubler (2004), AGS22 appendix A.8.

Log utility, labour in the first period of life only, no borrowing limit. Cohort h = 1..N saves a fixed share of its
cash r k^h + l^h w whatever the shock, the technology and the other cohorts hold:

    a^h = beta (1 - beta^(N-h)) / (1 - beta^(N-h+1)) * cash^h.
"""

import numpy as np


def saving_shares(cohorts, discount_factor):
    """Share of cash saved by each cohort, [cohorts]; the oldest saves nothing."""
    periods_left = cohorts - np.arange(1, cohorts + 1)
    return discount_factor * (1 - discount_factor**periods_left) / (1 - discount_factor ** (periods_left + 1))


def savings(capital, gross_return, wage, discount_factor):
    """a [M, N] from holdings k [M, N] (first column 0), gross return r [M] and wage w [M], with labour (1, 0, ...)."""
    cash = capital * gross_return[:, None]
    cash[:, 0] += wage
    return saving_shares(capital.shape[1], discount_factor) * cash
