"""The page in which a trained LSTM runs: its data, its arithmetic and its controls in a browser."""

import contextlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from drawn import drawn_network
from fabricated_results import fabricated_result
from msgspec import UNSET
from run_folders import PLAIN, make_run
from running import ROOT, module_in

from echo_jax.config import changed
from echo_jax.echo.run import play_page
from echo_jax.exceptions import ConfigError

pytestmark = pytest.mark.timeout(120)

COMMITTED = ROOT / "docs" / "play.html"
LAYOUTS = {
    "stateful windows": {},
    "stateless windows": {"stateful": False},
    "masked prefixes": {"layout": "prefixes"},
    "prefixes with a token": {"layout": "prefixes", "missing": "token"},
    "stateful streams": {"layout": "streams"},
    "stateless streams": {"layout": "streams", "stateful": False},
}
SCORES = SimpleNamespace(
    accuracy=0.5, baseline_accuracy=0.2, order_blind_accuracy=0.2, follows=UNSET,
    by_seed=SimpleNamespace(seed=[0]), ceiling_accuracy=1.0, training_accuracy=UNSET,
    untrained=None, held_out_targets=UNSET, accuracy_by_position=[],
)  # fmt: skip
SIZES = {"length": 12, "vocab_size": 7, "window": 3, "lag": 2, "batch_size": 2, "hidden_size": 5}


@pytest.fixture(scope="module")
def generator():
    return module_in(ROOT / ".ci" / "play_page.py")


def drawn(values=None, **fields):
    """A network with weights drawn at random, large enough that its states matter."""
    return drawn_network(PLAIN, values, **SIZES | fields)


def test_the_committed_page_is_the_one_of_its_parts_and_its_grid(generator):
    text = COMMITTED.read_text()
    assert generator.made(train=False) == text
    assert len(text.encode()) < play_page.PAGE_BYTES
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    network = generator.data_in(text)["network"]
    assert (network["window"], network["batch"], network["units"]) == (5, 5, 50)  # part 4


@pytest.mark.slow
def test_every_layout_answers_as_predict_does(tab, tmp_path):
    page = tmp_path / "page.html"
    for seed, fields in enumerate(LAYOUTS.values()):
        trained = drawn(**fields)
        data = play_page.data_of(trained, "")
        page.write_text(play_page.page({"title": "", "lede": "", "network": data}))
        tab.open(page)
        size = len(trained.vocabulary)
        tokens = np.random.default_rng(seed).integers(size, size=1000)
        answers = tab.run(f"""(() => {{
          let state = given.start();
          return {tokens.tolist()}.map((token) => {{
            const fed = given.feed(state, token);
            state = fed.state;
            return fed.answer ? [fed.answer.token, ...fed.answer.probabilities] : [null];
          }});
        }})()""")
        assert [token for token, *_ in answers] == trained.predict(tokens)
        expected = trained.predict(tokens, probabilities=True)
        got = np.array([shares or [np.nan] * size for _, *shares in answers])
        np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


def text(tab, element):
    return tab.run(f"document.querySelector('{element}').textContent")


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


def test_the_echo_is_fed_by_buttons_keys_values_and_typing(tab):
    tab.open(COMMITTED, width=390)
    before = asked(tab)
    press(tab, "#echo .next")
    assert asked(tab) == before + 1
    press(tab, "#values button:nth-child(43)")
    tab.press("ArrowRight", "Enter", "ArrowDown", "Enter")
    assert fed(tab) == [42, 43, 53]
    assert tab.run("document.querySelector('#values [tabindex=\"0\"]').textContent") == "53"
    press(tab, "#typed")
    tab.type("3, 14 15")
    tab.press("Enter")
    assert fed(tab) == [3, 14, 15]
    assert text(tab, "#truth") == text(tab, ".value.true") == "14"
    press(tab, "#typed")
    tab.type("3 999")
    press(tab, "#typing button")
    assert text(tab, "#message") == "“999” is none of the 100 values."
    tab.run("document.getElementById('typed').value = '1 '.repeat(20000)")
    press(tab, "#typing button")
    assert text(tab, "#message") == "Type at most 1,000 at once."
    assert fed(tab) == [3, 14, 15]


def test_networks_learn_in_the_page_which_asks_for_nothing_and_logs_nothing(tab):
    settings = "#stateful=0&values=10&units=20&sequences=1000/window=1&batch=6&sequences=100"
    with tab.left_alone(COMMITTED):
        tab.open(COMMITTED, width=390, fragment=settings)
        press(tab, "#run")
        tab.wait("trainings.every(({ over }) => over)")
        zero, part3 = tab.texts(".score")
        assert float(zero.split("%")[0]) > 99
        assert part3 == "about 1% right, by chance"
        assert text(tab, "#outcomes .why").endswith("ceiling is 100.00%.")
        press(tab, ".use")
        assert tab.run("echo.stream.network.stateful") == 0
        assert tab.run("echo.stream.right === echo.stream.asked")
        press(tab, "#once")  # begins anew
        tab.wait("trainings.every(({ report }) => report.updates === 1)")


def choose(tab, name, value):
    tab.run(f"""(() => {{
      const select = document.querySelector("#panels select[name={name}]");
      select.value = {value};
      select.dispatchEvent(new Event("change"));
    }})()""")


