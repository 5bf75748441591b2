"""The page in which a trained LSTM runs: its data, its arithmetic and its controls in a browser."""

import importlib.util
import json
from types import SimpleNamespace

import browser
import jax
import numpy as np
import pytest
from msgspec import UNSET
from random_runs import random_runs
from run_folders import PLAIN
from running import ROOT

from echo_jax.config import changed
from echo_jax.core.network import build_network, init_params
from echo_jax.core.target_place import target_place
from echo_jax.exceptions import ConfigError
from echo_jax.runs import play_page, train_call
from echo_jax.runs.predictor import TrainedNetwork
from echo_jax.runs.vocabulary import Vocabulary

pytestmark = pytest.mark.timeout(120)

COMMITTED = ROOT / "docs" / "play.html"
STEPS = 1000
LAYOUTS = {
    "stateful windows": {},
    "stateless windows": {"stateful": False},
    "masked prefixes": {"layout": "prefixes"},
    "prefixes with a token": {"layout": "prefixes", "missing": "token"},
    "stateful streams": {"layout": "streams"},
    "stateless streams": {"layout": "streams", "stateful": False},
}
SCORES = SimpleNamespace(
    accuracy=0.5, baseline_accuracy=0.2, follows=UNSET, by_seed=SimpleNamespace(seed=[0])
)  # fmt: skip
SIZES = {"length": 12, "vocab_size": 7, "window": 3, "lag": 2, "batch_size": 2, "hidden_size": 5}


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("play_generator", ROOT / ".ci" / "play_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


def drawn(values=None, **fields):
    """A network with weights drawn at random, large enough that its states matter."""
    config = changed(PLAIN, **SIZES | fields)
    params = init_params(build_network(config), jax.random.key(len(fields)))
    params = jax.tree.map(lambda leaf: 2 * leaf, params)
    words = values or [str(value) for value in range(config.task.vocab_size)]
    return TrainedNetwork(config, params, Vocabulary(tuple(words)), 4)


def answers_in_page(tab, place, tokens):
    """The answers `[N]`, None where there is none, and probabilities `[N, V]`, in the browser."""
    script = f"""(() => {{
      const network = networks[{place}];
      let state = network.start();
      return {json.dumps(tokens)}.map((token) => {{
        const fed = network.feed(state, token);
        state = fed.state;
        return fed.answer && [fed.answer.token, [...fed.answer.probabilities]];
      }});
    }})()"""
    pairs = [answer or (None, None) for answer in tab.run(script)]
    return [token for token, _ in pairs], [shares for _, shares in pairs]


def test_the_committed_page_is_the_one_of_its_parts_and_its_grid(generator):
    text = COMMITTED.read_text()
    assert generator.made(train=False) == text
    assert len(text.encode()) < play_page.MOST_BYTES
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    for (_, _, options), network in zip(
        generator.NETWORKS, generator.data_in(text)["networks"], strict=True
    ):
        config = train_call.configured(**options)
        assert (network["window"], network["batch"]) == (config.task.window, config.task.batch_size)
        assert (network["stateful"], network["units"]) == (
            config.network.stateful, config.network.hidden_size,
        )  # fmt: skip
        assert network["command"] == generator.command(options)


@pytest.mark.slow
def test_every_layout_answers_as_predict_does(tab, tmp_path):
    networks = [drawn(**fields) for fields in LAYOUTS.values()]
    data = [play_page.data_of(network, "", 0.5) for network in networks]
    page = tmp_path / "page.html"
    page.write_text(play_page.page({"title": "", "lede": "", "networks": data}))
    tab.open(page)
    for place, trained in enumerate(networks):
        size = len(trained.vocabulary)
        tokens = np.random.default_rng(place).integers(size, size=STEPS)
        answers, shares = answers_in_page(tab, place, tokens.tolist())
        assert answers == trained.predict(tokens)
        expected = trained.predict(tokens, probabilities=True)
        got = np.array([row or [np.nan] * size for row in shares])
        np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


def setting(config):
    """What `placeOf` is told of a run."""
    task = config.task
    return {
        "length": task.length,
        "window": task.window,
        "batch": task.batch_size,
        "lag": task.lag,
        "stateful": config.network.stateful,
        "through": config.training.bptt_batches,
    }


def test_where_the_value_is_agrees_with_the_package(tab):
    tab.open(COMMITTED)
    runs = [
        run
        for run in random_runs()
        if run.task.layout == "windows" and run.task.lag >= 0 and run.network.cell != "mlp"
    ]
    places = [target_place(run) for run in runs]
    assert set(places) == {"window", "replayed", "state", "skipped", "early", "zeroed"}
    settings = json.dumps([setting(run) for run in runs])
    assert tab.run(f"{settings}.map(placeOf)") == places


def text(tab, element):
    return tab.run(f"document.getElementById('{element}').textContent")


def press(tab, element):
    """Click the middle of an element, which is scrolled into view."""
    x, y = tab.run(f"""(() => {{
      const element = document.querySelector({json.dumps(element)});
      element.scrollIntoView({{ block: "center" }});
      const box = element.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    for kind in ("mousePressed", "mouseReleased"):
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        tab.ask("Input.dispatchMouseEvent", type=kind, **at)


def fed(tab):
    return tab.run("echo.stream.moments.map((moment) => moment.token).slice(-3)")


def asked(tab):
    return tab.run("echo.stream.asked")


def test_the_echo_is_fed_by_buttons_keys_and_typing(tab):
    tab.open(COMMITTED, width=390)
    before = asked(tab)
    press(tab, "#next")
    assert asked(tab) == before + 1
    tab.run("document.activeElement.blur()")
    tab.press("ArrowRight", "ArrowRight")
    assert asked(tab) == before + 3
    tab.press(" ")
    assert text(tab, "play") == "Pause"
    tab.press(" ")
    assert text(tab, "play") == "Play"
    press(tab, "#typed")
    tab.type("3, 14 15")
    tab.press("Enter")
    assert fed(tab) == [3, 14, 15]
    assert text(tab, "truth") == "14"
    assert tab.run("document.querySelector('.value.true').textContent") == "14"
    press(tab, "#typed")
    tab.type("3 999")
    press(tab, "#typing button")
    assert text(tab, "message") == "“999” is none of the 100 values."
    assert fed(tab) == [3, 14, 15]


def test_what_waits_is_only_in_the_steps_since_the_value(tab):
    """Lag 1, windows of 5: the last step of the row before, and the last two of this row."""
    tab.open(COMMITTED)
    moves = "({ c }) => Math.max(...c) > 1e-6"
    moved = tab.run(f"echo.stream.waiting().slice(-3).map((steps) => steps.map({moves}))")
    assert moved == [[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2]
    picture = "document.getElementById('states').toDataURL()"
    before = tab.run(picture)
    press(tab, "#waits")
    assert tab.run(picture) != before


def set_slider(tab, name, value):
    tab.run(f"""(() => {{
      const slider = document.getElementById('{name}');
      slider.value = {value};
      slider.dispatchEvent(new Event('input'));
    }})()""")


def test_the_sliders_show_measured_points_and_no_others(tab, generator):
    grid = {(at["window"], at["batch"]): at for at in generator.words()["grid"]}
    tab.open(COMMITTED)
    for window in range(1, 6):
        for batch in range(1, 7):
            set_slider(tab, "window", window)
            set_slider(tab, "batch", batch)
            point = grid.get((window, batch))
            expected = f"{100 * point['accuracy']:.1f}%" if point else "not measured"
            assert text(tab, "measured") == expected
            assert tab.run("document.querySelectorAll('#rows-figure .state').length") == batch
    press(tab, "#map button")
    assert (text(tab, "window-is"), text(tab, "batch-is")) == ("1", "1")
    assert text(tab, "place").startswith("In the state")


def test_part_3_is_at_chance_and_each_cure_is_right(tab):
    tab.open(COMMITTED)

    def hits(side):
        return int(tab.run(f"document.querySelector('#{side} .hits').textContent").split()[0])

    assert (hits("left") < 16, hits("right") > 38) == (True, True)
    for cure in (2, 3):
        press(tab, f"#cures button:nth-child({cure})")
        assert hits("left") > 38
    press(tab, "#cures button:nth-child(1)")
    assert hits("left") < 16
    last = "document.querySelector('#right .answers').textContent"
    before = tab.run(last)
    press(tab, "#pair-next")
    press(tab, "#pair-next")
    assert tab.run(last)[:-2] == before[2:]
    press(tab, "#pair-play")
    assert text(tab, "pair-play") == "Pause"


def test_numbers_arrive_by_themselves_unless_motion_is_reduced(tab):
    for still, word in ((False, "Pause"), (True, "Play")):
        tab.open(COMMITTED, still=still)
        assert text(tab, "play") == word


def test_words_of_a_column_are_shown_and_never_run(tab, tmp_path):
    words = ["</script><b>", "<!--<script>", "&amp;\"'", "a\u2028b", "a b", "${x}", "é", "日本"]
    trained = drawn(values=sorted(words), vocab_size=len(words))
    text_of_page = play_page.page_of_run(trained, "<i>mine</i>", SCORES)
    assert text_of_page.lower().count("</script") == 2
    page = tmp_path / "page.html"
    page.write_text(text_of_page)
    tab.open(page, width=390)
    shown = tab.run("[...document.querySelectorAll('.value')].map((each) => each.textContent)")
    assert shown == sorted(words)
    assert tab.run("document.querySelectorAll('b, i').length") == 0
    press(tab, "#typed")
    tab.type("</script><b> a")
    tab.press("Enter")
    assert "is none of the 8 values" in text(tab, "message")
    tab.run("document.getElementById('typed').value = ''")
    for word in ("a b", "</script><b>"):
        press(tab, "#typed")
        tab.type(word)
        tab.press("Enter")
    assert fed(tab)[1:] == [sorted(words).index("a b"), sorted(words).index("</script><b>")]


def test_the_characters_of_a_text_are_typed_as_one_and_a_space_is_shown(tab, tmp_path):
    (tmp_path / "page.html").write_text(play_page.page_of_run(drawn(list(" ,abcde")), "", SCORES))
    tab.open(tmp_path / "page.html")
    press(tab, "#typed")
    tab.type("a,  b")
    tab.press("Enter")
    assert fed(tab) == [1, 0, 3]
    assert tab.run("document.querySelector('.value').textContent") == "␣"


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("cell", "gru", "lstm"),
        ("encoding", "embedding", "one-hot"),
        ("framing", "values", "classes"),
    ],
)
def test_a_network_that_the_page_cannot_run_is_refused(field, value, right):
    with pytest.raises(ConfigError) as refused:
        play_page.check_cell(drawn(**{field: value}))
    sentence = f"--{field} {value} does not run in a page: train one with --{field} {right}"
    assert refused.value.spelled("flag") == sentence


def test_a_page_that_would_be_too_large_is_refused():
    trained = drawn(vocab_size=300, hidden_size=60)
    with pytest.raises(ConfigError, match=r"has [\d,]+ bytes, more than 400,000: use fewer"):
        play_page.page_of_run(trained, "", SCORES)


def test_show_writes_the_page_of_a_run(tmp_path, call, generator):
    folder = tmp_path / "run"
    train_call.train(**SIZES, sequences=4, evaluation_sequences=5, out=folder)
    done = call("show.py", "--play", folder, cwd=tmp_path)
    assert done.stdout == f"Page: {folder / 'play.html'}\n"
    data = generator.data_in((folder / "play.html").read_text())
    assert data["networks"][0]["window"] == 3
    assert data["rows"]
    assert len(data["grid"]) == 1
    (folder / "play.html").write_text("mine")
    refused = call("show.py", "--play", folder, cwd=tmp_path, status=2).stderr
    assert "play.html is not as it was generated" in refused
    assert (folder / "play.html").read_text() == "mine"
