"""A GPU or a TPU gives what the CPU gives: training, every cell over time, a card.

`pytest -m accelerator`, skipped where there is none.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from card_runs import by_key, by_lag, made, run_of
from tiny_memory import TINY
from whole_runs import train_and_evaluate

from echo_jax.cell_names import CELLS
from echo_jax.cells.interface import ProjectedCell, scan_over_time
from echo_jax.cells.registry import build
from echo_jax.config import RunConfig, TaskConfig, TrainingConfig
from echo_jax.echo import many_seeds

pytestmark = pytest.mark.accelerator

SMALL = RunConfig(TaskConfig(vocab_size=10), training=TrainingConfig(sequences=10))
STEPS, ROWS, VALUES = 40, 3, 6


def on_both(function, *arguments):
    """What a function gives on the first CPU, and on the first accelerator."""
    if jax.default_backend() == "cpu":
        pytest.skip("no accelerator")
    results = []
    for device in (jax.devices("cpu")[0], jax.devices()[0]):
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            results.append(jax.device_get(function(*arguments)))
    return results


def test_training_gives_the_same_losses():
    def losses():
        dynamic = many_seeds.stack_dynamic([SMALL])
        return train_and_evaluate(SMALL, dynamic, "map")[1].loss

    on_cpu, on_accelerator = on_both(losses)
    np.testing.assert_allclose(on_accelerator, on_cpu, rtol=1e-3)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_over_time_gives_what_its_steps_give(monkeypatch, name):
    monkeypatch.setattr(ProjectedCell, "in_parallel", True)
    cell = build(name, {"features": 16})
    xs = jax.random.normal(jax.random.key(1), (STEPS, ROWS, VALUES))

    def outputs(parallel):
        params = cell.init(jax.random.key(0), VALUES)
        prepared, state = cell.prepare(params), cell.initial_state(params, ROWS, VALUES)
        if not parallel:
            return scan_over_time(lambda s, x: cell.step(prepared, s, x), state, xs, None)[1]
        return cell.scan(prepared, state, xs)[1]

    on_cpu, _ = on_both(jax.jit(lambda: outputs(parallel=False)))
    _, on_accelerator = on_both(jax.jit(lambda: outputs(parallel=True)))
    np.testing.assert_allclose(on_accelerator, on_cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("configuration", [by_lag(0.01, 4), by_key(0.01, 4)])
def test_a_run_of_a_card_gives_the_same_row(configuration):
    def row():
        row = made(run_of("lstm", {"features": 8}, configuration, protocol=TINY))
        return jnp.array(row.validation)

    on_cpu, on_accelerator = on_both(row)
    np.testing.assert_allclose(on_accelerator, on_cpu, rtol=1e-3, atol=1)
