import functools
import sys

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from echo_jax.cells import delay_line_mlp, identity_rnn, lstm, registry
from echo_jax.config import CELL_NAMES, NetworkConfig, RunConfig
from echo_jax.core.network import build_network, init_params
from echo_jax.exceptions import ConfigError

KEY = jax.random.key(0)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def lstm_in_float64(x, c, h, kernel, recurrent_kernel, bias):
    """The textbook, unit by unit."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    z = x @ kernel + h @ recurrent_kernel + bias
    units = h.shape[-1]
    i, f, g, o = (z[:, gate * units : (gate + 1) * units] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def test_the_lstm_step_is_the_textbooks():
    x, c, h = normal(0, 3, 6), normal(1, 3, 4), normal(2, 3, 4)
    kernel, recurrent_kernel, bias = normal(3, 6, 16), normal(4, 4, 16), normal(5, 16)
    expected = lstm_in_float64(x, c, h, kernel, recurrent_kernel, bias)
    as_float32 = [jnp.asarray(a, jnp.float32) for a in (recurrent_kernel, c, h, x @ kernel + bias)]
    carry, output = lstm.lstm_step(as_float32[0], lstm.LSTMCarry(*as_float32[1:3]), as_float32[3])
    np.testing.assert_allclose(carry.cell, expected[0], atol=2e-6)
    np.testing.assert_allclose(carry.hidden, expected[1], atol=2e-6)
    chex.assert_trees_all_equal(output, carry.hidden)


def test_gradients_of_the_lstm_step_are_finite_differences():
    with jax.enable_x64(True):
        arguments = (
            jnp.asarray(normal(0, 3, 12)),
            lstm.LSTMCarry(jnp.asarray(normal(1, 2, 3)), jnp.asarray(normal(2, 2, 3))),
            jnp.asarray(normal(3, 2, 12)),
        )
        jax.test_util.check_grads(
            lambda *a: lstm.lstm_step(*a)[0], arguments, order=1, modes=["rev"], eps=1e-6
        )


def lstm_variables(features=8, vocab_size=10):
    cell = lstm.LSTMCell(features)
    carry = cell.initialize_carry(jax.random.key(0), (2, vocab_size))
    return cell, cell.init(jax.random.key(1), carry, jnp.zeros((2, vocab_size))), carry


def test_the_lstm_starts_as_in_keras():
    _, variables, carry = lstm_variables(features=50, vocab_size=100)
    params = variables["params"]
    chex.assert_shape(params["kernel"], (100, 200))
    limit = np.sqrt(6 / 300)
    assert 0.99 * limit < jnp.max(jnp.abs(params["kernel"])) <= limit
    assert float(jnp.std(params["kernel"])) == pytest.approx(limit / np.sqrt(3), rel=0.03)
    recurrent = params["recurrent_kernel"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(50), atol=1e-5)
    assert params["bias"].tolist() == [0] * 50 + [1] * 50 + [0] * 100
    chex.assert_trees_all_equal(carry, lstm.LSTMCarry(jnp.zeros((2, 50)), jnp.zeros((2, 50))))


def test_a_gathered_row_is_the_one_hot_product():
    cell, variables, _ = lstm_variables()
    tokens = jnp.array([3, 9])
    carry = lstm.LSTMCarry(*jnp.asarray(normal(0, 2, 2, 8), jnp.float32))
    by_product = cell.apply(variables, carry, jax.nn.one_hot(tokens, 10))
    projected = cell.apply(variables, tokens, method="project")
    new_carry, outputs = cell.apply(variables, carry, projected[None], None, method="unroll")
    chex.assert_trees_all_close((new_carry, outputs[0]), by_product, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("window", "batch", "units"),
    [(1, 1, 1), (5, 5, 7), pytest.param(11, 2, 4, marks=pytest.mark.slow)],
)
def test_the_unrolled_lstm_has_the_gradients_of_its_definition(window, batch, units, masked):
    def array(seed, *shape):
        return jnp.asarray(normal(seed, *shape), jnp.float32)

    arguments = (
        array(0, units, 4 * units),
        lstm.LSTMCarry(array(1, batch, units), array(2, batch, units)),
        array(3, window, batch, 4 * units),
    )
    mask = jnp.asarray(normal(4, window, batch) > 0) if masked else None
    weights = array(5, window, batch, units)

    def loss(unroll, *arguments):
        carry, outputs = unroll(*arguments, mask)
        kept = outputs if mask is None else jnp.where(mask[..., None], outputs, 0.0)
        return jnp.sum(kept * weights) + jnp.sum(carry.cell**2) + jnp.sum(carry.hidden * weights[0])

    grads = [
        jax.jit(jax.value_and_grad(functools.partial(loss, unroll), argnums=(0, 1, 2)))(*arguments)
        for unroll in (lstm.lstm_unroll, lambda *a: lstm.lstm_scan(*a)[0])
    ]
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(grads[1]))
    chex.assert_trees_all_close(*grads, atol=1e-6 * scale)


def test_the_lstm_is_that_of_flax_with_its_kernels_joined():
    cell, variables, _ = lstm_variables()
    params = variables["params"]
    carry = lstm.LSTMCarry(*jnp.asarray(normal(0, 2, 2, 8), jnp.float32))
    split = {
        name: jnp.split(params[name], 4, axis=-1) for name in ("kernel", "recurrent_kernel", "bias")
    }
    theirs = {
        f"{side}{gate}": {"kernel": split[name][i]} | ({"bias": split["bias"][i]} if bias else {})
        for side, name, bias in (("i", "kernel", False), ("h", "recurrent_kernel", True))
        for i, gate in enumerate("ifgo")
    }
    x = jnp.asarray(normal(3, 2, 10), jnp.float32)
    expected, _ = nn.LSTMCell(8).apply({"params": theirs}, tuple(carry), x)
    found, _ = cell.apply(variables, carry, x)
    chex.assert_trees_all_close(tuple(found), expected, atol=1e-6)


def test_the_chrono_lstm_starts_with_times_spread_evenly_up_to_the_longest():
    bias = lstm.ChronoLSTMCell(2000, longest=64).initial_bias(jax.random.key(0), (8000,))
    i, f, g, o = jnp.split(bias, 4)
    chex.assert_trees_all_equal(i, -f)
    assert not jnp.any(g)
    assert not jnp.any(o)
    u = np.exp(np.asarray(f, np.float64))
    assert 0.999 < u.min() < 1.2
    assert 62.8 < u.max() < 63.01
    assert np.mean(u) == pytest.approx(32, abs=1.5)
    assert np.std(u) == pytest.approx(62 / np.sqrt(12), abs=1)


def test_the_chrono_lstm_differs_from_the_lstm_in_its_initial_bias_alone():
    plain, chrono = (
        cell(8).init(jax.random.key(1), cell(8).initialize_carry(KEY, (2, 3)), jnp.zeros((2, 3)))
        for cell in (lstm.LSTMCell, lstm.ChronoLSTMCell)
    )
    biases = [variables["params"].pop("bias") for variables in (plain, chrono)]
    chex.assert_trees_all_equal(plain, chrono)
    forget = biases[1][8:16]
    assert jnp.all((forget >= 0) & (forget <= np.log(63) + 1e-6))
    assert len(set(forget.tolist())) == 8
    assert biases[1][16:].tolist() == [0] * 16


def test_a_chrono_lstm_without_a_range_of_times_is_refused():
    with pytest.raises(ConfigError, match=r"^longest 2 is below 3 steps: use 3 or more$"):
        lstm.ChronoLSTMCell(4, longest=2)


def test_the_identity_rnn_starts_by_holding_what_is_not_negative():
    cell = identity_rnn.IdentityRNNCell(200)
    h = jnp.abs(jnp.asarray(normal(0, 3, 200), jnp.float32))
    x = jnp.asarray(normal(1, 3, 6), jnp.float32)
    variables = cell.init(jax.random.key(1), h, x)
    params = variables["params"]
    assert float(jnp.std(params["kernel"])) == pytest.approx(1e-3, rel=0.05)
    np.testing.assert_array_equal(params["recurrent_kernel"], np.eye(200))
    assert not jnp.any(params["bias"])
    chex.assert_trees_all_close(cell.apply(variables, h, jnp.zeros((3, 6))), (h, h), atol=1e-6)


def test_the_identity_rnn_is_its_equation():
    w, u, b = normal(3, 6, 4), normal(4, 4, 4), normal(5, 4)
    x, h = normal(0, 3, 6), normal(1, 3, 4)
    expected = np.maximum(x @ w + h @ u + b, 0)
    params = {"kernel": w, "recurrent_kernel": u, "bias": b}
    params, x, h = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (params, x, h))
    carry, output = identity_rnn.IdentityRNNCell(4).apply({"params": params}, h, x)
    np.testing.assert_allclose(carry, expected, atol=2e-6)
    chex.assert_trees_all_equal(output, carry)


def mlp(delay_line, features=4, vocab_size=6):
    cell = delay_line_mlp.DelayLineMLP(features, delay_line)
    carry = cell.initialize_carry(jax.random.key(0), (2, vocab_size))
    variables = cell.init(jax.random.key(1), carry, jnp.zeros((2, vocab_size)))
    bias = jnp.asarray(normal(0, features), jnp.float32)  # zeros at the start
    return cell, {"params": {**variables["params"], "bias": bias}}, carry


MLP_TOKENS = np.random.default_rng(5).integers(0, 6, (7, 2))


def unrolled(cell, variables, carry, tokens):
    projected = cell.apply(variables, jnp.asarray(tokens), method="project")
    return cell.apply(variables, carry, projected, None, method="unroll")


@pytest.mark.parametrize("delay_line", [1, 3])
def test_the_delay_line_mlp_is_a_perceptron_on_its_last_inputs_side_by_side(delay_line):
    cell, variables, carry = mlp(delay_line)
    kernel, bias = (np.asarray(variables["params"][x], np.float64) for x in ("kernel", "bias"))
    chex.assert_shape(kernel, (delay_line, 6, 4))
    one_hot = np.concatenate([np.zeros((delay_line - 1, 2, 6)), np.eye(6)[MLP_TOKENS]])
    _, outputs = unrolled(cell, variables, carry, MLP_TOKENS)
    for t in range(len(MLP_TOKENS)):
        newest_first = [one_hot[t + delay_line - 1 - d] for d in range(delay_line)]
        expected = np.maximum(np.concatenate(newest_first, 1) @ kernel.reshape(-1, 4) + bias, 0)
        np.testing.assert_allclose(outputs[t], expected, atol=1e-6)


def test_the_delay_line_mlp_sees_nothing_older_than_its_line():
    cell, variables, carry = mlp(3)
    changed = MLP_TOKENS.copy()
    changed[1] = (changed[1] + 1) % 6
    _, before = unrolled(cell, variables, carry, MLP_TOKENS)
    _, after = unrolled(cell, variables, carry, changed)
    differs = np.any(np.asarray(before) != np.asarray(after), axis=(1, 2))
    np.testing.assert_array_equal(differs, [False, True, True, True, False, False, False])


@pytest.mark.parametrize("delay_line", [1, 3])
def test_a_step_of_the_delay_line_mlp_on_vectors_is_one_of_its_unrolled_tokens(delay_line):
    cell, variables, start = mlp(delay_line)
    expected_carry, expected = unrolled(cell, variables, start, MLP_TOKENS)
    vectors, carry = jax.nn.one_hot(MLP_TOKENS, 6), start
    for t in range(len(MLP_TOKENS)):
        carry, output = cell.apply(variables, carry, vectors[t])
        chex.assert_trees_all_close(output, expected[t], atol=1e-6)
    chex.assert_trees_all_close(carry, expected_carry, atol=1e-6)
    found = unrolled(cell, variables, start, vectors)
    chex.assert_trees_all_close(found, (expected_carry, expected), atol=1e-6)


def test_the_delay_line_mlp_starts_as_one_glorot_matrix_over_all_of_its_inputs():
    cell = delay_line_mlp.DelayLineMLP(50, 5)
    carry = cell.initialize_carry(jax.random.key(0), (2, 100))
    params = cell.init(jax.random.key(1), carry, jnp.zeros((2, 100)))["params"]
    limit = np.sqrt(6 / (5 * 100 + 50))
    assert 0.99 * limit < jnp.max(jnp.abs(params["kernel"])) <= limit
    assert not jnp.any(params["bias"])
    assert registry.build_cell(NetworkConfig("mlp", 50), window=5) == cell
    assert registry.build_cell(NetworkConfig("mlp", delay_line=2), window=5).delay_line == 2


def test_every_name_has_a_cell_and_every_cell_a_name():
    assert tuple(registry.CELLS) == CELL_NAMES
    for name in CELL_NAMES:
        cell = registry.build_cell(NetworkConfig(cell=name, hidden_size=7), window=5)
        registry.check_cell(cell, name, input_size=5)


class KeepsStatistics(nn.RNNCellBase):
    features: int = 4

    @nn.compact
    def __call__(self, carry, inputs):
        self.variable("batch_stats", "mean", jnp.zeros, (self.features,))
        return carry, carry

    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], self.features))


class GrowsItsCarry(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return jnp.concatenate([carry, carry], axis=-1), carry


class ForgetsTheBatch(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return carry, jnp.zeros(self.features)


class ReturnsThree(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return carry, carry, inputs


class GivesATuple(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return carry, (carry, inputs)


class GivesIntegers(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return carry, carry.astype(int)


class HasAScalarInItsCarry(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return carry, carry[0]

    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], self.features)), jnp.zeros(())


class Raises(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        raise RuntimeError("three words here")


class LearnsNothing(KeepsStatistics):
    @nn.compact
    def __call__(self, carry, inputs):
        return carry, carry


class TakesNoFeatures(nn.RNNCellBase):
    units: int = 3


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("test_cells:KeepsStatistics", "keeps variables in batch_stats: move what it learns"),
        ("test_cells:GrowsItsCarry", r"turns its carry float32\[2, 4\] into float32\[2, 8\]"),
        ("test_cells:ForgetsTheBatch", r"returns an output of shape \(4,\) for a batch of 2"),
        ("test_cells:ReturnsThree", r"returns \(.*\) from a step: return two, the carry and the"),
        (
            "test_cells:GivesATuple",
            r"returns an output \(.*\): return one array, \[batch",
        ),
        ("test_cells:GivesIntegers", "returns an output of type int32, which has no gradient: ret"),
        ("test_cells:HasAScalarInItsCarry", r"has a carry .* for a batch of 2: give every array"),
        ("test_cells:Raises", r"fails in a step \(RuntimeError: three words here\): mend it"),
        ("test_cells:TakesNoFeatures", "cannot be built with features=4 .*: give it a field"),
        ("test_cells:Missing", "cannot be imported .*: name a module that Python finds"),
        ("no_such_module:Cell", "cannot be imported .*: name a module that Python finds"),
        ("flax.linen:Dense", "is no flax.linen.RNNCellBase: derive it from that class"),
    ],
)
def test_a_cell_that_cannot_be_used_is_refused_in_one_sentence(cell, sentence):
    with pytest.raises(ConfigError, match=f"^cell '{cell}' {sentence}"):
        registry.check_cell(
            registry.build_cell(NetworkConfig(cell=cell, hidden_size=4), window=5), cell, 5
        )


def test_a_cell_without_parameters_is_a_cell():
    name = "test_cells:LearnsNothing"
    network = build_network(RunConfig(network=NetworkConfig(cell=name, hidden_size=4)))
    assert init_params(network, jax.random.key(0))["cell"] == {}


def test_a_cell_is_found_in_the_current_folder_whatever_its_module_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = "import flax.linen as nn\nclass Mine(nn.GRUCell):\n    pass\n"
    (tmp_path / "cell_of_mine.py").write_text(good)
    (tmp_path / "cell_that_breaks.py").write_text("class Mine(:\n")
    built = registry.build_cell(NetworkConfig(cell="cell_of_mine:Mine", hidden_size=3), window=5)
    assert type(built).__name__ == "Mine"
    assert str(tmp_path) not in sys.path
    (tmp_path / "cell_that_exits.py").write_text(f"{good}raise SystemExit(0)\n")
    (tmp_path / "cell_that_lacks.py").write_text(f"import no_such_module\n{good}")
    for module, said in (
        ("cell_that_breaks", r"\(SyntaxError.*\): mend the module, or install what it needs"),
        ("cell_that_lacks", r"\(ModuleNotFound.*\): mend the module, or install what it needs"),
        ("cell_that_exits", r"\(SystemExit: 0\): put what it runs as a program below `if __name"),
    ):
        with pytest.raises(ConfigError, match=f"cannot be imported {said}"):
            registry.build_cell(NetworkConfig(cell=f"{module}:Mine", hidden_size=3), window=5)
