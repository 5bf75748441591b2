// ---------------------------------------------------------------- the page

const given = new Network(data.network);
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const random = (network) => Math.floor(Math.random() * network.values.length);
const range = (first, last, step = 1) =>
  Array.from({ length: 1 + (last - first) / step }, (_, k) => first + k * step);

// The last numbers that a network was fed. Under each number is the answer that should be equal to it.
function showAnswers(list, { network: { values, lag, window }, moments }) {
  const last = moments.length - 1;
  list.replaceChildren(...moments.map(({ token }, place) => {
    const kinds = ["number", place > last - window && "inside", place === last - lag && "asked"];
    const item = make("li", { class: kinds.filter(Boolean).join(" ") }, values[token]);
    const answer = moments[place + lag]?.answer;
    const kind = answer ? (answer.token === token ? "hit" : "miss") : "none";
    item.append(make("span", { class: kind }, answer ? values[answer.token] : "?"));
    return item;
  }).slice(-40));
}

// The Tab key stops at one button of a group.
function stopAt(stop) {
  for (const button of stop.parentElement.querySelectorAll("button")) {
    button.tabIndex = button === stop ? 0 : -1;
  }
}

// A section that plays: one more in 1.3 s. A screen reader speaks what changes while it stands still.
// Returns the function that starts and stops it.
function player(section, next, spoken) {
  const button = section.querySelector(".play");
  let timer = null;
  const set = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(next, 1300) : null;
    button.textContent = on ? "Pause" : "Play";
    spoken.setAttribute("aria-live", on ? "off" : "polite");
  };
  button.addEventListener("click", () => set(timer === null));
  section.querySelector(".next").addEventListener("click", () => { set(false); next(); });
  set(false);
  return set;
}

// Arrow keys move inside a group of buttons.
document.addEventListener("keydown", (event) => {
  const { key, target } = event, group = target.closest("[role=group]");
  if (event.ctrlKey || event.metaKey || event.altKey || !group || !key.startsWith("Arrow")) return;
  const buttons = [...group.querySelectorAll("button")];
  const columns = buttons.filter(({ offsetTop }) => offsetTop === buttons[0].offsetTop).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
  const next = buttons[buttons.indexOf(target) + steps] ?? target;
  event.preventDefault();
  stopAt(next);
  next.focus();
});

// ---------------------------------------------------------------- what the value changes

// What another value in the place of the one that is asked for changes, a column a step of the last
// rows: `rows` are those of `stream.waiting()`.
function drawChanges(canvas, network, rows) {
  const style = getComputedStyle(canvas), pen = canvas.getContext("2d");
  const { clientWidth: width, clientHeight: height } = canvas, { layout, window, values } = network;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  pen.scale(devicePixelRatio, devicePixelRatio);
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  pen.font = `13px ${style.fontFamily}`;
  const steps = Math.max(1, ...rows.map((row) => row.length)), left = 20;
  const most = layout === "streams" ? 40 : Math.max(2, Math.floor(12 / window));
  const gap = layout === "streams" ? 0 : steps === 1 ? 4 : 8;
  const longest = Math.max(...values.map((value) => pen.measureText(value).width));
  const least = Math.max(18, Math.min(64, longest + 2));
  const count = Math.max(1, Math.min(most, Math.floor((width - left) / (steps * least + gap))));
  const cell = ((width - left) / count - gap) / steps;
  const tops = { c: 22, h: 164 }, map = 132, tall = map / network.units;
  const box = (x, y, wide, high, ink, strength = 1) => {
    pen.globalAlpha = strength;
    pen.fillStyle = style.getPropertyValue(ink);
    pen.fillRect(x, y, wide, high);
  };
  const write = (text, x, y, room, ink) => {
    let shown = text;
    while (pen.measureText(shown).width > room && shown.length > 2) shown = `${shown.slice(0, -2)}…`;
    pen.globalAlpha = 1;
    pen.fillStyle = style.getPropertyValue(ink);
    pen.fillText(shown, x, y);
  };
  const shown = rows.slice(-count);
  const largest = Math.max(1e-9, ...shown.flat().flatMap(({ c, h }) => [...c, ...h].map(Math.abs)));
  for (const kind of ["c", "h"]) write(kind, 8, tops[kind] + map / 2, left, "--quiet");
  shown.forEach((row, group) => {
    const x0 = left + gap + group * (steps * cell + gap) + (steps - row.length) * cell;
    row.forEach((step, column) => {
      const x = x0 + column * cell, back = shown.length - 1 - group + row.length - 1 - column;
      if (back === network.lag) box(x, 0, cell, 20, "--asked");
      write(values[step.token] ?? "–", x + cell / 2, 10, cell, "--ink");
      for (const kind of ["c", "h"]) {
        box(x, tops[kind], cell + 0.5, map, "--empty");
        step[kind].forEach((amount, unit) => box(x, tops[kind] + unit * tall, cell + 0.5, tall,
          amount < 0 ? "--minus" : "--plus", Math.min(1, Math.abs(amount) / largest) ** 0.8));
      }
    });
  });
}

