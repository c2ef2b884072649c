"""Networks: shapes, statistics of the inputs against NumPy, the wide part against brute force, weights that last."""

import numpy as np
import pytest
import tensorflow as tf

from deqn.mlp.networks import MLP, Standardize, Whiten, WideAndDeep
from deqn.training import checkpoint
from deqn.training.position import assign, read

INPUTS, OUTPUTS, HEADS = 5, 3, 4


def sample(rows=400, seed=0):
    """Correlated inputs of different sizes."""
    generator = np.random.default_rng(seed)
    mix = generator.normal(size=(INPUTS, INPUTS)) * [1.0, 0.5, 2.0, 1.5, 0.8]
    return generator.normal(size=(rows, INPUTS)) @ mix + [3.0, -1.0, 0.0, 10.0, 0.5]


def mlp(**changes):
    options = {"heads": HEADS, "hidden": [8, 6], "activation": "tanh", "seed": 2, "dtype": "float32"}
    return MLP(INPUTS, OUTPUTS, **(options | changes))


def wide_and_deep(**changes):
    options = {"heads": HEADS, "hidden": [8], "activation": "silu", "seed": 2, "dtype": "float64", "components": 4,
               "quadratics": 3, "output_scale": 0.1}  # fmt: skip
    return WideAndDeep(INPUTS, OUTPUTS, **(options | changes))


def randomised(network, seed=1):
    """The network with every weight that training moves drawn at random: heads begin at zero."""
    generator = np.random.default_rng(seed)
    for variable in network.weights:
        if variable.path.split("/")[-1] in ("kernel", "bias"):
            variable.assign(generator.normal(size=variable.shape))
    return network


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("heads", [1, HEADS])
@pytest.mark.parametrize("make", [mlp, wide_and_deep])
def test_there_is_one_output_vector_for_each_head_in_the_type_asked_for(make, heads, dtype):
    network = make(heads=heads, dtype=dtype)
    output = network(tf.constant(sample(7), dtype))
    assert output.shape == (7, heads, OUTPUTS)
    assert output.dtype == dtype
    assert {variable.dtype for variable in network.weights} == {dtype}


def test_a_multilayer_perceptron_is_what_numpy_makes_of_its_weights():
    network, x = randomised(mlp(dtype="float64")), sample()
    network.adapt(x)
    hidden = (x - x.mean(axis=0)) / x.std(axis=0)
    for layer in network.layers_hidden:
        hidden = np.tanh(hidden @ np.asarray(layer.kernel) + np.asarray(layer.bias))
    flat = hidden @ np.asarray(network.head.kernel) + np.asarray(network.head.bias)
    expected = [[flat[:, head * OUTPUTS + output] for output in range(OUTPUTS)] for head in range(HEADS)]
    np.testing.assert_allclose(network(x), np.moveaxis(expected, -1, 0), rtol=1e-12)


def test_each_hidden_layer_may_have_an_activation_of_its_own():
    network, x = randomised(mlp(dtype="float64", activation=["tanh", "leaky_relu"])), sample()
    first, second = network.layers_hidden
    hidden = np.tanh(x @ np.asarray(first.kernel) + np.asarray(first.bias))
    hidden = hidden @ np.asarray(second.kernel) + np.asarray(second.bias)
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)  # Keras's slope below zero
    flat = hidden @ np.asarray(network.head.kernel) + np.asarray(network.head.bias)
    np.testing.assert_allclose(network(x), flat.reshape(len(x), HEADS, OUTPUTS), rtol=1e-5, atol=1e-6)  # .2 is float32


def test_as_many_activations_as_hidden_layers_are_expected():
    with pytest.raises(ValueError, match="got 3, expected one, or one for each of 2 layers"):
        mlp(activation=["tanh", "relu", "relu"])


@pytest.mark.parametrize("make", [mlp, wide_and_deep])
def test_the_heads_one_by_one_are_the_heads_together(make):
    network, x = randomised(make(dtype="float64")), sample()
    together = network(x)
    for number, alone in enumerate(network.by_head(tf.constant(x))):
        np.testing.assert_array_equal(alone, together[:, number])


