"""A trained network fed one integer at a time: state in, answer out. Pure.

`training.start` and `training.feed` do this for batches of rows, and say where a row starts.

With W = 3 and lag 1, the first answer comes with the first full window, then one with each token:

    time     0  1  2  3  4  5  6
    token    4  0  7  1  9  3  5
    answer   .  .  0  7  1  9  3       of a network that has learnt its task

Tokens come one by one (`step`) or in pieces (`feed`); the answers do not depend on how the pieces
are cut. A caller compiles a function once for each length of piece:

    answer_next = jit(partial(step, config, network))
    state, answer = answer_next(params, state, token)
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Carry, hold
from echo_jax.cells.state_numbers import flat_state
from echo_jax.config import LARGEST, RunConfig
from echo_jax.echo.data import Rows, rows_where
from echo_jax.echo.training import feed as feed_rows
from echo_jax.learner.network import Network, Params, read_out
from echo_jax.learner.random_tokens import uniform_tokens

PIECE = 4096
"""The most tokens in a piece if B is not larger; starting such a piece costs almost nothing."""

PIECE_BYTES = 2**26
"""The most bytes of an array that a piece needs, 64 MiB, unless B tokens need more."""


class EchoState(NamedTuple):
    """Everything that a network remembers from token to token. Its size never changes.

    seen    int32, tokens fed so far; it stops at 2^31 - 1, where every row exists anyway
    phase   int32, tokens fed so far modulo W, exact for any number of tokens
    window  int32 `[W]`, the last tokens, oldest first, zeros before the first; streams: `[0]`
    carry   streams: the cell's, `[1, ...]`; stateful rows: the carries of the last B rows, oldest
            first, `[B, ...]`, so that the next row continues entry 0; otherwise `[0, ...]`
    """

    seen: chex.Array
    phase: chex.Array
    window: chex.Array
    carry: Carry


class Answer(NamedTuple):
    """The answer of a network after a token; from `feed`, every field has a leading axis N.

    exists  bool, True once there is an answer; until then, the other fields are meaningless
    token   int32, the most likely token
    logits  float32 `[V]`; in framing `values` minus the squared distance to each value
    """

    exists: chex.Array
    token: chex.Array
    logits: chex.Array


def start(config: RunConfig, network: Network, params: Params) -> EchoState:
    """Return the state of `network`, with the weights `params`, before the first token."""
    task = config.task
    zero = jnp.zeros((), jnp.int32)
    if task.in_streams:
        return EchoState(zero, zero, jnp.zeros(0, jnp.int32), network.initial_state(params, 1))
    rows = task.batch_size if config.network.stateful else 0
    carry = network.initial_state(params, task.batch_size)
    carry = jax.tree.map(lambda leaf: leaf[:rows], carry)
    return EchoState(zero, zero, jnp.zeros(task.window, jnp.int32), carry)


def step(
    config: RunConfig, network: Network, params: Params, state: EchoState, token: chex.Array
) -> tuple[EchoState, Answer]:
    """Return the state after one `token`, int32 `[]`, and the `Answer`, without a leading axis."""
    state, answers = feed(config, network, params, state, jnp.reshape(token, 1))
    return state, jax.tree.map(lambda leaf: leaf[0], answers)


def feed(
    config: RunConfig, network: Network, params: Params, state: EchoState, tokens: chex.Array
) -> tuple[EchoState, Answer]:
    """Return the state after the next `tokens`, int32 `[N]` in 0 .. V-1, and N answers.

    As in training, each token ends a row once the window is full and x(t-n) exists. A row starts
    from zero, or in a stateful network from the carry of row r - B; no row is dropped. A stream
    continues from token to token; in a stateless network it starts from zero at every W-th token,
    as its chunks do in training.

    The logits of the answers are `[N, V]`, so for many tokens let `piece_size` choose N.
    """
    tokens = jnp.asarray(tokens, jnp.int32)
    chex.assert_rank(tokens, 1)
    count = len(tokens)
    present = jnp.arange(count) >= config.task.target_times.start - state.seen
    carry, outputs = _outputs(config, network, params, state, tokens, present)
    logits = read_out(network, params, outputs)
    after = EchoState(
        # The room that is left is compared, as seen + count may overflow int32.
        seen=state.seen + jnp.minimum(count, LARGEST - state.seen),
        phase=(state.phase + count) % config.task.window,
        # The last W of them, also where the piece is shorter than a window.
        window=jnp.concatenate([state.window, tokens])[count:],
        carry=carry,
    )
    return after, Answer(present, jnp.argmax(logits, axis=-1).astype(jnp.int32), logits)


def next_rows(config: RunConfig, state: EchoState, tokens: chex.Array) -> tuple[Rows, chex.Array]:
    """Return the rows that end at the next `tokens`, int32 `[N]`, and whether each continues.

    The second result is bool `[N]`, True for a row that continues another. Such a row starts from
    the carry that the row before it in its lane left, at first from a carry in `state`. Any other
    row starts from the initial state. A row has W steps, or one step in streams.
    """
    task = config.task
    place = jnp.arange(len(tokens))
    if task.in_streams:
        inside = (state.phase + place) % task.window != 0
        return Rows(tokens[:, None], None), inside | config.network.stateful
    history = jnp.concatenate([state.window, tokens])
    # Negative times are in the window of the state, which `history` has W places in front.
    time_in_piece = place[:, None] + jnp.arange(task.window) - (task.window - 1)
    inputs = history[time_in_piece + task.window]
    rows = rows_where(time_in_piece >= -state.seen, inputs, task)
    return rows, jnp.full(len(tokens), config.network.stateful)


def steps(
    config: RunConfig, network: Network, params: Params, state: EchoState, token: chex.Array
) -> tuple[Rows, Carry]:
    """Return the T steps of the row that `token`, int32 `[]`, ends, and the carry after each step.

    The steps are `Rows` with `inputs` and `mask` `[T]`, and the carries have leaves `[T, 1, ...]`.
    T is W, or 1 in streams. The first step starts from the carry that the row continues, or from
    the initial state; every other step starts from the carry that the step before it left.
    """
    rows, goes_on = next_rows(config, state, jnp.asarray(token, jnp.int32)[None])
    inputs = rows.inputs[0]
    mask = jnp.ones(inputs.shape, bool) if rows.mask is None else rows.mask[0]
    goes_on = goes_on | (jnp.arange(len(inputs)) > 0)

    def step(carry: Carry, x: tuple[Rows, chex.Array]) -> tuple[Carry, Carry]:
        fed, goes_on = x
        fed = jax.tree.map(lambda leaf: leaf[None, None], fed)
        carry, _ = feed_rows(network, goes_on, params, carry, fed)
        return carry, carry

    fed = Rows(inputs, mask)
    zero = network.initial_state(params, 1)  # stateless rows have no lane
    lane = jax.tree.map(lambda x, zero: jnp.concatenate([x, zero])[:1], state.carry, zero)
    return fed, jax.lax.scan(step, lane, (fed, goes_on))[1]


def states(config: RunConfig, network: Network, params: Params, tokens: chex.Array) -> chex.Array:
    """Return the states at the end of the rows that `tokens`, int32 `[N]`, end: float32 `[N, D]`.

    The network has seen no token before. The D numbers are those of
    `cells.state_numbers.flat_state`; they are meaningless for a token that comes before the window
    is full.
    """

    def one(state: EchoState, token: chex.Array) -> tuple[EchoState, chex.Array]:
        """Return the state after a token, and the numbers `[D]` at the end of its row."""
        _, carries = steps(config, network, params, state, token)
        last = jax.tree.map(lambda x: x[-1], carries)
        after, _ = feed(config, network, params, state, token[None])
        return after, flat_state(network.cell, last, 1)[0]

    return jax.lax.scan(one, start(config, network, params), tokens)[1]


def _outputs(
    config: RunConfig,
    network: Network,
    params: Params,
    state: EchoState,
    tokens: chex.Array,
    present: chex.Array,
) -> tuple[Carry, chex.Array]:
    """Return the carry after the next `tokens`, and the last output of each row, `[N, features]`.

    `present`, bool `[N]`, is False for a token that is too early to end a row.
    """
    task = config.task
    if task.in_streams and config.network.stateful:  # one row of N steps
        carry, fed = feed_rows(network, True, params, state.carry, Rows(tokens[None], None))
        return carry, fed.outputs[:, 0]
    rows, goes_on = next_rows(config, state, tokens)
    if task.in_streams:

        def one_step(carry: Carry, x: tuple[Rows, chex.Array]) -> tuple[Carry, chex.Array]:
            """Return the carry after one token, and its output; a chunk begins from zero."""
            row, goes_on = x
            carry, fed = feed_rows(network, goes_on, params, carry, Rows(row.inputs[None], None))
            return carry, fed.outputs[0, 0]

        return jax.lax.scan(one_step, state.carry, (rows, goes_on))
    if config.network.stateful:
        return _feed_lanes(network, params, state.carry, rows, present, task.batch_size)
    zero = network.initial_state(params, len(tokens))
    _, fed = feed_rows(network, False, params, zero, rows)
    return state.carry, fed.outputs[-1]


def _feed_lanes(
    network: Network,
    params: Params,
    carries: Carry,
    rows: Rows,
    present: chex.Array,
    batch_size: int,
) -> tuple[Carry, chex.Array]:
    """Feed N `rows`, each of which continues the row B before it; return carries and last outputs.

    The B = `batch_size` `carries`, `[B, ...]`, are lanes: row i is in lane i mod B, as is the row
    that it continues. As in training, B rows are run at once, one in each lane; the remainder is a
    shorter group. Tokens that are not `present` are too early to end a row. They only rotate the
    lanes, which are all equal until there is a row. The last outputs are `[N, features]`.
    """
    rest = len(present) % batch_size
    whole = len(present) - rest

    def group(lanes: Carry, tokens: tuple[Rows, chex.Array]) -> tuple[Carry, chex.Array]:
        """Return the next carries of the lanes, and last outputs; a lane without a row is held."""
        rows, present = tokens
        after, fed = feed_rows(network, True, params, lanes, rows)
        return hold(present, lanes, after), fed.outputs[-1]

    tokens = (rows, present)
    groups = jax.tree.map(lambda x: x[:whole].reshape(-1, batch_size, *x.shape[1:]), tokens)
    lanes, outputs = jax.lax.scan(group, carries, groups)
    outputs = outputs.reshape(whole, outputs.shape[-1])
    if rest:
        left_over = jax.tree.map(lambda x: x[whole:], tokens)
        after, last = group(jax.tree.map(lambda x: x[:rest], lanes), left_over)
        # the lane of the next token comes first
        lanes = jax.tree.map(lambda x, new: jnp.concatenate([x[rest:], new]), lanes, after)
        outputs = jnp.concatenate([outputs, last])
    return lanes, outputs


def piece_size(config: RunConfig) -> int:
    """Return how many tokens to feed at once: a multiple of B near PIECE, fewer if arrays are wide.

    The logits of a piece of N tokens are `[N, V]`. Some networks also hold the inputs of a whole
    piece, with S steps for each token: `[S, N, V]` or `[S, N, embedding]`, and projected
    `[S, N, 4H]`, or `[S, N, D, H]` for the cell mlp with D values in its line. S is W for stateless
    rows and 1 for a stateful stream. Each array takes at most PIECE_BYTES, but a piece has at least
    B tokens.
    """
    task = config.task
    network = config.network
    gates = config.values_in_line or 4
    fed = network.embedding_dim if network.encoding == "embedding" else task.vocab_size
    at_once = int(network.stateful) if task.in_streams else task.window * (not network.stateful)
    width = max(task.vocab_size, at_once * fed, at_once * gates * network.hidden_size)
    fit = min(PIECE, PIECE_BYTES // (4 * width))
    return max(fit // task.batch_size, 1) * task.batch_size


def follows(  # noqa: PLR0913, PLR0917 - three static ones and the window count, then arrays
    config: RunConfig,
    network: Network,
    params: Params,
    key: chex.PRNGKey,
    positions: chex.Array,
    windows: int,
    pool: chex.Array | None = None,
) -> chex.Array:
    """Return the share of sequences whose last answer follows a change of one input, by position.

    key        draws the sequences and the changes; the changes at a position do not depend on
               other positions
    positions  steps back from the last of the L tokens, int32 `[P]` in 0 .. L-1
    windows    the number of sequences; logits of `[windows, V]` are held at a time
    pool       int32 `[M]`: tokens are drawn as frequently as they occur in it; without a pool, all
               V tokens are equally frequent

    Returns float32 `[P]`: the share of changed sequences whose last answer becomes the new token,
    and was another token before. A network that has learned lag n scores 1 at n and 0 elsewhere; an
    untrained network scores at most about 1/V. A position outside the sequence scores 0.
    """
    length = config.task.length
    vocab_size = config.task.vocab_size
    data_key, change_key = jax.random.split(key)
    values = jnp.arange(vocab_size, dtype=jnp.int32) if pool is None else pool
    tokens = values[uniform_tokens(data_key, (windows, length), len(values))]
    last_answers = jax.vmap(functools.partial(_last_answer, config, network, params))
    before = last_answers(tokens)

    def share(position: chex.Array) -> chex.Array:
        """Return the share of changed sequences whose answer follows a change at `position`."""
        place = length - 1 - position
        old = tokens[:, place]
        key = jax.random.fold_in(change_key, position)
        if pool is None:
            # Uniform over the V - 1 other tokens, so that every sequence is changed.
            new = (old + 1 + uniform_tokens(key, (windows,), vocab_size - 1)) % vocab_size
        else:
            # It may be the old token, as in the pool; such a sequence is not counted.
            new = values[uniform_tokens(key, (windows,), len(values))]
        # Not `.at[:, place]`: a negative place, outside the sequence, would count from the end.
        changed = jnp.where(jnp.arange(length) == place, new[:, None], tokens)
        followed = (last_answers(changed) == new) & (before != new) & (old != new)
        return jnp.sum(followed) / jnp.maximum(jnp.sum(old != new), 1)

    return jax.lax.map(share, jnp.asarray(positions, jnp.int32))


def _last_answer(
    config: RunConfig, network: Network, params: Params, sequence: chex.Array
) -> chex.Array:
    """Return the answer, a token, after the last of the tokens `sequence`, int32 `[L]`.

    Logits of earlier answers are not needed, so a compiled program leaves them out.
    """
    first = start(config, network, params)
    state, _ = feed(config, network, params, first, sequence[:-1])
    return step(config, network, params, state, sequence[-1])[1].token