def first_updates(tab):
    """The curve after two updates, and the weights."""
    for updates in (1, 2):
        press(tab, "#once")
        tab.wait(f"trainings[0].report?.updates === {updates}")
    return tab.run("[trainings[0].report.points, [...trainings[0].report.weights.kernel]]")


def test_a_link_opens_the_same_setting_start_and_rows(tab):
    tab.open(COMMITTED, fragment="#lag=2&units=999&seed=5&nonsense=1")
    for name, value in {"window": 3, "values": 10, "units": 8, "through": 2, "batch": 2}.items():
        choose(tab, name, value)
    before = first_updates(tab)
    link = tab.run("location.hash")
    tab.open(COMMITTED, fragment=link)
    assert first_updates(tab) == before
    setting = {"lag": 2, "window": 3, "batch": 2, "stateful": 1, "through": 2, "values": 10}
    setting |= {"units": 8, "sequences": 2000, "seed": 5}
    assert tab.run("trainings.map(({ setting }) => setting)") == [setting]
    for step in ("location.hash = 'rows'", "history.back()"):
        once = f"addEventListener('hashchange', () => setTimeout(done, 200)); {step}"
        tab.run(f"new Promise((done) => {{ {once} }})", promise=True)
    assert tab.run("trainings[0].report.updates") == 2
    choose(tab, "stateful", 0)
    assert tab.run("document.querySelector('#panels [name=through]').disabled")
    assert tab.run("trainings[0].setting") == setting | {"stateful": 0, "through": 1}
    press(tab, "#train a")
    tab.wait("trainings.length === 2")
    assert tab.run("trainings.map(({ setting }) => setting.window)") == [1, 5]
    tab.open(COMMITTED, fragment="#" + "/".join(["lag=2"] * 60))
    assert tab.texts("#panels h3") == ["Setting A", "Setting B"]


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(tab, dark):
    for width in (1280, 390):
        tab.open(COMMITTED, width, dark=dark)
        every = "document.querySelectorAll('details')"
        tab.run(f"for (const each of {every}) Object.assign(each, {{ name: '', open: true }})")
        assert tab.violations() == []
        assert tab.run("document.documentElement.scrollWidth") == width


def test_words_of_a_column_are_shown_and_never_run(tab, tmp_path):
    words = ["</script><b>", "<!--<script>", "&amp;\"'", "a\u2028b", "a b", "${x}", "é", "日本"]
    trained = drawn(values=sorted(words), vocab_size=len(words))
    text_of_page = play_page.page_of_run(trained, "<i>mine</i>", SCORES)
    assert text_of_page.lower().count("</script") == 3
    page = tmp_path / "page.html"
    page.write_text(text_of_page)
    tab.open(page, width=390)
    assert tab.texts(".value") == sorted(words)
    assert tab.run("document.querySelectorAll('main :is(b, i)').length") == 0
    press(tab, "#typed")
    tab.type("</script><b> a")
    tab.press("Enter")
    assert "is none of the 8 values" in text(tab, "#message")
    tab.run("document.getElementById('typed').value = ''")
    for word in ("a b", "</script><b>"):
        press(tab, "#typed")
        tab.type(word)
        tab.press("Enter")
    assert fed(tab)[1:] == [sorted(words).index("a b"), sorted(words).index("</script><b>")]


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("cell", "gru", "lstm"),
        ("encoding", "embedding", "one-hot"),
        ("framing", "values", "classes"),
    ],
)
def test_a_network_that_the_page_cannot_run_is_refused(field, value, right):
    with pytest.raises(ConfigError, match=f"^{field}='{value}' .* {field}=\"{right}\"$"):
        play_page.check_cell(drawn(**{field: value}).config)


@pytest.mark.parametrize(
    ("values", "units", "made"),
    [(100, 76, True), (100, 78, False), (300, 36, True), (300, 38, False)],
)
def test_a_page_is_offered_just_where_it_can_be_made(values, units, made):
    trained = drawn(vocab_size=values, hidden_size=units)
    assert play_page.has_page(trained.config, trained.vocabulary.values) == made
    large = pytest.raises(
        ConfigError, match=r"has [\d,]+ bytes, more than 400,000: train with fewer"
    )
    with contextlib.nullcontext() if made else large:
        play_page.page_of_run(trained, "", SCORES)


def test_show_writes_the_page_of_a_run(tmp_path, call, generator):
    folder = tmp_path / "run"
    config = changed(PLAIN, **SIZES)
    make_run(folder, config, result=fabricated_result(config))
    done = call("show.py", "--play", folder, cwd=tmp_path)
    assert done.stdout == f"Page: {folder / 'play.html'}\n"
    data = generator.data_in((folder / "play.html").read_text())
    assert data["network"]["window"] == 3
    assert len(data["grid"]) == 1
    assert data["explanation"].startswith("The target, the value 2 steps back, is in the window")
    (folder / "play.html").write_text("mine")
    refused = call("show.py", "--play", folder, cwd=tmp_path, status=2).stderr
    assert "play.html has been edited" in refused
    assert (folder / "play.html").read_text() == "mine"
