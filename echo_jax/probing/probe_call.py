"""Define `echo_jax.probe`: what states of any trained network tell about earlier tokens."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from echo_jax import machine
from echo_jax.config import check_call, checked
from echo_jax.exceptions import ConfigError, reason
from echo_jax.probing import heads
from echo_jax.probing.checked_streams import (
    FITTED,
    LEAST_SCORED,
    LEAST_STREAMS,
    Parts,
    ProbedStreams,
    check_shifts,
    check_streams,
    least_examples,
    predict_one_another,
)
from echo_jax.probing.heads import Examples
from echo_jax.probing.probe_result import ProbeResult, result_of

USUAL = 40_000
"""About how many examples are used without `at`: more examples cost time, and resemble others."""


def probe(  # noqa: PLR0913 - all but two have a default
    states: Any,
    tokens: Any,
    lags: int = 64,
    *,
    at: Sequence[int] | None = None,
    given: int | None = None,
    by_step: bool = False,
    untrained: Any = None,
    scored: int | None = None,
) -> ProbeResult:
    """Measure how many bits the states of a trained network tell about earlier tokens.

        echo_jax.probe(states, tokens)                       # of any framework
        echo_jax.probe(states, tokens, untrained=others)     # beside the network before training

    A softmax regression for each lag n reads the state after token x(t) and answers x(t-n). The
    regression is fitted to the first streams. The next streams choose its L2 penalty and
    recalibrate it, and its cross-entropy is scored on the last streams.

    The bits are the entropy of the token less this cross-entropy: V-information with linear heads
    (Xu et al. 2020), a lower bound of the mutual information. If tokens predict one another, as in
    a text, the bits are conditional (Hewitt et al. 2021). The heads then start from the answer of
    an n-gram of the last tokens, and the bits are what the heads add.

    Args:
      states: numbers `[S, T, D]` of S streams, as an array of NumPy, JAX or PyTorch; entry t is the
        state after token t.
      tokens: the tokens that were fed, integers `[S, T]` from 0 on; not the next tokens, which are
        targets of training. Streams must not overlap or repeat.
      lags: N; the tokens 1 .. N steps before the last one are the targets.
      at: the asked steps t, after which the state is read, N or later; by default evenly spaced
        steps that make about 40,000 examples.
      given: how many last tokens the heads are given, so that the bits leave out what these tokens
        tell; by default 1 if a token tells something about a token up to N steps earlier, otherwise
        0.
      by_step: fit separate heads for each step, which can read a code that depends on the step. A
        stream is then only one example for each of these heads, so more streams are needed.
      untrained: states of the same network before training, to compare with.
      scored: how many streams the last part has, and the part before it; by default 15% each.

    Raises:
      ConfigError: an argument is out of range, shapes do not fit, a state is not finite or masked,
        a token is negative, all tokens are equal, streams repeat or overlap, examples are too few,
        or the memory is too small. It is also raised if the tokens seem not to be the tokens fed:
        the states tell something about the next token, or nothing about the last token and
        something about the token before it. This is only a warning if tokens predict one another or
        `given` is above 0, as a trained network may do so on purpose. If `untrained` is given, its
        states are checked instead.
    """
    check_call(probe, locals())
    numbered, classes = _tokens(tokens)
    probed = ProbedStreams(numbered, classes, _steps(at, lags, *numbered.shape), lags)
    held = [_states("states", states, numbered.shape)]
    if untrained is not None:
        held.append(_states("untrained", untrained, numbered.shape, held[0].shape[-1]))
    parts = _parts(len(numbered), numbered.shape[1], scored)
    steps = np.split(probed.steps, len(probed.steps)) if by_step else [probed.steps]
    fits = [dataclasses.replace(probed, steps=some) for some in steps]
    dependent = predict_one_another(numbered, classes, lags, parts)
    known = int(dependent) if given is None else given
    if known > probed.steps[0] + 1:
        rule = f"is more than the {probed.steps[0] + 1} tokens up to the first asked step"
        raise ConfigError("given", known, rule, f"use {probed.steps[0] + 1} or fewer")
    _check_sizes(held[0].shape[-1], fits[0], parts.fitted.stop, known, by_step)
    check_streams(numbered, classes)
    check_shifts(held[-1], fits[0], parts, dependent or known > 0)
    logs = probed.log_shares(known, parts.fitted)
    # States without numbers are the n-gram alone, fitted, recalibrated and scored like the others.
    left, *found = (_bits(of, fits, known, logs, parts) for of in (held[0][..., :0], *held))
    frequencies = probed.log_shares(0, parts.fitted)
    return result_of(
        [left - of for of in found],
        left.mean(axis=0),
        probed.bits(0, frequencies, parts.scored).mean(axis=0),
        known,
        independent=not dependent,
        per_weight=parts.fitted.stop * len(fits[0].steps) / (classes * held[0].shape[-1] or 1),
    )


def _bits(
    states: np.ndarray, fits: Sequence[ProbedStreams], given: int, logs: np.ndarray, parts: Parts
) -> np.ndarray:
    """Return the cross-entropy of heads by scored stream and lag, `[S, N]`, in bits.

    Heads read the `states` at the steps of each of `fits`, and their cross-entropy is averaged.
    `parts` divides the streams. `logs` are the log-shares of an n-gram after `given` tokens, see
    `heads.nats_of`.
    """

    def examples(probed: ProbedStreams, streams: slice) -> Examples:
        """Return the examples of `probed` in `streams`, ordered by stream, then by step."""
        targets = probed.targets(streams)
        read = states[streams][:, probed.steps].reshape(len(targets), states.shape[-1])
        return Examples(read, targets, probed.contexts(given, streams))

    found = []
    for probed in fits:
        fitted, chosen, scored = (examples(probed, streams) for streams in parts)
        found.append(probed.by_stream(heads.nats_of(fitted, chosen, scored, logs)))
    return np.mean(found, axis=0)


def _array(name: str, given: Any) -> np.ndarray:
    """Return `given`, an array of any framework, as a NumPy array; bfloat16 becomes float32.

    Raises ConfigError, which calls the array `name`, if that fails or numbers are masked.
    """
    try:
        masked = np.ma.is_masked(given)
        if hasattr(given, "detach"):  # PyTorch: off its graph and its device
            # NumPy takes no tensor whose conjugation is still to be done, and no bfloat16.
            given = given.detach().cpu().resolve_conj()
            given = given.float() if str(given.dtype) == "torch.bfloat16" else given
        array = np.asarray(given)
    except Exception as error:  # an object of another package may raise anything
        rule = f"are not an array of numbers ({reason(error)})"
        fix = "give an array of NumPy, JAX or PyTorch"
        raise ConfigError(None, name, rule, fix) from error
    if masked:
        raise ConfigError(None, name, "are masked", "leave out streams with a masked number")
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _tokens(given: Any) -> tuple[np.ndarray, int]:
    """Return the tokens, numbered from 0 without gaps, int32 `[S, T]`, and V.

    V is the number of different tokens. Raises ConfigError unless `given` are integers `[S, T]`
    from 0 on, at least two of them different.
    """
    tokens = _array("tokens", given)
    if tokens.dtype.kind not in "iu" or tokens.ndim != 2 or not tokens.size:
        rule = f"are an array of {tokens.dtype} {list(tokens.shape)}"
        raise ConfigError(None, "tokens", rule, "give integers [streams, T]")
    if tokens.min() < 0:
        stream, step = np.argwhere(tokens < 0)[0].tolist()
        rule = f"is negative, in stream {stream} at step {step}"
        fix = "leave out padding, as all streams have one length"
        raise ConfigError("tokens", int(tokens[stream, step]), rule, fix)
    different, index = np.unique(tokens, return_inverse=True)
    if len(different) == 1:
        rule = "is the only token, so there is nothing to predict"
        raise ConfigError("tokens", int(different[0]), rule, "use at least two different tokens")
    return index.reshape(tokens.shape).astype(np.int32), len(different)


def _states(
    name: str, given: Any, shape: tuple[int, ...], numbers: int | None = None
) -> np.ndarray:
    """Return the states `given` as float32 `[S, T, D]`; a complex number becomes two.

    The mean over streams and steps is subtracted from states in float64. Raises ConfigError, which
    calls the states `name`, unless all numbers are finite, and fit `shape`, `[S, T]` of
    the tokens, and D = `numbers` if that is given.
    """
    if isinstance(given, tuple):
        raise ConfigError(None, name, "are a tuple", "give the array alone, such as lstm(x)[0]")
    states = _array(name, given)
    if states.dtype.kind not in "bcfiu" or states.shape[:-1] != shape or not states.size:
        rule = f"are an array of {states.dtype} {list(states.shape)}, for tokens {list(shape)}"
        if states.ndim == 3 and states.shape[0] == shape[0] and states.shape[1] != shape[1]:
            rule = f"have {states.shape[1]} steps, but the tokens have {shape[1]}"
        raise ConfigError(None, name, rule, "give numbers [streams, T, D]")
    # At least a byte for each number is taken below, where it is looked at whether it is finite.
    machine.check_memory(states.size, "use fewer streams or smaller states")
    if np.iscomplexobj(states):
        states = np.concatenate([states.real, states.imag], axis=-1)
    if numbers not in (None, states.shape[-1]):
        rule = f"have {states.shape[-1]} numbers each, but the trained states have {numbers}"
        raise ConfigError(None, name, rule, "give untrained states of the network that was trained")
    # A mean that is not finite stays out: it would make all states so, and the refusal below names
    # the first one.
    if states.dtype == np.float64:  # float32 may not resolve what lies around a large mean
        states = states - np.nan_to_num(states.mean(axis=(0, 1)))
    # What is too large for float32 becomes infinite here, and is refused below.
    with np.errstate(over="ignore"):
        states = states.astype(np.float32, copy=False)
    finite = np.isfinite(states).all(axis=-1)
    if not finite.all():
        stream, step = np.argwhere(~finite)[0].tolist()
        rule = f"have a number that is not finite, first in stream {stream} after step {step}"
        raise ConfigError(None, name, rule, "leave out streams with such numbers")
    return states


def _steps(at: Sequence[int] | None, lags: int, streams: int, length: int) -> np.ndarray:
    """Return the steps after which states are read, int `[A]`, each with a token at all lags.

    The steps are the different steps in `at`. By default, the steps are spaced evenly and make
    about `USUAL` examples, for this number of `streams` with `length` tokens each. Raises
    ConfigError if a step is not in a stream, or has fewer than `lags` tokens before it.
    """
    if lags >= length:
        rule = f"is not below the {length} tokens of a stream"
        raise ConfigError("lags", lags, rule, "use fewer lags or longer streams")
    if at is None:
        apart = max(1, -(-(length - lags) * streams // USUAL))
        # From the end, so that the last step is always read.
        return np.arange(length - 1, lags - 1, -apart)[::-1]
    steps = np.unique([checked("at", int, step) for step in at])
    if not len(steps) or steps[0] < lags or steps[-1] >= length:
        rule = f"is not a step from {{lags={lags}}} to {length - 1}"
        outside = [step for step in steps.tolist() if not lags <= step < length]
        raise ConfigError(
            "at", outside[0] if outside else [], rule, "use steps that have a token at every lag"
        )
    return steps


def _parts(streams: int, length: int, scored: int | None) -> Parts:
    """Return the slices that divide this number of `streams` into parts.

    The last two parts have `scored` streams each, by default 15%. Raises ConfigError if a part
    would have too few streams; `length`, the number of steps, is used only for its advice.
    """
    later = round((1 - FITTED) / 2 * streams)
    least, rule = LEAST_STREAMS, "are too few"
    if scored is not None:
        if scored < LEAST_SCORED:
            fix = f"use {LEAST_SCORED} or more"
            raise ConfigError("scored", scored, f"is below {LEAST_SCORED}", fix)
        later = scored
        least, rule = 2 * later + LEAST_SCORED, f"are too few for {{scored={later}}}"
    if streams < least:
        fix = f"give {least} or more, for example by cutting long streams"
        fix += " (are they [streams, T]?)" if length >= least else ""
        raise ConfigError(None, f"{streams} streams", rule, fix)
    first = streams - 2 * later
    return Parts(slice(0, first), slice(first, first + later), slice(first + later, streams))


def _check_sizes(
    numbers: int, probed: ProbedStreams, streams: int, given: int, by_step: bool
) -> None:
    """Raise ConfigError unless there are enough fitted examples, and the memory holds them.

    `numbers` is D, `probed` has the steps, `streams` is the number of fitted streams, and `given`
    is the number of given tokens. `by_step` only changes the advice.
    """
    examples = streams * len(probed.steps)
    least = least_examples(numbers, probed.classes)
    if examples < least:
        rule = (
            f"are fitted, too few for {numbers:,} numbers of a state and {probed.classes:,} "
            f"tokens, which need {least:,}, one for each weight of a head"
        )
        fix = "use more streams, or {by_step=False}" if by_step else "use more streams"
        raise ConfigError(None, f"{examples:,} examples", rule, fix)
    answers = probed.lags * probed.classes
    tables = 48 * probed.classes**given * answers  # while shares are counted
    fit = 250 * numbers * answers  # L-BFGS, in float64
    fix = "use fewer lags, streams or numbers of a state"
    machine.check_memory(tables + fit + 16 * examples * (numbers + probed.lags), fix)
