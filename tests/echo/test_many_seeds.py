import functools
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from drawn import learner_of
from seeds_worker import SMALL
from whole_runs import train_and_evaluate

from echo_jax.config import changed
from echo_jax.echo import many_seeds, training

WORKER = Path(__file__).parents[1] / "support" / "seeds_worker.py"


def run_seeds(folder, devices, how, seed_list):
    """Every leaf of the states, metrics and evaluations of some seeds, `[S, ...]` each."""
    out = folder / f"{devices}-{how}-{'-'.join(map(str, seed_list))}.npz"
    command = [sys.executable, WORKER, devices, how, out, *seed_list]
    subprocess.run([str(word) for word in command], check=True, timeout=600)
    found = dict(np.load(out))
    assert found.pop("devices") == devices
    return found


@pytest.fixture(scope="module")
def seven_seeds_on_two_devices(tmp_path_factory):
    return run_seeds(tmp_path_factory.mktemp("seven"), 2, "map", range(7))


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "seed_list"), [(1, [3]), (2, [6, 1, 3])])
def test_a_seed_is_bit_for_bit_what_it_is_alone_in_any_company_on_any_devices(
    seven_seeds_on_two_devices, tmp_path, devices, seed_list
):
    found = run_seeds(tmp_path, devices, "map", seed_list)
    assert found.keys() == seven_seeds_on_two_devices.keys()
    for name, leaf in found.items():
        assert len(leaf) == len(seed_list)
        np.testing.assert_array_equal(leaf, seven_seeds_on_two_devices[name][seed_list])


@pytest.mark.slow
def test_vmap_gives_the_same_within_its_tolerance(seven_seeds_on_two_devices, tmp_path):
    found = run_seeds(tmp_path, 1, "vmap", range(7))
    for name, leaf in seven_seeds_on_two_devices.items():
        if leaf.dtype == np.float32 and "leaf" in name:
            largest = np.nanmax(np.abs(leaf))
            np.testing.assert_allclose(found[name], leaf, atol=1e-5 * largest)


@pytest.mark.slow
def test_each_run_of_a_program_for_many_is_that_of_its_own_configuration():
    runs = [
        changed(SMALL, lag=0, learning_rate=1e-2, stateful=True, seed=4),
        changed(SMALL, lag=2, learning_rate=1e-3, stateful=False, seed=1),
    ]
    train = jax.jit(train_and_evaluate, static_argnums=0)
    state, metrics, _ = train(SMALL.static_config, many_seeds.stack_dynamic(runs))
    for i, run in enumerate(runs):
        learner = learner_of(run)
        alone = jax.jit(functools.partial(training.run_chunk, run, learner, 25))
        init = jax.jit(functools.partial(training.init, learner))
        expected = alone(run.dynamic, init(run.dynamic), count=25)
        found = jax.tree.map(lambda leaf, i=i: leaf[i], (state, metrics))
        chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)
