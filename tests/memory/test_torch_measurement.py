"""Layers of PyTorch: the numbers of the same cells in JAX, cards that resume, and refusals."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_memory import NUMBERS, TINY

import echo_jax
from echo_jax.cells.adapt import BlockOf
from echo_jax.cells.registry import build
from echo_jax.cells.state_numbers import state_bytes
from echo_jax.exceptions import ConfigError
from echo_jax.memory.card.train_and_score import (
    measurable,
    measurement_of,
    named_cell,
    weights_digest,
)
from echo_jax.memory.comparison.comparability import comparable
from echo_jax.memory.measurement import RunInputs, init, train_updates
from echo_jax.memory.protocol import Protocol

torch = pytest.importorskip("torch")

UNITS = 6
TEN = Protocol(
    **NUMBERS | {"updates": 10, "updates_at_once": 10, "pilot_updates": 10, "budgets": []}
)
RUN = RunInputs(np.int32(3), np.float32(0.01), np.int32(10))


def make(input_size, kind="GRU"):
    """A layer with the one bias of each gate that its cell in JAX has, and c before h."""
    layer = getattr(torch.nn, kind)(input_size, UNITS, batch_first=True)
    second = layer.bias_hh_l0
    if kind == "GRU":
        second.register_hook(lambda g: torch.cat([0 * g[: 2 * UNITS], g[2 * UNITS :]]))
    else:
        second.requires_grad_(False)
    if kind == "LSTM":
        layer.own_state = lambda state: state[::-1]
    return layer


def of_torch(kind, p):
    """The weights of a cell as PyTorch names and stores them."""
    if kind == "GRU":
        w, u = (jnp.concatenate([p[f"{x}{g}"]["kernel"] for g in "rzn"], 1) for x in "ih")
        b = jnp.concatenate([p[f"i{g}"]["bias"] for g in "rzn"])
        second = jnp.concatenate([jnp.zeros(2 * UNITS), p["hn"]["bias"]])
    elif kind == "LSTM":
        w, u, b = p["kernel"], p["recurrent_kernel"], p["bias"]
    else:
        w, u, b = p["i"]["kernel"], p["h"]["kernel"], p["i"]["bias"]
    second = second if kind == "GRU" else 0 * b
    return {"weight_ih_l0": w.T, "weight_hh_l0": u.T, "bias_ih_l0": b, "bias_hh_l0": second}


def in_torch(kind, params):
    """All parameters of a network as the one in PyTorch has them."""
    cell = params["cell"]
    (reader,) = params.keys() - {"cell"}
    if not hasattr(cell, "layers"):
        weights = of_torch(kind, cell)
    else:
        (layer,) = cell.layers
        weights = {f"cells.0.{k}": x for k, x in of_torch(kind, layer.cell).items()}
        weights |= {f"layers.0.{k}": x for k, x in layer._asdict().items() if k != "cell"}
        weights |= {"ends.W_in": cell.W_in, "ends.norm": cell.norm}
    whole = {f"cell.{name}": x for name, x in weights.items()}
    whole |= {f"{reader}.{name}": x for name, x in params[reader].items()}
    return {name: torch.tensor(np.array(x)) for name, x in whole.items()}


def close(kind, network, params, of=lambda x: x, atol=1e-4):
    for name, x in in_torch(kind, params).items():
        found = of(network.get_parameter(name))
        if found is not None:
            torch.testing.assert_close(found.detach(), x, atol=atol, rtol=1e-3, msg=name)


@pytest.mark.parametrize("asked", ["by lag", "by key in the block"])
@pytest.mark.parametrize(("kind", "name"), [("GRU", "gru"), ("LSTM", "lstm"), ("RNN", "simple")])
def test_a_layer_with_the_weights_of_a_cell_learns_and_is_scored_as_it(kind, name, asked):
    block = "block:" if "block" in asked else ""
    theirs = BlockOf(make) if block else make
    measurement = measurement_of(asked[:6], build(block + name, {"features": UNITS}), TEN)
    other = measurement_of(asked[:6], named_cell(theirs, {"kind": kind}).cell, TEN)
    ours, progress = jax.jit(functools.partial(init, measurement))(RUN), other.init(RUN)
    network, _ = progress.opt_state
    network.load_state_dict(in_torch(kind, ours.params))

    key = jax.random.key(1)
    grad = jax.jit(jax.value_and_grad(measurement.loss))
    loss, gradient = grad(ours.params, key, np.float32(0.5))
    found = other.torch_loss(network, key, np.float32(0.5))
    found.backward()
    assert found.item() == pytest.approx(float(loss), abs=1e-4)
    close(kind, network, gradient, lambda x: x.grad)

    ours, metrics = jax.jit(functools.partial(train_updates, measurement))(RUN, ours)
    progress, of_torch = other.train_updates(RUN, progress)
    assert of_torch.losses == pytest.approx(np.array(metrics.losses), abs=1e-4)
    # Adam divides by the size of a gradient: of one near 0 last bits count; ten updates move 0.1
    close(kind, network, ours.params, atol=2e-3)

    network.load_state_dict(in_torch(kind, ours.params))
    sets = measurement.draw_sets(RUN.seed, weights_digest(ours.params))
    score = jax.jit(measurement.score)(ours.params, sets)
    same = other.score(network.arrays(), sets)
    assert np.array(same.final) == pytest.approx(np.array(score.final), abs=1e-3)
    assert int(same.bytes) == int(score.bytes)
    assert float(same.accuracy) == pytest.approx(float(score.accuracy))
    assert float(other.scan_accuracy(network.arrays(), sets)) == float(same.accuracy)


def test_a_card_that_was_stopped_goes_on_to_the_same_rows_and_stands_beside_others(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.py").write_text(
        "from torch import nn\n\n\ndef make(input_size, features=7):\n"
        "    return nn.GRU(input_size, features, batch_first=True)\n"
    )
    options = {"protocol": TINY, "seeds": 1, "only": "by-lag", "progress": False, "out": "cards"}
    by_name = functools.partial(echo_jax.card, "layers.py:make", state_bytes=12, **options)
    made = by_name(name="mine")
    file = tmp_path / "cards" / "mine" / "rows.jsonl"
    first, *_ = file.read_text().splitlines(keepends=True)
    file.write_text(first)
    again = by_name(name="mine")
    assert sorted(map(str, again.rows)) == sorted(map(str, made.rows))
    assert len(made.rows) == 5
    assert (file.parent / "picture.svg").exists()
    card = made.card
    assert (card.cell.args, card.cell.framework) == ({"features": 3}, "torch")
    assert card.versions["torch"] == torch.__version__
    assert (card.state_bytes, card.parameters) == (12, 3 * 3 * (129 + 3 + 2) + 4 * 64)
    assert comparable([card, echo_jax.card("gru", state_bytes=12, **options).card])


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # PyTorch runs it without oneDNN
@pytest.mark.parametrize("name", ["layer.py:make", "gru", "projected_lstm"])
def test_the_layers_of_the_pages_and_of_the_examples_can_be_measured(
    root, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(root)
    page = (root / "docs" / "your-own-cell.md").read_text()
    (tmp_path / "layer.py").write_text(re.search(r"# layer.py\n(.*?)^```", page, re.M | re.S)[1])
    of_page = name.startswith("layer.py")
    cell = named_cell(str(tmp_path / name) if of_page else f"examples/torch_cells.py:{name}").cell
    measurable(name, cell, TEN)
    assert state_bytes(cell, 16) == 400


class Changed(torch.nn.Module):
    """A GRU with a change of what it sees, or of what it returns."""

    def __init__(self, size, see=lambda x: x, give=lambda y, state: (y, state), *parts):
        super().__init__()
        self.gru, self.see, self.give = torch.nn.GRU(size, 4, batch_first=True), see, give
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, x, state):
        return self.give(*self.gru(self.see(x), state and state[0]))


class Convolved(Changed):
    """A GRU that keeps its last outputs, as a convolution its inputs, which is counted apart."""

    def __init__(self, size):
        super().__init__(size, give=lambda y, h: (y, (h, y[:, -1:], y[:, -1:])))

    def own_state(self, state):
        return state[0]


def test_the_past_of_a_convolution_is_counted_apart():
    cell = named_cell(Convolved).cell
    assert (state_bytes(cell, 16), cell.bytes_apart(16)) == (16, 32)


def fails(size):
    raise RuntimeError(f"torch has no {size}")


def exits(size):
    raise SystemExit(0)


def too_large(size, features=8):
    if features > 64:
        raise RuntimeError(f"not enough memory for {features}")
    return torch.nn.GRU(size, features, batch_first=True)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [(2**17, "is above 65536"), (2**16, "memory for 128[)]")],
)
def test_a_size_too_large_to_be_built_is_refused_at_once(target, sentence):
    with pytest.raises(ConfigError, match=sentence):
        named_cell("test_torch_measurement:too_large", target=target)


KEPT: dict = {}


class Counting(torch.nn.Module):
    def forward(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return x * self.calls


def in_training(x):
    if len(x) > 3:
        raise ValueError(f"not with {len(x)} rows")
    return x


def not_finite(size):
    layer = make(size)
    torch.nn.init.constant_(layer.bias_ih_l0, np.nan)
    return layer


def drawn_by_numpy(size):
    layer = torch.nn.GRU(size, 4, batch_first=True)
    torch.nn.init.constant_(layer.bias_ih_l0, np.random.default_rng().random())
    return layer


def changed(see=lambda x: x, give=lambda y, h: (y, (h,)), parts=()):
    return lambda size: Changed(size, see, give, *parts)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (torch.nn.GRU(16, 4), r"GRU\(16, 4\) is already built: use a function make\(input_size\)"),
        (torch.nn.GRU, r"GRU' takes options that .*: use a function make\(input_size\)"),
        (fails, r"test_torch_measurement.py:\d+: cell '.*:fails' fails \(.*has no 16"),
        (exits, r"fails \(SystemExit: 0\): fix its code"),
        (lambda size: size, "makes an object of type int: return a torch.nn.Module"),
        (changed(parts=[torch.nn.BatchNorm1d(4)]), "has a BatchNorm1d, which"),
        (changed(torch.nn.Dropout(0.5)), "draws random numbers in training"),
        (changed(lambda x: x.cumsum(1)), "outputs that differ from single steps"),
        (
            changed(give=lambda y, h: (y.transpose(0, 1), h)),
            r"returns a tuple of float32.6, 3, 4.",
        ),
        (changed(give=lambda y, h: (y.double(), h)), r"returns a tuple of float64.3, 6, 4. and"),
        (changed(give=lambda y, h: (y[..., :0], h)), r"returns a tuple of float32.3, 6, 0. and"),
        (changed(give=lambda y, h: (y.numpy(), h)), "returns a tuple of ndarray and float32"),
        (changed(give=lambda y, h: (y / 0, (h,))), "returns outputs that are not finite"),
        (changed(in_training), "fails in a step .*not with"),
        (changed(Counting()), "for the same inputs: keep all"),
        (lambda size: KEPT.setdefault(size, make(size)), "is made with parameters of an earlier"),
        (not_finite, "has initial weights that are not finite"),
        (changed(give=lambda y, h: (y, (h, 1))), "not made of tensors of at most 32 bits"),
        (changed(give=lambda y, h: (y, (h, h.sum()))), "without an axis of rows"),
        (changed(give=lambda y, h: (y, (h, y))), "shapes change from step to step"),
        (changed(give=lambda y, h: (y, None)), "returns no tensor that counts as its state"),
        (lambda size: torch.nn.GRU(size, 4), r"axis of rows .*batch_first=True"),
        (drawn_by_numpy, "has different initial weights"),
        (lambda size: changed()(size).double(), "of type float64: make it float32"),
    ],
)
def test_what_no_card_can_measure_is_refused_in_a_sentence(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.card(given, name="refused", protocol=TINY, progress=False)


def test_a_layer_that_the_last_check_refuses_was_built_twice():
    """Once to be checked, and once more to see that a seed draws equal weights."""
    sizes = []

    def sees_ahead(size):
        sizes.append(size)
        return Changed(size, lambda x: x.cumsum(1), lambda y, h: (y, (h,)))

    with pytest.raises(ConfigError, match="differ from single steps"):
        echo_jax.card(sees_ahead, name="refused", protocol=TINY, progress=False)
    assert len(sizes) == 2


def lazy(size):
    """A layer with weights that are drawn at the first call."""
    return Changed(size, torch.nn.LazyLinear(size), lambda y, h: (y, (h,)))


@pytest.mark.parametrize("cell", [lazy, BlockOf(lazy)])
def test_weights_of_a_first_call_are_of_the_seed_and_the_programs_generator_stays(cell):
    before = torch.get_rng_state()
    measurable("mine", named_cell(cell).cell, TEN)
    measurement = measurement_of("by lag", named_cell(cell).cell, TEN)
    runs = (RUN._replace(seed=np.int32(seed)) for seed in (3, 3, 4))
    one, same, other = (measurement.init(run).params["cell"] for run in runs)
    assert torch.equal(torch.get_rng_state(), before)
    (name,) = (x for x in one if x.endswith("see.weight"))
    assert np.array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name])


def test_a_layer_of_pytorch_is_sent_to_no_cluster_and_trained_by_no_run():
    with pytest.raises(ConfigError, match="cluster='local:2' cannot train layers of PyTorch"):
        echo_jax.card(make, name="mine", cluster="local:2")
    with pytest.raises(ConfigError, match="is a layer of torch"):
        echo_jax.train(cell=make)
