"""Results of runs that nobody trained."""

import numpy as np

from echo_jax.config import RunConfig, changed
from echo_jax.echo.evaluation import Answers, Evaluation
from echo_jax.echo.run import scoring

CONFIG = changed(
    RunConfig(), length=4, vocab_size=8, window=2, batch_size=3, sequences=40, seed=7, seeds=3
)
LEARNED = np.concatenate([np.zeros(10), np.ones(30)])  # a mean of 20 is 1 after 30 sequences
LOSS = np.ones((3, 40))
ACCURACY = np.array([LEARNED, np.roll(LEARNED, -5), np.zeros(40)])


def scored(seeds=3):
    """The evaluation of up to three seeds; the first answers 1 2 3 where 1 5 3 is right."""
    expected = np.array([[[1, 5, 3]]] * 3)
    predicted = np.array([[[1, 2, 3]], [[1, 5, 3]], [[0, 0, 0]]])
    answers = [expected, predicted, np.zeros((3, 1, 3)), np.ones((3, 1, 3), bool)]
    return Evaluation(
        accuracy=np.array([0.9, 0.95, 0.2])[:seeds],
        loss=np.array([0.3, 0.2, 2.0])[:seeds],
        distance=np.array([3.0, 2.0, 9.0])[:seeds],
        accuracy_by_position=np.array([[1.0, 0.8, 0.9], [1.0, 0.9, 0.95], [0.1, 0.4, 0.1]])[:seeds],
        first=Answers(*(leaf[:seeds] for leaf in answers)),
    )


def fabricated_result(config=CONFIG, **changes):
    """The result of a run of up to three seeds."""
    seeds = config.seeds
    curves = (LOSS[:seeds], ACCURACY[:seeds])
    made = scoring.summarise(config, scored(seeds)._replace(**changes), curves)
    made.seconds = {"import": 1.0, "train": 2.5}
    return made
