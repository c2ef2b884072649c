"""Networks on graphs against loops by hand, spectra, permutations of nodes, exact attention and a convex solver."""

import cvxpy
import numpy as np
import pytest
import tensorflow as tf

from deqn.graph import graphs
from deqn.graph.attention import fast_attention, random_directions, softmax_attention
from deqn.graph.layers import Chebyshev, EdgeAttention, Edges
from deqn.graph.networks import ContextGated, Decoupled, Filter, SpatioTemporal
from deqn.graph.pooling import BrainGNN, PlaceConvolution, consistency_loss, pooling_loss
from deqn.graph.total_activation import convolution, gradient, total_activation

NODES = 7
RNG = np.random.default_rng(0)
A = graphs.near(RNG.uniform(size=(NODES, 2)), 0.6)
DIRECTED = (RNG.uniform(size=(NODES, NODES)) < 0.4) * RNG.uniform(0.5, 2, size=(NODES, NODES)) * (1 - np.eye(NODES))


def drawn(*shape):
    return np.random.default_rng(1).normal(size=shape)


def test_the_polynomials_of_the_scaled_laplacian_are_chebyshevs_of_its_eigenvalues():
    laplacian = graphs.scaled_laplacian(A)
    values, vectors = np.linalg.eigh(laplacian)
    assert values.min() >= -1 - 1e-12 and values.max() == pytest.approx(1)
    for k, found in enumerate(graphs.chebyshev(laplacian, 4)):
        wanted = vectors @ np.diag(np.cos(k * np.arccos(np.clip(values, -1, 1)))) @ vectors.T
        np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_an_edge_reaches_the_node_it_leads_to_and_both_where_there_is_no_direction():
    found = graphs.adjacency(3, [(0, 1, 2.0)], directed=True)
    assert found[1, 0] == 2 and found.sum() == 2
    assert graphs.adjacency(3, [(0, 1, 2.0)]).sum() == 4
    for wrong in [(0, 3, 1.0), (1, 1, 1.0), (0, 1, -1.0)]:
        with pytest.raises(ValueError, match="edge"):
            graphs.adjacency(3, [wrong])


def test_a_chebyshev_layer_is_its_equation_summed_by_hand():
    other = graphs.near(np.random.default_rng(5).uniform(size=(NODES, 2)), 0.6)
    layer = Chebyshev([A, other], 2, 3, 0, dtype="float64")
    x = drawn(4, NODES, 2)
    found = layer(tf.constant(x)).numpy()
    weight = layer.dense.kernel.numpy().reshape(2, 3, 2, 3)  # graph, order, input, unit
    wanted = sum(
        np.einsum("ij,bjf,fu->biu", polynomial, x, weight[number, order])
        for number, a in enumerate((A, other))
        for order, polynomial in enumerate(graphs.chebyshev(graphs.scaled_laplacian(a), 2))
    )
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def permuted(make, x, order):
    """Outputs of a network, and of the network on the graph whose nodes changed places, with the same weights."""
    hour = tf.zeros(x.shape[:2], tf.int32)
    first, second = make(A), make(A[np.ix_(order, order)])
    found = first(tf.constant(x), hour).numpy()
    second(tf.constant(x), hour)
    second.set_weights(first.get_weights())
    return found[:, order], second(tf.constant(x[:, :, order]), hour).numpy()


@pytest.mark.parametrize(
    "make",
    [
        lambda a: Filter([a], 2, 5, 0, "float64"),
        lambda a: ContextGated([a], 1, 4, 2, "gru", 5, "mean", 0, "float64"),
    ],
)
def test_nodes_that_change_places_change_the_places_of_forecasts_and_nothing_else(make):
    kept, found = permuted(make, drawn(3, 4, NODES, 2), np.random.default_rng(2).permutation(NODES))
    np.testing.assert_allclose(found, kept, atol=1e-10)


def test_the_context_gate_is_the_same_for_all_nodes_and_that_of_a_node_is_its_own():
    x = drawn(2, 4, NODES, 2)
    changed = x.copy()
    changed[:, :, 0, 1] += 1.0  # the context that node 0 sees, on a graph on which it reaches nobody
    lonely = A.copy()
    lonely[0] = lonely[:, 0] = 0
    hour = tf.zeros([2, 4], tf.int32)
    for gate, moves in (("mean", True), ("own", False)):
        network = ContextGated([lonely], 1, 4, 2, "gru", 5, gate, 0, "float64")
        before, after = (network(tf.constant(each), hour).numpy()[:, 1:] for each in (x, changed))
        assert (np.abs(before - after).max() > 1e-6) == moves


