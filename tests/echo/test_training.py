import functools
import operator

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from drawn import learner_of, network_of

from echo_jax.config import RunConfig, TaskConfig, TrainingConfig, changed
from echo_jax.echo import compiled_programs as of_runs
from echo_jax.echo import data, evaluation, training
from echo_jax.learner import network, random_tokens

SMALL = changed(
    RunConfig(), length=8, vocab_size=6, window=3, batch_size=2, hidden_size=5, learning_rate=1e-2,
    evaluation_sequences=150,
)  # fmt: skip


draw_sequences = jax.jit(data.draw_sequences, static_argnums=(1, 3))


@functools.cache
def programs(config, size):
    learner = learner_of(config)
    init = jax.jit(functools.partial(training.init, learner))
    return init, jax.jit(functools.partial(training.run_chunk, config, learner, size))


def run(config, chunks, size=12):
    """Train chunk by chunk; returns the state and the losses `[N, K]`."""
    init, run_chunk = programs(changed(config, seed=0), size)
    state, losses = init(config.dynamic), []
    for count in chunks:
        state, found = run_chunk(config.dynamic, state, count)
        losses.append(np.asarray(found.loss)[:count])
    return state, np.concatenate(losses)


def test_a_run_is_the_same_bits_however_it_is_cut_into_chunks_and_a_function_of_its_seed():
    whole = run(SMALL, [12])
    for chunks in ([12], [5, 7], [7, 5], [1] * 12):
        chex.assert_trees_all_equal(run(SMALL, chunks), whole)
    chex.assert_trees_all_equal(run(SMALL, [5, 5, 2], size=5), whole)
    assert whole[0].step == 12 * SMALL.task.updates_per_sequence == whole[1].size
    with pytest.raises(AssertionError):
        chex.assert_trees_all_close(run(changed(SMALL, seed=1), [12]), whole, atol=1e-3)


def test_wide_vectors_are_used_where_they_change_no_bit(monkeypatch):
    monkeypatch.setattr(of_runs, "has_wide_vectors", lambda: True)
    width = of_runs.options_of_training(SMALL)
    assert width == {"xla_cpu_prefer_vector_width": "512"}
    for other in ({"batch_size": 1}, {"hidden_size": 1}, {"framing": "values"}, {"cell": "mamba2"}):
        assert not of_runs.options_of_training(changed(SMALL, **other))
    init, run_chunk = programs(changed(SMALL, hidden_size=50), 12)
    lowered = run_chunk.lower(SMALL.dynamic, init(SMALL.dynamic), 12)
    compiled = [lowered.compile(options) for options in ({}, width)]
    chex.assert_trees_all_equal(*(f(SMALL.dynamic, init(SMALL.dynamic), 12) for f in compiled))


def test_of_a_frozen_network_the_readout_alone_is_trained():
    frozen = changed(SMALL, frozen=True)
    first = programs(SMALL, 12)[0](SMALL.dynamic).params
    (state, losses), whole = run(frozen, [12]), run(SMALL, [12])[1]
    chex.assert_trees_all_equal(state.params["cell"], first["cell"])
    assert np.abs(state.params["readout"]["kernel"] - first["readout"]["kernel"]).min() > 0
    assert losses[0, 0] == whole[0, 0]
    assert losses[-1, -1] < losses[0, 0]
    assert losses[-1, -1] != whole[-1, -1]


def reaching_back(layout, batches):
    """A run of 5 batches a sequence, streams with a last chunk that is not full."""
    shape = {"windows": (6, 6, 1, 1, 1), "streams": (9, 6, 2, 3, 2)}[layout]
    config = RunConfig(TaskConfig(*shape, layout))
    return changed(config, hidden_size=4, learning_rate=1e-2, bptt_batches=batches)


REACHED_TOKENS = {
    "windows": np.array([3, 0, 5, 1, 4, 2]),  # all different: batch u alone has number u + 1
    "streams": np.random.default_rng(0).integers(0, 6, (2, 9)),
}


@functools.cache
def batches_and_gradient(layout):
    """The batches of a sequence one by one, and of the last of some batches run after each other
    the gradient, the loss and the states that all of them leave.
    """
    config = reaching_back(layout, 1)
    net = network_of(config)
    batches = jax.jit(data.sequence_batches, static_argnums=1)
    stacked = batches(REACHED_TOKENS[layout], config.task, config.task.lag)

    def loss(params, state, batches):
        states = []
        for batch in batches:
            state, outputs = network.unroll(net, params, state, *batch.rows)
            states.append(state)
        logits = training.target_logits(net, params, outputs, batch.targets)
        scored = jnp.ones(batch.targets.shape) if batch.scored is None else batch.scored
        probabilities = jax.nn.softmax(logits)
        right = jnp.take_along_axis(probabilities, batch.targets[..., None], -1)[..., 0]
        targets = jnp.maximum(jnp.sum(scored), 1)  # the first chunk has none: its loss is 0
        return -jnp.sum(jnp.log(right) * scored) / targets, states

    stacked = jax.tree.map(np.asarray, stacked)
    one_by_one = [jax.tree.map(operator.itemgetter(u), stacked) for u in range(5)]
    return one_by_one, jax.jit(jax.value_and_grad(loss, has_aux=True))


