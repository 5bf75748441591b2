"""Echo random integers with an LSTM: part 4 of the tutorial in jax, flax and optax alone.

The network reads windows of 5 integers and answers with the one before the last:

    integers   7  51   3  88  20  64 ...
    windows    7  51   3  88  20          -> 88
                  51   3  88  20  64      -> 20

    python examples/echo_in_100_lines.py --seed 3
"""

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import lax

LENGTH, VOCAB, LAG, WINDOW, BATCH, UNITS = 25, 100, 1, 5, 5, 50
BATCHES = (LENGTH - WINDOW + 1) // BATCH  # in a sequence: 4

cell = nn.OptimizedLSTMCell(UNITS)
readout = nn.Dense(VOCAB)
adam = optax.adam(1e-3)


def draw_batches(key):
    """Draw a sequence and cut it: one-hot windows [4, 5, 5, 100], answers [4, 5]."""
    integers = jax.random.randint(key, (LENGTH,), 0, VOCAB)
    ends = jnp.arange(LENGTH - BATCHES * BATCH, LENGTH).reshape(BATCHES, BATCH)
    windows = integers[ends[..., None] + jnp.arange(1 - WINDOW, 1)]
    return jax.nn.one_hot(windows, VOCAB), integers[ends - LAG]


def zero_state():
    """The state of the LSTM at the start of every sequence."""
    return cell.initialize_carry(jax.random.key(0), (BATCH, VOCAB))


def init(key):
    """The weights before training, and the moments of Adam."""
    cell_key, readout_key = jax.random.split(key)
    params = {
        "cell": cell.init(cell_key, zero_state(), jnp.zeros((BATCH, VOCAB))),
        "readout": readout.init(readout_key, jnp.zeros((BATCH, UNITS))),
    }
    return params, adam.init(params)


def network(params, state, windows):
    """Read windows [5, 5, 100] step by step: the new state, and logits [5, 100]."""
    step = partial(cell.apply, params["cell"])
    state, outputs = lax.scan(step, state, windows.swapaxes(0, 1))
    return state, readout.apply(params["readout"], outputs[-1])


def loss_fn(params, state, windows, answers):
    """The cross-entropy in nats, with the new state and the accuracy."""
    state, logits = network(params, state, windows)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, answers)
    return loss.mean(), (state, (logits.argmax(-1) == answers).mean())


def update(carry, batch):
    """Train on one batch. The state goes on to the next batch, the gradient does not."""
    params, moments, state = carry
    grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, (state, accuracy)), grads = grad_fn(params, state, *batch)
    changes, moments = adam.update(grads, moments)
    return (optax.apply_updates(params, changes), moments, state), (loss, accuracy)


def train_sequence(carry, key):
    """Train on the batches of one fresh sequence, in order, from a zero state."""
    (*carry, _), metrics = lax.scan(update, (*carry, zero_state()), draw_batches(key))
    return tuple(carry), metrics


@jax.jit
def train(carry, keys):
    """Train on a sequence for each key; the mean loss and accuracy of all."""
    carry, metrics = lax.scan(train_sequence, carry, keys)
    return carry, jax.tree.map(jnp.mean, metrics)


@jax.jit
def predict(params, key):
    """Answer one fresh sequence: 20 expected and 20 predicted integers."""
    windows, answers = draw_batches(key)
    _, logits = lax.scan(partial(network, params), zero_state(), windows)
    return answers.ravel(), logits.argmax(-1).ravel()


def main(seed, sequences):
    """Train, then evaluate on 1,000 fresh sequences."""
    init_key, train_key, test_key = jax.random.split(jax.random.key(seed), 3)
    carry = init(init_key)
    for done, keys in enumerate(jax.random.split(train_key, (sequences // 100, 100)), 1):
        carry, (loss, accuracy) = train(carry, keys)
        print(f"{100 * done:5} sequences: loss {loss:.3f}, accuracy {accuracy:.1%}")
    expected, predicted = jax.vmap(predict, (None, 0))(carry[0], jax.random.split(test_key, 1000))
    print("Expected: ", expected[0].tolist())
    print("Predicted:", predicted[0].tolist())
    print(f"1,000 fresh sequences: {(expected == predicted).mean():.2%} right (chance: 1%)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sequences", type=int, default=2000)
    main(**vars(parser.parse_args()))