def test_a_seed_fixes_the_weights_and_another_one_changes_all_kernels_of_hidden_layers():
    one, same, other = ([np.array(w) for w in mlp(seed=seed).trainable_variables] for seed in (2, 2, 3))
    for a, b, c in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or not np.isclose(a, c).any()


# ---- statistics of the inputs


def test_inputs_that_hardly_vary_are_not_blown_up():
    layer, x = Standardize(dtype="float64"), sample()
    x[:, 1] = 7.0 + 1e-6 * x[:, 1]
    layer(x)
    layer.adapt(x)
    floor = 0.1 * x.std(axis=0).mean()
    np.testing.assert_allclose(np.asarray(layer(x))[:, 1], (x[:, 1] - x[:, 1].mean()) / floor, atol=1e-12)
    layer.adapt(np.ones((10, INPUTS)))
    np.testing.assert_array_equal(layer(np.ones((10, INPUTS))), np.zeros((10, INPUTS)))


def whitened(x):
    layer = Whiten(INPUTS, dtype="float64")
    layer(x)
    layer.adapt(x)
    return np.asarray(layer(x)), np.asarray(layer.rotation)


def test_components_are_those_of_the_singular_value_decomposition_largest_first_and_with_fixed_sign():
    x = sample()
    _, values, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    components, rotation = whitened(x)
    for number in range(INPUTS):
        direction = directions[number] * np.sign(directions[number][np.abs(directions[number]).argmax()])
        score = (x - x.mean(axis=0)) @ direction / (values[number] / np.sqrt(len(x) - 1))
        np.testing.assert_allclose(components[:, number], score, rtol=1e-5, atol=1e-6)
    assert (np.take_along_axis(rotation, np.abs(rotation).argmax(axis=0)[None], axis=0) > 0).all()


def test_a_direction_without_variation_stays_small_when_whitened():
    x = sample()
    x[:, 4] = x[:, 0] + x[:, 1]
    components, rotation = whitened(x)
    assert np.isfinite(rotation).all()
    assert np.abs(components[:, 4]).max() < 1e-6


# ---- wide and deep


def test_an_untrained_wide_and_deep_network_answers_zero():
    np.testing.assert_array_equal(wide_and_deep()(sample(9)), np.zeros((9, HEADS, OUTPUTS)))


def test_the_quadratic_features_are_all_products_of_the_first_components():
    p = np.random.default_rng(4).uniform(-3, 3, size=(6, 4))  # as whitened inputs are
    features = np.asarray(wide_and_deep().wide_features(tf.constant(p)))
    np.testing.assert_array_equal(features[:, :4], p)
    products = [p[:, i] * p[:, j] - (i == j) for i in range(3) for j in range(i, 3)]
    assert features.shape[1] == 4 + len(products)
    for product in products:
        assert (np.abs(features[:, 4:] - product[:, None]).max(axis=0) < 1e-12).sum() == 1


def test_more_quadratics_keep_the_order_of_the_first_ones():
    p = tf.constant(sample(6)[:, :4])
    few, many = (np.asarray(wide_and_deep(quadratics=count).wide_features(p)) for count in (2, 4))
    np.testing.assert_array_equal(few, many[:, : few.shape[1]])
    assert wide_and_deep(quadratics=0).wide_features(p) is p


def test_the_output_is_the_scaled_sum_of_wide_part_perceptron_and_own_input():
    own = [4, 0, 2]
    network, x = randomised(wide_and_deep(own=own)), sample()
    network.adapt(x)
    standardized, components = np.asarray(network.standardize(x)), np.asarray(network.whiten(x))
    p = np.asarray(network.wide_features(tf.constant(components)))
    wide = p @ np.asarray(network.wide.kernel) + np.asarray(network.wide.bias)
    (layer,) = network.layers_hidden
    x_deep = np.hstack([components.clip(-5, 5), standardized])
    hidden = x_deep @ np.asarray(layer.kernel) + np.asarray(layer.bias)
    hidden = hidden / (1 + np.exp(-hidden))
    deep = (hidden @ np.asarray(network.head.kernel) + np.asarray(network.head.bias)).reshape(-1, HEADS, 2 * OUTPUTS)
    output = np.asarray(network(x))
    for head in range(HEADS):
        for each in range(OUTPUTS):
            expected = wide[:, head * OUTPUTS + each] + deep[:, head, each]
            expected += deep[:, head, OUTPUTS + each] * standardized[:, own[each]]
            np.testing.assert_allclose(output[:, head, each], 0.1 * expected, rtol=1e-9, atol=1e-12)


