"""Networks on graphs.

Matrices of a graph (`graphs`), layers (`layers`), networks for panels of nodes (`networks`) and for classes of graphs
(`pooling`), flows between nodes (`flows`), attention (`attention`), and a convex problem (`total_activation`).

A panel is [batch, time, nodes, features], in which each node is a region, a bank or a country.
"""
