"""Measure by key: after K pairs and fillers, each key is queried for its value, for several K.

`tasks.by_key` draws the rows, and `key_rows_and_bits.BY_KEY` describes the question for cards. All
functions are pure.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.block import Block
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_numbers import state_bytes
from echo_jax.jax_settings import GENERATOR
from echo_jax.learner.loss import correct
from echo_jax.learner.network import Params
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.learner.recalibration import crossing
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY, KeyRow, accuracy_bits
from echo_jax.memory.face_answers import PAIRS, STREAMS, SYMBOLS, VALUES
from echo_jax.memory.measurement import AnswersAtOnce, Scores, Sets, set_keys
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.question import with_known
from echo_jax.memory.readout_measurement import ReadoutMeasurement
from echo_jax.memory.tasks import TaskRows
from echo_jax.memory.tasks.by_key import Recall

ASSOCIATED = 3
"""The number that `associated` folds into the key of its data; `set_keys` folds in 0 to 2."""


def fixed_pairs(protocol: Protocol, fillers: int) -> TaskRows:
    """Return ten rows of `face_answers.PAIRS` pairs, from which the pictures of all cells are made.

    `protocol` states the keys and values, and `fillers` is the number of fillers before the
    queries.
    """
    key = jax.random.key(53, impl=GENERATOR)
    return Recall(protocol, PAIRS, fillers).draw(key, len(STREAMS), "final", PAIRS)


class KeyMeasurement(ReadoutMeasurement):
    """The measurement by key: one network learns all K up to Kmax.

    In training, K rises from 2 to Kmax during the first updates, a share `Protocol.ramp` of all,
    which is 60% in the standard protocol.
    """

    question = BY_KEY

    def __init__(self, cell: Cell, protocol: Protocol, most: int | None = None) -> None:
        """Build the network around `cell` for up to `most` = Kmax pairs; nothing is compiled.

        `protocol` has the numbers of the measure. By default, Kmax follows from the bytes of the
        cell's state. The number of fillers is `Protocol.fillers` for each layer of a block, so that
        at the first query a block's convolutions, of four inputs each, see no pair.
        """
        layers = cell.layers if isinstance(cell, Block) else 1
        self.fillers = protocol.fillers * layers
        self.most = most or protocol.most_pairs(state_bytes(cell, protocol.tokens))
        super().__init__(cell, protocol, Recall(protocol, self.most, self.fillers))

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """Return the number of right answers of `params` about a few pairs, by the cell's scan.

        The rows that show the pairs depend only on `seed`, so all checks of a run use equal rows.
        """
        # By the scan, which is fast, as it is counted after every 100 updates and gives no bits.
        key = jax.random.fold_in(purpose_key(seed, Purpose.EVALUATION), ASSOCIATED)
        pairs = self.protocol.associated
        few = Recall(self.protocol, pairs, self.fillers)
        return self.right(params, few.draw(key, self.protocol.recalls, "validation", pairs))

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Sets:
        """Return the data sets of `seed` and `weights`; the calibration set is None.

        The arrays of a set are `[J, recalls, T]`, for J numbers of pairs up to Kmax. `weights` is
        the digest of the trained weights, see `set_keys`.
        """
        every = self.protocol.pairs_up_to(self.most)
        recalls = self.protocol.recalls
        pairs = jnp.repeat(jnp.array(every), recalls)

        def drawn(key: chex.PRNGKey) -> TaskRows:
            rows = self.task.draw(key, len(pairs), "final", pairs)
            return jax.tree.map(lambda x: x.reshape(len(every), recalls, *x.shape[1:]), rows)

        keys = set_keys(seed, weights)
        return Sets(None, drawn(keys.validation), drawn(keys.final))

    def score(self, params: Params, sets: Sets) -> Scores:
        """Return the right answers of `params` at each K on `sets`, and the mean accuracy.

        The accuracy is the mean over all queries of the validation data.
        """
        both: TaskRows = jax.tree.map(lambda *of: jnp.stack(of), *sets[1:])
        streams = both.tokens.reshape(-1, both.tokens.shape[-1])
        # Only the answer is kept of each step: up to 64 pairs all logits would take 358 MB.
        found, carried = self.by_steps(params, streams, lambda x: jnp.argmax(x).astype(jnp.int32))
        is_right = (found.reshape(both.targets.shape) == both.targets) & both.scored
        validation, final = jnp.sum(is_right, axis=(2, 3))
        accuracy = jnp.sum(validation) / jnp.sum(sets.validation.scored)
        return Scores(validation, final, accuracy, carried)

    def at_once(self, params: Params, sets: Sets) -> AnswersAtOnce:
        """Return the answers of `params` about `fixed_pairs`, recalibrated on validation rows.

        These rows are the validation rows in `sets` with 8 pairs. One factor multiplies all logits.
        The factor makes the mean probability of the most likely value in these rows equal to the
        share of right answers, on which alone the accuracy bits depend.
        """
        fixed = fixed_pairs(self.protocol, self.fillers)
        place = self.protocol.pairs_up_to(self.most).index(PAIRS)
        # Rows of all K have one length; cut to that of 8 pairs, they end in their queries.
        known: TaskRows = jax.tree.map(
            lambda x: x[place, :, : fixed.tokens.shape[1]], sets.validation
        )
        streams = jnp.concatenate([known.tokens, fixed.tokens])
        logits, _ = self.by_steps(params, streams, lambda x: x)
        calibration, about = jnp.split(logits[:, -PAIRS:], [len(known.tokens)])

        def certainty(factor: chex.Array, logits: chex.Array) -> chex.Array:
            return jnp.max(jax.nn.softmax(factor * logits), axis=-1)

        def excess(factor: chex.Array) -> chex.Array:
            return jnp.mean(certainty(factor, calibration)) - right

        right = jnp.mean(correct(calibration, known.targets[:, -PAIRS:]))
        ends = jnp.float32(0), jnp.float32(self.protocol.largest_factor)
        factor = crossing(excess, *ends, self.protocol.halvings)
        # A colour is one of 16, of four values each. The doubt is as in `recalibrated_nats`.
        of_one = VALUES // SYMBOLS
        is_colour = jnp.arange(VALUES) // of_one == fixed.targets[:, -PAIRS:, None] // of_one
        colour = jnp.sum(jax.nn.softmax(factor * about), axis=-1, where=is_colour)
        doubt = 1 / (PAIRS * len(calibration))
        nats = -jnp.log((1 - doubt) * colour + doubt / SYMBOLS)
        return AnswersAtOnce(jnp.argmax(about, axis=-1), certainty(factor, about), nats)

    def told_at_once(self, found: AnswersAtOnce, final: list[int]) -> tuple[Any, Any]:
        """Return the bits by key with 8 pairs, and the certainty `[10, 8]` of the answers `found`.

        `final` has the number of right answers at each K on the final data. A certainty is the
        accuracy bits of the recalibrated probability, as a share of 6 bits.
        """
        right = final[self.protocol.pairs.index(PAIRS)] / (PAIRS * self.protocol.recalls)
        certainty = accuracy_bits(np.ones(1), found.certainty, VALUES) / np.log2(VALUES)
        return accuracy_bits(np.array(PAIRS), right, VALUES), certainty

    def scan_accuracy(self, params: Params, sets: Sets) -> chex.Array:
        """Return the accuracy of `params` on the validation data of `sets`, by the cell's scan.

        Training uses the scan, and the score uses single steps.
        """
        right = jax.lax.map(lambda rows: self.right(params, rows), sets.validation)
        return jnp.sum(right) / jnp.sum(sets.validation.scored)

    def row(self, fields: dict[str, Any]) -> KeyRow:
        """Return the row of a run from its `fields`; the scores are right answers at each K."""
        pairs = list(self.protocol.pairs_up_to(self.most))
        queries = [self.protocol.recalls * k for k in pairs]
        return with_known(KeyRow, {"pairs": pairs, "queries": queries, **fields})