def test_kinks_add_one_absolute_value_in_the_own_input_and_take_away_another():
    own = [4, 0, 2]
    network, x = randomised(wide_and_deep(own=own, kinks=5)), sample()
    network.adapt(x)
    with_kinks, standardized = np.asarray(network(x)), np.asarray(network.standardize(x))
    inner = np.hstack([np.asarray(network.components(x)).clip(-5, 5), standardized])
    for layer in (*network.layers_hidden, network.narrow):
        inner = inner @ np.asarray(layer.kernel) + np.asarray(layer.bias)
        inner = inner / (1 + np.exp(-inner)) if layer is not network.narrow else inner
    bends = [(inner @ np.asarray(each.kernel) + np.asarray(each.bias)).reshape(-1, HEADS, 2, OUTPUTS)
             for each in (network.convex, network.concave)]  # fmt: skip
    convex, concave = (np.abs(each[:, :, 0] + each[:, :, 1] * standardized[:, None, own]) for each in bends)
    for each in (network.convex, network.concave):
        for weight in each.weights:
            weight.assign(tf.zeros_like(weight))
    np.testing.assert_allclose(with_kinks - np.asarray(network(x)), 0.1 * (convex - concave), rtol=1e-9, atol=1e-12)


def test_a_perceptron_that_begins_anew_is_that_of_a_new_network_and_leaves_the_wide_part():
    network, new = randomised(wide_and_deep(own=[0, 1, 2], kinks=5)), wide_and_deep(own=[0, 1, 2], kinks=5)
    wide = np.array(network.wide.kernel)
    network.restart_perceptron()
    np.testing.assert_array_equal(network.wide.kernel, wide)
    for one, other in zip(network.trainable_weights, new.trainable_weights, strict=True):
        if "/wide/" not in one.path:
            np.testing.assert_array_equal(one, other, err_msg=one.path)


def test_kinks_without_own_inputs_are_refused():
    with pytest.raises(ValueError, match="own = None"):
        wide_and_deep(kinks=5)


@pytest.mark.parametrize("make", [mlp, lambda **changes: wide_and_deep(own=[0, 1, 2], kinks=4, **changes)])
def test_weights_that_were_saved_restore_the_outputs_exactly(make, tmp_path):
    network, x = randomised(make()), sample(20)
    network.adapt(sample())
    arrays = read({"networks/policy": list(network.weights)})
    loaded, _ = checkpoint.load(checkpoint.save(tmp_path, checkpoint.BEST, arrays, {}))
    other = make(seed=9)
    assert np.abs(np.asarray(network(x)) - np.asarray(other(x))).max() > 0.1
    assign({"networks/policy": list(other.weights)}, loaded)
    np.testing.assert_array_equal(network(x), other(x))


def test_gradients_agree_with_finite_differences():
    network, x = randomised(wide_and_deep(own=[0, 1, 2], kinks=4)), tf.constant(sample(5))
    network.adapt(sample())
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(x) ** 2)
    variables = network.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        start = np.array(variable)
        index = np.unravel_index(np.abs(gradient).argmax(), start.shape)
        sides = []
        for step in (1e-6, -1e-6):
            shifted = start.copy()
            shifted[index] += step
            variable.assign(shifted)
            sides.append(float(tf.reduce_sum(network(x) ** 2)))
        variable.assign(start)
        np.testing.assert_allclose(np.asarray(gradient)[index], (sides[0] - sides[1]) / 2e-6, rtol=1e-5)