def test_edges_carry_what_a_loop_over_them_sums_and_nothing_where_there_is_none():
    layer = Edges(DIRECTED, 3, 0, hops=2, signed=True, dtype="float64")
    layer.raw.assign(drawn(2, NODES, NODES))
    x = drawn(5, NODES, 2)
    found = layer(tf.constant(x)).numpy()
    own, bias, through = layer.own.kernel.numpy(), layer.own.bias.numpy(), layer.through.kernel.numpy()
    wanted = x @ own + bias
    for hop in range(2):
        for i, j in np.argwhere(DIRECTED):
            wanted[:, i] += DIRECTED[i, j] * layer.raw.numpy()[hop, i, j] * x[:, j] @ through[2 * hop : 2 * hop + 2]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert not layer.importance.numpy()[:, DIRECTED == 0].any()


def test_attention_along_edges_weighs_neighbours_by_their_keys_and_keeps_the_sum_of_a_row():
    p = graphs.diffusion(DIRECTED)
    layer = EdgeAttention(p, 4, 0, dtype="float64")
    x = drawn(2, NODES, 3)
    found = layer(tf.constant(x)).numpy()
    q, k = layer.query(tf.constant(x)).numpy(), layer.key(tf.constant(x)).numpy()
    for batch in range(2):
        for i in range(NODES):
            weight = [p[i, j] * np.exp(q[batch, i] @ k[batch, j] / 2) for j in range(NODES)]
            np.testing.assert_allclose(found[batch, i], np.array(weight) * p[i].sum() / max(sum(weight), 1e-300))


def test_diffusion_reaches_so_many_edges_and_rows_back_as_the_file_says():
    network = Decoupled(DIRECTED, 24, 1, 2, 3, 4, 2, False, False, 0, "float64")
    x = drawn(2, 5, NODES, 1)
    found = network._localised(tf.constant(x), None).numpy()
    p = graphs.diffusion(DIRECTED)
    for hop in range(2):
        for lag in range(3):
            moved = np.einsum("ij,btj->bti", np.linalg.matrix_power(p, hop + 1), x[..., 0])
            np.testing.assert_allclose(found[:, lag:, :, 3 * hop + lag], moved[:, : 5 - lag], atol=1e-12)
            assert not found[:, :lag, :, 3 * hop + lag].any()


def test_a_forecast_of_the_decoupled_network_at_a_row_sees_no_later_row():
    network = Decoupled(DIRECTED, 24, 2, 1, 2, 4, 2, True, True, 0, "float64")
    x, hour = drawn(2, 5, NODES, 1), tf.constant(np.arange(10).reshape(2, 5) % 24, tf.int32)
    network(tf.constant(x), hour)
    code = network.code(hour)
    spread = tf.constant(x) * network.blocks[0].gate(code)
    later = spread.numpy()
    later[:, 3:] += 1.0
    p = network.attention(network.mixed(code))
    parts = (lambda s: network._localised(s, p), lambda s: network.blocks[0].inherent(s)[1])
    for part in parts:
        before, after = (part(tf.constant(each)).numpy()[:, :3] for each in (spread.numpy(), later))
        np.testing.assert_allclose(before, after, atol=1e-12)


def test_the_log_odds_of_st_gcn_do_not_depend_on_where_in_time_a_pattern_stands():
    network = SpatioTemporal(A, 4, 2, 0, "float64")
    x = np.zeros((2, 9, NODES, 1))
    x[0, 2:4], x[1, 5:7] = (pattern := drawn(2, NODES, 1)), pattern
    odds = network(tf.constant(x)).numpy()
    assert odds[0] == pytest.approx(odds[1])


def test_fast_attention_is_softmax_attention_within_two_hundredths_and_better_with_more_features():
    rng = np.random.default_rng(3)
    q, k = (tf.constant(rng.normal(size=(4, 50, 16)) * 0.4) for _ in range(2))
    v = tf.constant(rng.uniform(-1, 1, size=(4, 50, 8)))
    exact = softmax_attention(q, k, v).numpy()
    errors = {}
    for features in (64, 4096):
        fast = [fast_attention(q, k, v, random_directions(16, features, seed, "float64")).numpy() for seed in range(5)]
        errors[features] = np.mean([np.sqrt(np.mean((each - exact) ** 2)) for each in fast])
    assert errors[4096] < 0.5 * errors[64]
    assert np.abs(fast[0] - exact).max() < 0.02


