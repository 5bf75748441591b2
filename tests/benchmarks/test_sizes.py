"""One layer at several sizes: it runs, and its ratios are those of its times."""

import importlib
import itertools
import json
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import race
import sizes


def measured_here(core, function, points):
    return [labels | function(*arguments) for labels, arguments in points]


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_ratio_of_a_size_is_the_quotient_of_the_median_times(tmp_path, monkeypatch, apart):
    if not apart:
        monkeypatch.setattr(sizes, "measured_apart", measured_here)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    race.main(rounds=2, sizes=True, fast=True, out=tmp_path / "sizes.json")
    vector, matrix = json.loads((tmp_path / "sizes.json").read_text())["sizes"]
    assert (vector["cell"], matrix["cell"]) == ("lstm", "delta-net")
    for row, of in itertools.product((vector, matrix), ("", "update_")):
        all_times = row[f"{of}milliseconds"]
        ours = all_times.pop("echo_jax")
        assert row[f"{of}ratios"].keys() == all_times.keys()
        assert "Flax" in all_times or row is matrix
        for name, times in all_times.items():
            assert min(times + ours) > 0
            ratio, low, high = row[f"{of}ratios"][name]
            assert ratio == pytest.approx(statistics.median(ours) / statistics.median(times))
            in_rounds = [a / b for a, b in zip(ours, times, strict=True)]
            assert [low, high] == pytest.approx([min(in_rounds), max(in_rounds)])


def test_updates_of_a_size_follow_from_one_another():
    layer = sizes.compiled(lambda weights, inputs: weights * inputs, jnp.ones(()), jnp.ones(3))
    assert layer.updates() == pytest.approx((1 - 6e-6) ** 4, abs=1e-7)


@pytest.mark.parametrize("form", ["in_steps", "in_chunks"])
@pytest.mark.parametrize("cell", ["delta-net", "gla", "mamba2"])
def test_a_matrix_state_in_pytorch_has_the_outputs_of_our_cell_with_its_weights(cell, form):
    torch = pytest.importorskip("torch")
    states = importlib.import_module("matrix_states")
    ours, params = sizes.first_weights(sizes.Size(cell, 50, 3, 8, 5))
    tokens = np.random.default_rng(0).integers(0, 5, (50, 3))
    state = ours.initial_state(params, 3, 5)
    _, expected = jax.jit(ours.scan)(ours.prepare(params), state, jnp.asarray(tokens))
    weights = jax.tree.map(lambda x: torch.tensor(np.array(x)), params)
    x = torch.nn.functional.one_hot(torch.tensor(tokens.T), 5).float()
    found = getattr(states, cell.replace("-", "_"))(weights, x, getattr(states, form))
    np.testing.assert_allclose(found.swapaxes(0, 1), expected, atol=2e-6, rtol=1e-5)
    assert expected.std() > 0.01
