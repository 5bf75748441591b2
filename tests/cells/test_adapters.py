"""Cells of four libraries are one cell: a GRU with the same weights has the same numbers."""

import re
import sys

import chex
import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from run_folders import AVERAGE

import echo_jax
from echo_jax.cells import registry, user_cell_check
from echo_jax.cells.adapt import REQUIRED, adapt, construct, size_of
from echo_jax.config import NetworkConfig, RunConfig
from echo_jax.exceptions import ConfigError
from echo_jax.learner import network

F, H = 5, 4


class GRUFunctions:
    """The GRU of Flax as plain functions; its weights lie side by side, gates r z n."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key)
        shapes = (input_size, 3 * H), (H, 3 * H)
        w, u = (0.3 * jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))
        return {"w": w, "u": u, "b": jnp.zeros(3 * H), "c": jnp.zeros(H)}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, H))

    @staticmethod
    def step(params, h, x):
        x_r, x_z, x_n = jnp.split(x @ params["w"] + params["b"], 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h @ params["u"], 3, axis=-1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * (h_n + params["c"]))
        h = (1 - z) * n + z * h
        return h, h


def linen_weights(p):
    gates = {"r": 0, "z": 1, "n": 2}
    part = {name: slice(i * H, (i + 1) * H) for name, i in gates.items()}
    inputs = {f"i{g}": {"kernel": p["w"][:, s], "bias": p["b"][s]} for g, s in part.items()}
    recurrent = {f"h{g}": {"kernel": p["u"][:, s]} for g, s in part.items()}
    recurrent["hn"]["bias"] = p["c"]
    return inputs | recurrent


def nnx_weights(p):
    return {"dense_i": {"kernel": p["w"], "bias": p["b"]}, "dense_h": {"kernel": p["u"]}}


def equinox_weights(p):
    cell = eqx.filter(eqx.nn.GRUCell(F, H, key=jax.random.key(0)), eqx.is_array)
    weights = p["w"].T, p["u"].T, p["b"], p["c"]
    return eqx.tree_at(lambda x: (x.weight_ih, x.weight_hh, x.bias, x.bias_n), cell, weights)


CELLS = {
    "linen": (construct(nn.GRUCell, {"features": H}), linen_weights),
    "nnx": (construct(nnx.GRUCell, {"hidden_features": H}), nnx_weights),
    "equinox": (construct(eqx.nn.GRUCell, {"hidden_size": H}), equinox_weights),
}


def run(cell, params, xs):
    state = cell.initial_state(params, xs.shape[1], F)
    state, ys = cell.scan(cell.prepare(params), state, xs)
    return jnp.sum(ys**2), (state, ys)


@pytest.mark.parametrize("name", CELLS)
def test_the_gru_of_each_library_has_the_numbers_and_gradients_of_the_functions(name):
    cell, weights_of = CELLS[name]
    functions = adapt(GRUFunctions)
    rng = np.random.default_rng(0)
    shapes, their_shapes = (
        jax.eval_shape(lambda key, each=each: each.init(key, F), jax.random.key(1))
        for each in (functions, cell)
    )
    params = jax.tree.map(lambda x: np.float32(rng.normal(0, 0.3, x.shape)), shapes)
    if name == "nnx":
        params["c"] = np.zeros_like(params["c"])  # it has no bias of its own in the reset gate
    xs = np.float32(rng.normal(size=(7, 3, F)))
    theirs = weights_of(params)
    assert jax.tree.map(jnp.shape, their_shapes) == jax.tree.map(jnp.shape, theirs)
    value_and_gradient = jax.jit(jax.value_and_grad(run, 1, has_aux=True), static_argnums=0)
    (loss, found), gradient = value_and_gradient(cell, theirs, xs)
    (expected_loss, expected), expected_gradient = value_and_gradient(functions, params, xs)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    chex.assert_trees_all_close(found, expected, atol=1e-6)
    expected_gradient = weights_of(jax.tree.map(np.asarray, expected_gradient))
    chex.assert_trees_all_close(gradient, expected_gradient, atol=2e-5)


def test_functions_and_classes_that_take_nothing_are_refused_for_what_they_lack():
    empty = type("Empty", (), dict.fromkeys(REQUIRED, staticmethod(lambda: None)))
    with pytest.raises(ConfigError, match="0 positional arguments"):
        echo_jax.train(cell=empty)
    with pytest.raises(ConfigError, match="takes no arguments"):
        echo_jax.train(cell=type("Nothing", (eqx.Module,), {}))


def network_of(cell):
    return drawn.network_of(RunConfig(network=NetworkConfig(cell)))


def test_a_file_of_functions_is_a_cell_and_its_faults_have_their_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain_cell.py").write_text(AVERAGE)
    net = network_of("plain_cell.py")
    params = jax.eval_shape(lambda: network.init_params(net, jax.random.key(0)))
    chex.assert_shape(params["readout"]["kernel"], (3, 100))
    user_cell_check.check_shapes(net.cell, "plain_cell.py", F)
    wrong = AVERAGE.replace("return state, state", "return state")
    (tmp_path / "wrong_cell.py").write_text(wrong)
    with pytest.raises(ConfigError, match=r"^wrong_cell.py:\d+: .* returns .* a pair"):
        network_of("wrong_cell.py")
    imports = "from jax.lax import scan\n" + AVERAGE
    (tmp_path / "imports_scan.py").write_text(imports)
    assert not network_of("imports_scan.py").cell.has_scan
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "plain_cell.py").write_text(AVERAGE)  # as one sent to a worker
    assert network_of("folder/plain_cell.py").cell == net.cell
    (tmp_path / "folder" / "plain_cell.py").write_text(AVERAGE + "\n")
    with pytest.raises(ConfigError, match="module plain_cell as it was loaded"):
        network_of("folder/plain_cell.py")


@pytest.mark.parametrize(
    ("found", "others"), [(nnx.GRUCell, {"equinox", "torch"}), (eqx.nn.GRUCell, {"torch"})]
)
def test_a_cell_of_one_library_is_built_where_no_other_is_installed(monkeypatch, found, others):
    for name in [x for x in sys.modules if re.match(r"echo_jax\.cells\.adapters\.\w+_", x)]:
        monkeypatch.delitem(sys.modules, name)
    for name in others:
        monkeypatch.setitem(sys.modules, name, None)  # its import fails
    assert construct(found, {size_of(found): H}).cell_class is found


def test_a_library_that_is_missing_is_named_with_the_extra_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "equinox", None)
    monkeypatch.delitem(sys.modules, "echo_jax.cells.adapters.equinox_cell", raising=False)
    extra = r"run pip install 'echo_jax\[equinox\]'"
    with pytest.raises(ConfigError, match=extra):
        registry.build("equinox.nn:GRUCell", {"hidden_size": H}, eqx.nn.GRUCell)
    (tmp_path / "needs_equinox.py").write_text("import equinox\n")
    with pytest.raises(ConfigError, match=extra):
        registry.cell_class(f"{tmp_path}/needs_equinox.py")