def test_a_place_convolution_is_its_equation_summed_by_hand():
    layer = PlaceConvolution(NODES, 2, 3, 4, 0, "float64")
    layer.membership.assign(drawn(NODES, 4))
    x, a = drawn(2, NODES, 2), np.abs(DIRECTED)[None].repeat(2, axis=0)
    weights = np.einsum("iu,ufg->ifg", np.maximum(layer.membership.numpy(), 0), layer.basis.numpy())
    own = np.einsum("ifg,bif->big", weights, x)
    wanted = own + np.einsum("ij,bjg->big", graphs.diffusion(DIRECTED), own)
    np.testing.assert_allclose(layer(tf.constant(a), tf.constant(x)).numpy(), np.maximum(wanted, 0), atol=1e-12)


def test_pooling_reads_the_nodes_with_the_largest_scores_or_all_by_their_links_to_parts_and_their_own():
    part = np.arange(NODES) % 2
    network = BrainGNN(np.eye(2)[part] / np.bincount(part), 3, 4, 0, "float64")
    a = np.repeat(A[None, None], 2, axis=0)
    network(tf.constant(a))
    x = np.stack([A[:, part == 0].mean(axis=1), A[:, part == 1].mean(axis=1)], axis=-1)
    x = np.concatenate([x, x[np.arange(NODES), part][:, None]], axis=-1)[None]
    h = network.convolution(tf.constant(A[None]), tf.constant(x)).numpy()[0]
    w = network.direction.kernel.numpy()[:, 0]
    score = 1 / (1 + np.exp(-(h @ w + network.direction.bias.numpy()) / np.linalg.norm(w)))
    for every, kept in ((False, np.argsort(-score)[:3]), (True, np.arange(NODES))):
        odds, found = network(tf.constant(a), every=every)
        read = (score[:, None] * h)[kept]
        read = np.concatenate([read.sum(axis=0) / 3, read.max(axis=0)])[None]
        np.testing.assert_allclose(found[1], score)
        np.testing.assert_allclose(odds[1], network.out(network.hidden(tf.constant(read)))[0, 0])


def test_the_losses_of_pooling_are_smallest_where_scores_are_sure_and_alike_within_a_class():
    label = tf.constant([0.0, 0.0, 1.0, 1.0], tf.float64)
    sure = tf.constant([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], tf.float64)
    assert float(pooling_loss(sure, 2)) < 1e-5 < float(pooling_loss(0.5 * sure + 0.25, 2))
    alike = tf.repeat(sure, 2, axis=0)
    assert float(consistency_loss(alike, label)) == 0
    mixed = tf.gather(alike, [0, 2, 1, 3])
    assert float(consistency_loss(mixed, label)) == pytest.approx(2 * np.mean([0, 0.25, 0.25]))


def test_total_activation_is_the_solution_of_a_convex_solver():
    y, response = drawn(40, 6).cumsum(axis=0) * 0.3, np.array([0.2, 0.5, 0.3])
    a = graphs.adjacency(6, [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 4, 1.0), (4, 5, 1.0), (2, 5, 1.0)])
    found = total_activation(y, response, a, 0.7, 0.4, tolerance=1e-9, most=20_000)
    x, (g, begins) = cvxpy.Variable(y.shape), gradient(a)
    slopes = x @ g.T
    cost = 0.5 * cvxpy.sum_squares(y - convolution(response, 40) @ x) + 0.7 * cvxpy.sum(
        cvxpy.abs(cvxpy.diff(x, axis=0))
    )
    for node in np.unique(begins):
        cost += 0.4 * cvxpy.sum(cvxpy.norm(slopes[:, np.flatnonzero(begins == node)], 2, axis=1))
    cvxpy.Problem(cvxpy.Minimize(cost)).solve(solver=cvxpy.CLARABEL)
    np.testing.assert_allclose(found.x, x.value, atol=1e-4)
    assert found.gap < 1e-8


def test_a_lag_without_penalties_is_undone_where_nothing_is_noise():
    truth, response = drawn(30, 3), np.array([0.7, 0.3])
    seen = convolution(response, 30) @ truth
    np.testing.assert_allclose(seen[5], 0.7 * truth[5] + 0.3 * truth[4])
    found = total_activation(seen, response, graphs.near(np.zeros((3, 1)), 1.0), 1e-7, 0.0, most=20_000)
    np.testing.assert_allclose(found.x, truth, atol=1e-3)
