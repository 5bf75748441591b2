"""The training of the interactive page against the library: gradients, losses, scores, words."""

import functools
import itertools
import json
import re

import browser
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import learner_of
from running import ROOT
from test_explanation import scored

from echo_jax.commands import command_line
from echo_jax.config import PARTS, changed, flat
from echo_jax.echo import training
from echo_jax.echo.chance import chance_baseline, order_blind_baseline
from echo_jax.echo.data import sequence_batches
from echo_jax.echo.run.explanation import explain
from echo_jax.echo.target_place import accuracy_ceiling
from echo_jax.echo.training import start

pytestmark = pytest.mark.timeout(120)

NAMES = {
    "lag": "lag", "window": "window", "batch": "batch_size", "stateful": "stateful",
    "through": "bptt_batches", "values": "vocab_size", "units": "hidden_size",
    "sequences": "sequences", "seed": "seed",
}  # fmt: skip


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        tab.open(ROOT / "docs" / "play.html")
        yield tab


def config_of(setting):
    fields = {NAMES[name]: value for name, value in setting.items()}
    return changed(PARTS["context"], **fields | {"stateful": bool(fields["stateful"])})


@functools.partial(jax.jit, static_argnums=0)
def learned(config, state, tokens):
    """The losses of all updates, and the gradient of the third one without the two before."""
    learner = learner_of(config)
    _, metrics = training.train_on(config, learner, config.dynamic, state, tokens)
    batches = sequence_batches(tokens[0], config.task, config.task.lag)
    batches = training.with_earlier(config, batches)

    def update(params, carry, k):
        batch = jax.tree.map(lambda leaf: leaf[k], batches)
        given = state._replace(params=params)
        _, carry, made = training.train_batch(config, learner, config.dynamic, given, carry, batch)
        return made.loss, carry

    carry = start(config, learner.network, state.params)
    for k in range(2):
        _, carry = update(state.params, carry, k)
    return metrics.loss.reshape(-1), jax.grad(update, has_aux=True)(state.params, carry, 2)[0]


def lists(params):
    """Weights, or their gradients, under their names in the page."""
    cell, readout = params["cell"], params["readout"]
    names = {"kernel": cell["kernel"], "recurrent": cell["recurrent_kernel"], "bias": cell["bias"]}
    names |= {"readout": readout["kernel"], "readoutBias": readout["bias"]}
    return {name: np.asarray(array).reshape(-1).tolist() for name, array in names.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stateful": 0},
        {"lag": 3, "window": 2, "batch": 3, "through": 2, "values": 10, "units": 9},
    ],
    ids=str,
)
def test_gradients_and_losses_are_those_of_the_library(tab, options):
    fields = flat(PARTS["context"])
    setting = {name: int(fields[field]) for name, field in NAMES.items()} | options
    config = config_of(setting)
    state = training.init(learner_of(config), config.dynamic)
    tokens = np.random.default_rng(0).integers(setting["values"], size=(25, 25))
    losses, gradient = learned(config, state, jnp.asarray(tokens, jnp.int32))
    got_losses, got = tab.run(f"""(() => {{
      const given = {json.dumps(lists(state.params))}, tokens = {tokens.tolist()};
      const made = () => {{
        const trainer = new Trainer({json.dumps(setting)});
        for (const name in given) trainer.weights[name].set(given[name]);
        return trainer;
      }};
      const trainer = made(), losses = tokens.flatMap((each) =>
        Array.from(trainer.sequence(each), ({{ loss }}) => loss));
      const still = Object.assign(made(), {{ adam() {{}} }}), updates = still.sequence(tokens[0]);
      for (let k = 0; k < 3; k++) updates.next();
      for (const name in given) given[name] = [...still.gradient[name]];
      return [losses, given];
    }})()""")
    largest = max(np.abs(each).max() for each in got.values())
    for name, expected in lists(gradient).items():
        np.testing.assert_allclose(got[name], expected, atol=1e-5 * largest, rtol=0)
    assert len(got_losses) >= 100
    np.testing.assert_allclose(got_losses[:100], losses[:100], atol=1e-4, rtol=0)


def settings():
    """What can be chosen in the page, of windows, batches and values some; the units are one."""
    kinds = ((0, 1), (1, 1), (1, 2))  # a gradient through two batches needs a carried state
    choices = itertools.product(range(7), (1, 2, 3, 5, 8), (1, 2, 3, 6), kinds, (10, 100))
    for lag, window, batch, (stateful, through), values in choices:
        setting = {"lag": lag, "window": window, "batch": batch, "stateful": stateful}
        yield setting | {"through": through, "values": values}


def in_the_page(said):
    """Sentences of the package with the words of the page for flags."""
    said = re.sub(
        r"--window (\d)", r"a window of \1", said.replace("--no-stateful", "a state from zero")
    )
    return re.sub(r"--bptt-batches (\d)", r"a gradient through \1 batches", said)


def test_what_the_page_says_of_every_setting_is_what_the_package_says(tab):
    asked, expected = [], []
    for setting in settings():
        setting |= {"units": 32, "sequences": 2000, "seed": 7}
        config = config_of(setting)
        chance = chance_baseline(config.task)
        ceiling = accuracy_ceiling(config, chance.accuracy)
        guess = max(chance.accuracy, order_blind_baseline(config).accuracy)
        shares = [ceiling + 1e-3, ceiling - 1e-3, 0.97 * ceiling, chance.accuracy]
        shares += [guess + part * (ceiling - guess) for part in (0.09, 0.11)]
        asked.append([setting, shares])
        words = command_line.training(config, {}).split()
        results = [None, *(scored(config, share) for share in shares)]
        sentences = [in_the_page(explain(config, result)) for result in results]
        expected.append([
            [*chance, *order_blind_baseline(config), ceiling],
            [" ".join(words[words.index("train") :]), *sentences],
        ])  # fmt: skip
    got = tab.run(f"""{json.dumps(asked)}.map(([setting, shares]) => {{
      const {{ chance, blind, ceiling }} = baselines(setting);
      const sentences = shares.map((share) => explain(setting, share));
      return [[...chance, ...blind, ceiling],
        [commandOf(setting).replace("echo-jax ", ""), explain(setting), ...sentences]];
    }})""")
    assert len(got) == 7 * 5 * 4 * 3 * 2
    for (lines, words), (right_lines, right_words) in zip(got, expected, strict=True):
        np.testing.assert_allclose(lines, right_lines, rtol=0, atol=6e-7)  # of six decimals
        assert words == right_words