def train_by_definition(layout, reach, params):
    """All states are kept; update u runs the last `reach` batches again, as far as there are."""
    batches, loss_and_grads = batches_and_gradient(layout)
    adam = optax.adam(1e-2, eps=1e-7)
    opt_state, losses, step = jax.jit(adam.init)(params), [], jax.jit(adam.update)
    net = network_of(reaching_back(layout, 1))
    states = [net.initial_state(params, len(batches[0].inputs))]  # before batch 0, 1, 2, ...
    for u in range(5):
        first = max(0, u - reach + 1)
        (loss, left), grads = loss_and_grads(params, states[first], tuple(batches[first : u + 1]))
        states[first + 1 :] = left
        updates, opt_state = step(grads, opt_state)
        params = jax.tree.map(np.add, params, updates)
        losses.append(loss)
    return params, losses


@pytest.mark.parametrize(
    ("layout", "reach"),
    [
        ("windows", 1),
        ("windows", 2),
        *(pytest.param("windows", reach, marks=pytest.mark.slow) for reach in (3, 5, 8)),
        *(pytest.param("streams", reach, marks=pytest.mark.slow) for reach in (1, 2, 5)),
    ],
)
def test_truncated_backpropagation_is_that_of_a_loop_that_runs_the_last_batches_again(
    layout, reach
):
    config = reaching_back(layout, reach)
    learner = learner_of(config)
    state = programs(reaching_back(layout, 1), 1)[0](config.dynamic)
    large = jax.tree.map(lambda leaf: 3 * np.asarray(leaf), state.params)  # so that all matters
    state = state._replace(params=large)
    train = jax.jit(functools.partial(training.train_sequence, config, learner, config.dynamic))
    after, found = train(state, REACHED_TOKENS[layout])
    params, losses = train_by_definition(layout, reach, state.params)
    np.testing.assert_allclose(found.loss, losses, rtol=1e-5)
    chex.assert_trees_all_close(after.params, params, atol=2e-5)
    other, _ = train_by_definition(layout, 1 if reach > 1 else 2, state.params)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_close(after.params, other, atol=1e-3)


@pytest.mark.parametrize(
    "layout", ["windows", pytest.param("prefixes", marks=pytest.mark.slow), "streams"]
)
def test_a_constant_answer_scores_what_its_targets_say(layout):
    config = changed(SMALL, layout=layout, lag=2)
    params = programs(SMALL, 12)[0](SMALL.dynamic).params
    bias = np.log(np.float32([0.1, 0.1, 0.1, 0.5, 0.1, 0.1]))
    params["readout"] = {"kernel": np.zeros_like(params["readout"]["kernel"]), "bias": bias}
    net = network_of(config)
    evaluate = jax.jit(functools.partial(evaluation.evaluate, config, net))
    found = evaluate(config.dynamic, params)
    counters = np.arange(config.evaluation_sequences)
    sequences = draw_sequences(0, random_tokens.Purpose.EVALUATION, counters, config.task)
    times = config.task.target_times if layout == "streams" else config.task.row_times
    targets = np.asarray(sequences)[..., np.asarray(times) - 2]
    assert float(found.accuracy) == pytest.approx(np.mean(targets == 3), abs=1e-6)
    loss = np.where(targets == 3, -np.log(0.5), -np.log(0.1)).mean()
    assert float(found.loss) == pytest.approx(loss, abs=1e-5)
    by_position = np.mean(targets == 3, axis=tuple(range(targets.ndim - 1)))
    found_by_position = np.asarray(found.accuracy_by_position)
    if layout == "streams":
        assert np.isnan(found_by_position[:2]).all()
        found_by_position = found_by_position[2:]
    np.testing.assert_allclose(found_by_position, by_position, atol=1e-6)
    first = found.first
    np.testing.assert_array_equal(first.expected[first.scored], targets[0].ravel())
    assert (np.asarray(first.predicted)[np.asarray(first.scored)] == 3).all()


@pytest.mark.parametrize("compute", ["literal", "fast"])
@pytest.mark.parametrize(("name", "root"), [("adam", 1), ("keras-adam", 0.001**0.5)])
def test_keras_adds_epsilon_before_it_corrects_the_second_moment(compute, name, root):
    """By hand, the first direction for a gradient that is ten times epsilon."""
    config = RunConfig(training=TrainingConfig(optimizer=name))
    rule = training.build_optimizer(config, compute).rule
    direction, _ = rule.update(np.float32(1e-6), rule.init(np.float32(0)))
    assert direction == pytest.approx(1 / (1 + 0.1 / root), rel=1e-4)