// ---------------------------------------------------------------- see: which row continues which

function drawRows(svg, { window, batch, lag, stateful }, most) {
  const tokens = range(0, 40).map((t) => (7 * t + 2) % 10), first = Math.max(window - 1, lag);
  const cell = 20, high = 30, wide = window * cell;
  const left = 38, ends = left + wide + 36, right = 356 - wide, stop = right - 22;
  svg.setAttribute("viewBox", `0 0 406 ${46 + most * high}`);
  svg.replaceChildren();
  const add = (tag, attributes, text) => svg.append(make(tag, attributes, text));
  const middle = (row) => 52 + (row % batch) * high;
  add("text", { x: 0, y: 20 }, "row");
  add("text", { x: left, y: 20 }, "batch 0");
  add("text", { x: right, y: 20 }, "batch 1");
  for (let row = 0; row < 2 * batch; row++) {
    const x = row < batch ? left : right, y = middle(row), end = first + row, picked = row === batch;
    if (picked) add("rect", { x: x - 6, y: y - 14, width: wide + 50, height: 28, class: "picked" });
    add("text", { x: x - 12, y: y + 5, class: "number-of-row" }, row);
    for (let step = 0; step < window; step++) {
      const time = end - window + 1 + step, holds = time === first + batch - lag && row <= batch;
      const box = { x: x + step * cell, y: y - 11, width: cell, height: 22 };
      add("rect", { ...box, class: holds ? "holds" : "cell" });
      add("text", { x: x + (step + 0.5) * cell, y: y + 5, class: "token" }, tokens[time]);
    }
    add("text", { x: x + wide + 6, y: y + 5 }, `→ ${tokens[end - lag]}${picked ? "?" : ""}`);
  }
  for (let row = 0; stateful && row < batch; row++) {
    const d = `M${ends} ${middle(row)}H${stop - 6}m-6 -4l6 4l-6 4`;
    add("path", { d, class: row ? "state" : "state bold" });
  }
  if (lag >= window && batch > lag) { // the row before has the value, in another lane
    const from = middle(batch - lag), to = middle(batch) + 7;
    const x = ends + 0.3 * (stop - ends), y = from + 0.3 * (to - from);
    add("path", { d: `M${ends} ${from}L${stop} ${to}`, class: "expected" });
    add("path", { d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`, class: "cross" });
  }
}

const PLACES = {
  window: "In the window. The row reads the value itself, so it can learn to repeat it.",
  replayed: "In the state, and the gradient reaches it there.",
  state: "In the state, but training never goes back to the row that should have kept it.",
  skipped: "Nowhere. The row starts from the state of a row that never saw the value.",
  early: "Nowhere. The value came before the first row of the sequence.",
  zeroed: "Nowhere. Every batch starts from a zero state.",
};

// The rows of a task at one of the measured windows and batch sizes, which a map shows.
function showRows(task, grid) {
  const map = byId("map"), most = (name) => Math.max(...grid.map((point) => point[name]));
  const draw = ({ window, batch, accuracy, seeds, place }) => {
    drawRows(byId("rows-figure"), { ...task, window, batch }, most("batch"));
    byId("setting").textContent = `Window ${window}, batch size ${batch}. `
      + "Where is the value that the framed row is asked for?";
    byId("place").className = place;
    byId("place").textContent = place !== "skipped" ? PLACES[place] : `Nowhere. Row ${batch} starts `
      + `from row 0, a batch before, and not from row ${batch - task.lag}, which read the value.`;
    byId("measured").textContent = percent(accuracy);
    byId("measured-how").textContent =
      `right, ${seeds > 1 ? `median of ${seeds} seeds` : "one seed"}; chance ${percent(task.chance)}`;
  };
  for (const word of ["window", ...range(1, most("window"))]) map.append(make("span", {}, word));
  for (const { window, batch, accuracy } of grid) {
    if (window === 1) map.append(make("span", {}, `batch ${batch}`));
    const rounded = Math.round(100 * accuracy);
    map.append(make("button", { type: "button", style: `--share: ${accuracy}`,
      "aria-label": `${rounded}% with window ${window}, batch size ${batch}` }, rounded));
  }
  const buttons = [...map.querySelectorAll("button")];
  const choose = (chosen) => {
    stopAt(chosen);
    for (const each of buttons) each.setAttribute("aria-pressed", String(each === chosen));
    draw(grid[buttons.indexOf(chosen)]);
  };
  for (const kind of ["click", "focusin"]) {
    map.addEventListener(kind, ({ target }) => buttons.includes(target) && choose(target));
  }
  const isOfTask = ({ window, batch }) => window === task.window && batch === task.batch;
  choose(buttons[grid.findIndex(isOfTask)]);
  byId("map-box").hidden = grid.length < 2;
}

// ---------------------------------------------------------------- train one here

const CHOICES = { // what can be set, by its name in an address
  lag: ["Lag", range(0, 6)],
  window: ["Window", range(1, 8)],
  batch: ["Batch size", range(1, 6)],
  stateful: ["State", [1, 0], ["carried", "from zero"]],
  through: ["Gradient", [1, 2], ["1 batch", "2 batches"]],
  values: ["Integers", [10, 100], ["0 to 9", "0 to 99"]],
  units: ["Units", range(8, 64, 2)],
  sequences: ["Sequences", [100, 500, 1000, 2000, 4000, 8000]],
  seed: ["Seed", range(0, 99)],
};
const FIRST = ["window", "stateful"]; // the others fold
const WORKER = URL.createObjectURL(new Blob([byId("trainer").textContent]));
const MOST_TYPED = 1000; // values at once, which take a part of a second
const FED = range(0, 24).map((t) => (37 * t * t + 11 * t + 5) % 101 % 100); // to see answers
const SHOWN = 12; // of them

// The one or two settings of an address, as "#lag=1&window=5/lag=3". What one lacks is as in part 4.
function settingsOf(address) {
  const { parts } = data.training;
  if (!address.includes("=")) return parts.map((part) => ({ ...part }));
  return address.slice(1).split("/").slice(0, 2).map((text) => {
    const given = [...new URLSearchParams(text)].map(([name, value]) => [name, Number(value)])
      .filter(([name, value]) => CHOICES[name]?.[1].includes(value));
    return { ...parts[1], ...Object.fromEntries(given) };
  });
}

// A curve of values up to `most`, over lines { name: value }; `say` writes a value.
function drawCurve(figure, kind, values, length, lines, most, say) {
  const svg = figure.querySelector("svg"), width = svg.clientWidth;
  const y = (value) => 126 - 110 * value / most; // of 130 pixels
  const add = (tag, attributes, text) => svg.append(make(tag, attributes, text));
  const names = {}; // by the height of their line
  svg.replaceChildren();
  for (const [name, value] of Object.entries(lines)) {
    (names[y(value).toFixed()] ??= []).push(name);
    add("line", { x2: width, y1: y(value), y2: y(value) });
  }
  const points = values.map((value, k) => [(k + 0.5) / length * width, y(value)]);
  add("path", { d: lineThrough(points) });
  for (const [at, equal] of Object.entries(names)) {
    add("text", { x: width, y: at - 4 }, `${equal.join(", ")} ${say(lines[equal[0]])}`);
  }
  const now = values.length ? say(values.at(-1)) : "–";
  figure.querySelector("b").textContent = now;
  svg.setAttribute("aria-label", `Curve of the ${kind} in training, now ${now}`);
}

// A network that learns in a worker: its setting, curves, answers, and what came out.
class Training {
  constructor(setting, letter, { changed, ended, use }) {
    Object.assign(this, { setting, letter, ended });
    const [panel, outcome] = ["panel", "outcome"].map((part) => clone(`training-${part}`));
    Object.assign(this, { panel, outcome });
    this.part = (place) => panel.querySelector(place) ?? outcome.querySelector(place);
    for (const [name, [label, choices, words = choices]] of Object.entries(CHOICES)) {
      const select = make("select", { name });
      choices.forEach((value, place) => select.append(make("option", { value }, words[place])));
      const fields = this.part(FIRST.includes(name) ? ".first" : ".others");
      fields.appendChild(make("label", {}, label)).append(select);
      select.addEventListener("change", () => {
        setting[name] = Number(select.value);
        changed(this);
      });
    }
    this.part(".use").addEventListener("click", () => use(this.network));
    this.start();
  }

  // Begin anew, with a network that has learned nothing.
  start() {
    const { elements } = this.part("form"), { setting } = this, { parts, titles } = data.training;
    if (!setting.stateful) setting.through = 1; // nothing is carried from an earlier batch
    elements.through.disabled = !setting.stateful;
    for (const name of Object.keys(CHOICES)) elements[name].value = setting[name];
    const command = commandOf({ ...setting, seed: 0 }), known = parts.map(commandOf).indexOf(command);
    this.title = titles[known] ?? `Setting ${this.letter}`;
    for (const title of [this.part(".title"), this.part(".of")]) title.textContent = this.title;
    const hidden = Object.keys(CHOICES)
      .filter((name) => !FIRST.includes(name) && setting[name] !== parts[1][name])
      .map((name) => `${CHOICES[name][0].toLowerCase()} ${elements[name].selectedOptions[0].text}`);
    this.part("summary").textContent = ["More", hidden.join(", ")].filter(Boolean).join(": ");
    this.part(".score").textContent = "";
    this.outcome.hidden = true;
    this.panel.classList.remove("learns");
    this.worker?.terminate();
    Object.assign(this, { worker: new Worker(WORKER), over: false });
    this.worker.onerror = () => this.conclude("This browser refuses to train here.",
      "Open the page in another browser, or train with echo_jax:");
    this.worker.onmessage = ({ data: report }) => this.draw(report);
    this.worker.postMessage({ make: setting });
  }

  draw(report = this.report) {
    if (!report) return;
    this.report = report;
    const { points, updates, sequences, seconds, expected, weights, accuracy } = report;
    const { setting } = this, { chance, blind, ceiling } = baselines(setting);
    const all = sequences < BLOCK ? expected : seconds / sequences * setting.sequences;
    this.part(".counts").textContent = `${updates.toLocaleString("en")} updates on `
      + `${sequences.toLocaleString("en")} sequences in ${seconds.toFixed(1)} s; `
      + `all sequences take about ${Math.max(1, Math.round(all))} s on this device`;
    this.panel.classList.toggle("learns", updates > 0);
    const draw = (kind, ...more) => drawCurve(this.part(`.${kind}`), kind,
      points.map((point) => point[kind]), setting.sequences / BLOCK, ...more);
    const unordered = (k) => (blind[k] === chance[k] ? {} : { "unordered window": blind[k] });
    draw("accuracy", { chance: chance[0], ...unordered(0), ceiling }, 1, percent);
    draw("loss", { chance: chance[1], ...unordered(1) }, 1.2 * chance[1], (x) => x.toFixed(2));
    const values = range(0, setting.values - 1).map(String);
    this.network = new Network({ ...setting, weights, values, name: this.title, layout: "windows" });
    const stream = new Stream(this.network, FED.map((token) => token % setting.values));
    showAnswers(this.part(".answers"), { ...stream, moments: stream.moments.slice(-SHOWN) });
    if (accuracy === undefined || this.over) return;
    const isAsked = this.title === data.training.titles[0];
    const said = isAsked && guess ? `You said ${guess}. Measured: ` : "";
    this.conclude(said + rightOf(chance[0], accuracy, setting), explain(setting, accuracy));
  }

  conclude(score, why) {
    this.over = true;
    this.panel.classList.add("learns");
    this.part(".score").textContent = score;
    this.part(".why").textContent = why;
    this.part("code").textContent = commandOf(this.setting);
    this.part(".use").disabled = !this.network;
    this.outcome.hidden = false;
    this.ended();
  }

  // The setting in a sentence.
  told() {
    const { lag, window, values } = this.setting;
    const read = window === 1 ? "one integer" : `${window} integers`;
    const asked = ["last one", "one before the last"][lag] ?? `one ${lag} before the last`;
    return `${this.title} reads ${read} from 0 to ${values - 1} at a time, and must say the ${asked}.`;
  }
}

let trainings = []; // the networks that are trained
let guess = ""; // in percent, once it was made

// The networks of the address, and the buttons for all of them.
function showTraining(section, use) {
  let runs = false, address; // of the settings
  let views = []; // the networks of this view and of the two before, by their address
  const tell = (what) => trainings.filter(({ over }) => !over)
    .forEach(({ worker }) => worker.postMessage({ pace: what }));
  const set = (on) => {
    runs = on;
    byId("run").textContent = on ? "Pause" : "Train";
    tell(on ? "fast" : "pause");
  };
  const tellSettings = () => {
    const isOpening = data.training.titles.every((title, n) => trainings[n]?.title === title);
    byId("train-title").textContent = isOpening ? "Guess, then train" : "Train";
    byId("opening").hidden = !isOpening;
    byId("settings").hidden = isOpening;
    byId("settings").textContent = trainings.map((training) => training.told()).join(" ");
  };
  const changed = (training) => {
    training.start();
    tellSettings();
    set(false);
    const settings = trainings.map(({ setting }) => new URLSearchParams(setting));
    history.replaceState(null, "", `#${settings.join("/")}`);
    address = views[0].address = location.hash;
  };
  const isOver = () => trainings.every(({ over }) => over);
  const begin = () => isOver() && trainings.forEach((training) => training.start());
  const ended = () => isOver() && set(false);
  const open = () => {
    set(false);
    address = location.hash.includes("=") ? location.hash : "";
    const view = views.find((each) => each.address === address) ?? { address, trainings:
      settingsOf(address).map((setting, n) => new Training(setting, "AB"[n], { changed, ended, use })) };
    views = [view, ...views.filter((each) => each !== view)];
    // What was trained earlier is lost.
    views.splice(3).forEach((old) => old.trainings.forEach(({ worker }) => worker.terminate()));
    ({ trainings } = view);
    byId("panels").replaceChildren(...trainings.map(({ panel }) => panel));
    byId("outcomes").replaceChildren(...trainings.map(({ outcome }) => outcome));
    trainings.forEach((training) => training.draw()); // they may be of another width
    tellSettings();
    if (address) section.scrollIntoView();
  };
  byId("both").addEventListener("click", (event) => {
    event.preventDefault();
    if (location.hash !== event.target.hash) history.pushState(null, "", event.target.hash);
    open();
    begin();
    set(true);
  });
  byId("run").addEventListener("click", () => {
    begin();
    set(!runs);
  });
  byId("once").addEventListener("click", () => {
    begin();
    set(false);
    tell("once");
  });
  for (const kind of ["input", "click"]) { // a click where it stands is a guess, too
    byId("guessed").addEventListener(kind, ({ target }) => {
      guess = `${target.value}%`;
      byId("guessed-is").textContent = guess;
    });
  }
  addEventListener("hashchange", () => {
    const { hash } = location, isPlace = hash && !hash.includes("="); // in the page
    if (isPlace || hash === address) return;
    open();
    byId("run").focus({ preventScroll: true });
  });
  addEventListener("resize", () => trainings.forEach((training) => training.draw()));
  open();
}

// ---------------------------------------------------------------- a network at work

// A network that is fed at random, by hand, typed: the first one, until another one is used.
function showEcho(section, first) {
  const table = byId("values"), tape = section.querySelector(".tape");
  let network, stream;
  const draw = () => {
    const { lag, values } = network, { answer, truth, right } = stream.moments.at(-1);
    showAnswers(tape, stream);
    while (tape.scrollWidth > tape.clientWidth && tape.children.length > 1) tape.firstChild.remove();
    byId("said").textContent = answer ? values[answer.token] : "…";
    byId("said").className = `big ${right === null ? "" : right ? "hit" : "miss"}`;
    byId("truth").textContent = truth === null ? "?" : values[truth];
    byId("mark").textContent = right === null ? "" : right ? "✓ right" : "✗ wrong";
    byId("score").textContent = `${stream.right} of ${stream.asked} right`;
    [...table.children].forEach((cell, token) => {
      cell.classList.toggle("lit", token === answer?.token);
      cell.classList.toggle("true", token === truth);
      cell.style.setProperty("--share", answer ? answer.probabilities[token] : 0);
    });
    byId("changes").hidden = lag < 0;
    if (lag >= 0) drawChanges(byId("states"), network, stream.waiting());
  };
  const feed = (tokens) => {
    tokens.forEach((token) => stream.feed(token));
    draw();
  };
  const play = player(section, () => feed([random(network)]), byId("answer"));
  const use = (other) => {
    network = other;
    const { values, name } = network;
    byId("at-work").textContent = name;
    table.replaceChildren(...values.map((value, token) => {
      const cell = make("button", { type: "button", class: "value", title: value }, value);
      cell.addEventListener("click", () => { play(false); feed([token]); });
      return cell;
    }));
    stopAt(table.firstChild);
    stream = new Stream(network, Array.from({ length: 24 }, () => random(network)));
    draw();
  };
  byId("typing").addEventListener("submit", (event) => {
    const { values } = network, text = byId("typed").value, word = text.trim();
    const words = values.includes(word) ? [word]
      : values.includes(SPACE) ? [...text.replace(/\s+/g, SPACE)] // a text, of characters
        : text.split(/[\s,]+/).filter(Boolean);
    const unknown = words.find((each) => !values.includes(each));
    const refusal = unknown !== undefined
      ? `“${unknown.slice(0, 40)}” is none of the ${values.length} values.`
      : words.length > MOST_TYPED ? `Type at most ${MOST_TYPED.toLocaleString("en")} at once.` : "";
    event.preventDefault();
    play(false);
    byId("message").textContent = refusal;
    if (refusal) return;
    byId("typed").value = "";
    feed(words.map((each) => values.indexOf(each)));
  });
  addEventListener("resize", draw);
  use(first);
  return { use, play, get stream() { return stream; } };
}

// ---------------------------------------------------------------- start

const isRun = !data.training;
document.body.className = isRun ? "run" : "";
for (const name of ["title", "lede", "explanation"]) byId(name).textContent = data[name] ?? "";
byId("rows").hidden = !data.task;
if (data.task) showRows(data.task, data.grid);
const echo = showEcho(byId("echo"), given);
if (isRun) {
  byId("title").parentElement.after(byId("echo"));
  echo.play(!still.matches);
} else {
  showTraining(byId("train"), (network) => {
    echo.use(network);
    byId("echo").scrollIntoView();
  });
}
