import cell_reference
import chex
import jax
import numpy as np

from echo_jax.cells import known_memory

CACHE = known_memory.AttentionCache(4, slots=3, size=2)


def cache_step(p, state, x):
    """Row by row, over the places that are not empty."""
    after = np.concatenate([(x @ p.W_c)[:, None], state], axis=1)
    ys = []
    for seen, query in zip(after, x @ p.W_q, strict=True):
        filled = [n for n in range(len(seen)) if n == 0 or seen[n].any()]
        weights = np.exp([query @ seen[n] / np.sqrt(2) + p.b[n] for n in filled])
        ys.append(weights @ [seen[n] @ p.W_v for n in filled] / weights.sum())
    return after[:, :-1], np.stack(ys)


def test_an_attention_cache_is_its_equations_step_by_step_and_at_once():
    cell_reference.check_equations(CACHE, cache_step)


def test_attention_is_shared_among_the_inputs_so_far_and_the_present_one_always_has_some():
    params = known_memory.CacheParams(
        W_c=np.eye(2), W_q=np.zeros((2, 2)), W_v=np.eye(2), b=np.zeros(3)
    )
    cell = known_memory.AttentionCache(2, slots=2, size=2)
    xs = np.float32([[0, 0], [6, 0], [0, 12], [24, 0], [0, 0], [0, 0], [0, 0]])[:, None]

    @jax.jit
    def run(params, xs):
        return cell.scan(params, cell.initial_state(params, 1, 2), xs)[1]

    expected = [[0, 0], [6, 0], [3, 6], [10, 4], [8, 4], [12, 0], [0, 0]]
    np.testing.assert_allclose(np.asarray(run(params, xs))[:, 0], expected, atol=1e-5)


def test_what_first_weights_hold_is_what_the_untrained_lstm_holds():
    cell = known_memory.FirstWeights(6)
    first = jax.jit(cell.init, static_argnums=1)(jax.random.key(0), 4)
    trained = first | {"trained": jax.tree.map(lambda x: 2 * x, first["trained"])}
    xs = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)

    @jax.jit
    def run(params):
        return cell.scan(cell.prepare(params), cell.initial_state(params, 3, 4), xs)

    (carry, outputs), (same, others) = run(first), run(trained)
    lstm = jax.jit(cell.lstm.scan)(first["first"], cell.initial_state(first, 3, 4), xs)
    chex.assert_trees_all_close((carry, outputs), lstm, atol=1e-6)
    chex.assert_trees_all_equal(same, carry)
    assert np.abs(others - outputs).min() > 0
    gradient = jax.jit(jax.grad(lambda params: run(params)[1].sum()))(first)
    assert not any(np.any(x) for x in jax.tree.leaves(gradient["first"]))
