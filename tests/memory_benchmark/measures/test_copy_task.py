import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.memory_benchmark.measures import copy_task as cm

KEY = jax.random.key(0)
draw, score = jax.jit(cm.draw, static_argnums=(1, 2)), jax.jit(cm.score)


def as_text(tokens):
    return "".join("01234567.!"[token] for token in np.asarray(tokens))


@pytest.mark.parametrize("blanks", [1, 3, 100])
def test_the_task_is_the_published_one_symbol_by_symbol(blanks):
    inputs, targets, _ = map(np.asarray, draw(KEY, 5, blanks + 20))
    assert inputs.dtype == targets.dtype == jnp.int32
    assert len({as_text(row[:10]) for row in inputs}) == 5
    for row, target in zip(inputs, targets, strict=True):
        symbols = as_text(row[:10])
        assert re.fullmatch("[0-7]{10}", symbols)
        assert as_text(row) == symbols + "." * (blanks - 1) + "!" + "." * 10
        assert as_text(target) == "." * (blanks + 10) + symbols


def test_scores_are_means_over_all_steps_and_over_the_last_ten():
    targets = np.asarray(draw(KEY, 2, 23).targets)
    logits = np.random.default_rng(0).normal(size=(2, 23, 10)).astype(np.float32)
    logits[0, 13:15] += 9 * np.eye(10)[targets[0, 13:15]]
    right = np.take_along_axis(logits, targets[..., None], -1).squeeze(-1)
    nats = np.log(np.exp(logits).sum(-1)) - right
    accuracy = (logits.argmax(-1) == targets)[:, 13:].mean()
    expected = {"loss": nats.mean(), "recall": nats[:, 13:].mean(), "accuracy": accuracy}
    chex.assert_trees_all_close(score(logits, targets), expected, rtol=1e-5)
