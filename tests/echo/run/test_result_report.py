"""The printed report of a run, as a whole and where it varies."""

from pathlib import Path

from fabricated_results import ACCURACY, CONFIG, LOSS, fabricated_result, scored
from golden import assert_golden

from echo_jax.config import RunConfig, TaskConfig, changed
from echo_jax.echo.run import result_report, scoring
from echo_jax.echo.run.result import FailedSeeds

UNUSUAL = {
    "encoding": "embedding", "embedding_dim": 8, "tied": True, "bptt_batches": 3,
    "layout": "prefixes", "missing": "token", "seeds": 4,
}  # fmt: skip


def test_the_report_of_a_run_and_its_variants():
    values, one = changed(CONFIG, framing="values"), changed(CONFIG, seeds=1)
    streams = RunConfig(TaskConfig(length=8, window=4, lag=2, layout="streams", batch_size=1))
    rows = RunConfig(TaskConfig(window=1, lag=1, batch_size=1))
    by_position = result_report.accuracy_by_position
    low = scoring.summarise(
        changed(CONFIG, window=1, batch_size=1), scored(), (LOSS, 0.71 * ACCURACY)
    )
    parts = {
        "three seeds": result_report.full_report(CONFIG, fabricated_result()),
        "one seed": result_report.full_report(one, fabricated_result(one)),
        "a ceiling below 99%": result_report.learning_time(rows, low),
        "values": result_report.scores(values, fabricated_result(values)),
        "no failure": result_report.failures(FailedSeeds()),
        "failures": result_report.failures(FailedSeeds([7, 9], [12, None])),
        "described": result_report.describe(RunConfig()),
        "of unusual options": result_report.describe(changed(RunConfig(), **UNUSUAL)),
        "no target": by_position(streams, [None, None, 0.5, 1.0, 1.0, 0.25, 0.5, 0.0]),
        "rows share a line": by_position(rows, [0.5] * 24),
        "cut short": by_position(RunConfig(TaskConfig(length=1000)), [0.5] * 995),
    }
    text = "\n\n".join(f"-- {name} --\n{part}" for name, part in parts.items())
    assert_golden(f"{text}\n", Path(__file__).parent / "golden" / "reports.txt")


def test_a_loss_of_zero_has_no_sign():
    result = fabricated_result()
    result.baseline_loss = -0.0  # the entropy of a held-out part with one value
    assert " -0" not in result_report.scores(CONFIG, result)
