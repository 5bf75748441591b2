"""Lower bounds of the bits that a state holds between two steps, from passed rungs. No jax.

By Fano's inequality, with e the error and h the binary entropy, a guess of one of V equally likely
tokens that is wrong with probability e leaves at most h(e) + e log2(V - 1) bits unknown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from echo_jax import statistics
from echo_jax.memory_benchmark import protocol as rules
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Row


def unknown_bits(error: float, choices: int) -> float:
    """The bits that remain unknown of one of some equally likely tokens, at most log2 of them."""
    if error >= 1 - 1 / choices:
        return math.log2(choices)
    entropy = -sum(p * math.log2(p) for p in (error, 1 - error) if p > 0)
    return entropy + error * math.log2(max(1, choices - 1))


def bits_by_lag(lag: int, vocab_size: int, error: float) -> float:
    """Bits of the last n tokens: n (log2 V - h(e) - e log2(V - 1))."""
    return lag * (math.log2(vocab_size) - unknown_bits(error, vocab_size))


def bits_by_key(keys: int, values: int, error: float) -> float:
    """Bits of K of M values without replacement: log2(M! / (M - K)!) - K (h(e) + e log2(M - 1))."""
    logarithms = math.lgamma(values + 1) - math.lgamma(values - keys + 1)
    chosen = logarithms / math.log(2)
    return max(0.0, chosen - keys * unknown_bits(error, values))


def upper_error(row: Row, protocol: Mapping[str, Any]) -> float:
    """The upper 95% limit of the error of a run that passed its rung, from its confirmation."""
    ladder = spans.ladder_of(protocol, row["ladder"])
    asked = rules.answers(protocol, ladder["task"], row["rung"]) * protocol["confirmation"]
    wrong = round((1 - row["confirmed"][-1][1]) * asked)
    return statistics.wilson_interval(wrong, asked).high


def held_by(row: Row, protocol: Mapping[str, Any]) -> float:
    """The bits that a run which passed its rung shows; 0 for a task that is not counted in bits.

    Hold shows the bits of one value, and the marked task those of m tokens, each as by lag.
    """
    ladder, error = spans.ladder_of(protocol, row["ladder"]), upper_error(row, protocol)
    task, vocab_size, rung = ladder["task"], ladder["vocab_size"], row["rung"]
    if task == "key":
        return bits_by_key(rung, vocab_size // 2, error)
    count = {"lag": rung, "marked": rung, "hold": 1}.get(task, 0)
    return bits_by_lag(count, vocab_size, error)


def of_ladder(raw: Sequence[Row], ladder: str, protocol: Mapping[str, Any]) -> list[float]:
    """The bits of each seed, from the run that passed the last rung of its climb; 0 without one."""
    runs = [row for row in raw if row["kind"] == "run" and row["ladder"] == ladder]
    found = []
    for seed, climb in spans.climbs(raw, ladder, protocol).items():
        passing = (
            row
            for row in runs
            if row["seed"] == seed and row["rung"] == climb.passed and spans.passed(row, protocol)
        )
        row = next(passing, None)
        found.append(held_by(row, protocol) if row else 0.0)
    return found
