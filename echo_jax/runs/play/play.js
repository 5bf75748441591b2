"use strict";
// A trained LSTM in a page. The data of the page has its weights, its task, and what was measured.

// ---------------------------------------------------------------- the network

const SPACE = "␣"; // how a space is shown
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const floats = (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};

class Network {
  constructor(data) {
    Object.assign(this, data);
    this.values = data.values.map((value) => (value === " " ? SPACE : value));
    this.weights = {};
    for (const [name, text] of Object.entries(data.weights)) this.weights[name] = floats(text);
  }

  zero() {
    return { c: new Float64Array(this.units), h: new Float64Array(this.units) };
  }

  // One step, as in echo_jax/cells/vector_state/lstm.py, with the gates i f g o side by side:
  //   z = x W + b + h U      c' = sigmoid(f) c + sigmoid(i) tanh(g)      h' = sigmoid(o) tanh(c')
  step({ c, h }, token) {
    const units = this.units, gates = 4 * units;
    const { kernel, recurrent, bias } = this.weights;
    const z = Float64Array.from(bias, (b, k) => b + kernel[token * gates + k]);
    for (let j = 0; j < units; j++) {
      for (let k = 0; k < gates; k++) z[k] += h[j] * recurrent[j * gates + k];
    }
    const next = this.zero();
    for (let u = 0; u < units; u++) {
      const [i, f, g, o] = [0, 1, 2, 3].map((gate) => z[gate * units + u]);
      next.c[u] = sigmoid(f) * c[u] + sigmoid(i) * Math.tanh(g);
      next.h[u] = sigmoid(o) * Math.tanh(next.c[u]);
    }
    return next;
  }

  // The probabilities of all values: the softmax of a dense layer on h.
  probabilities(h) {
    const { readout, readoutBias } = this.weights, size = readoutBias.length;
    const logits = Float64Array.from(readoutBias);
    h.forEach((value, j) => logits.forEach((_, v) => { logits[v] += value * readout[j * size + v]; }));
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  // Before the first token. A lane is the state of one of the last rows; the oldest comes first.
  start() {
    const lanes = this.layout === "streams" || !this.stateful ? 1 : this.batch;
    return { seen: 0, window: [], lanes: Array.from({ length: lanes }, () => this.zero()) };
  }

  // The next token, as in echo_jax/core/online.py: the state after it, the steps, the answer.
  feed({ seen, window, lanes }, token) {
    const streams = this.layout === "streams";
    const full = this.layout === "windows" ? this.window - 1 : 0;
    const exists = seen >= Math.max(full, this.lag);
    window = [...window, token].slice(-this.window);
    let row = streams ? [token] : window;
    if (this.missing === "token") {
      row = [...Array(this.window - row.length).fill(this.values.length), ...row];
    }
    const goesOn = this.stateful || (streams && seen % this.window !== 0);
    let state = goesOn ? lanes[0] : this.zero();
    const steps = [];
    for (const input of streams || exists ? row : []) {
      state = this.step(state, input);
      steps.push({ token: input, c: state.c, h: state.h });
    }
    const next = { seen: seen + 1, window, lanes: [...lanes.slice(1), state] };
    if (!exists) return { state: next, steps, answer: null };
    const probabilities = this.probabilities(state.h);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { state: next, steps, answer: { token: best, probabilities } };
  }
}

// A network and what it was fed: the last tokens, and for each the steps and the answer.
class Stream {
  constructor(network) {
    this.network = network;
    this.state = network.start();
    this.moments = [];
    this.right = this.asked = 0;
  }

  feed(token) {
    const before = this.state, { lag } = this.network;
    const { state, steps, answer } = this.network.feed(before, token);
    const asked = lag > 0 ? this.moments.at(-lag) : lag === 0 ? { token } : undefined;
    const truth = asked ? asked.token : null;
    const moment = { token, before, steps, answer, truth };
    this.state = state;
    this.moments = [...this.moments, moment].slice(-Math.max(64, lag + 1));
    if (answer && truth !== null) {
      this.asked += 1;
      this.right += Number(answer.token === truth);
    }
  }

  // How much each unit of each step moves if the value asked for is another one: a standard
  // deviation over other values. Steps before the value cannot move.
  waiting(others = 16) {
    const { lag, values } = this.network, since = this.moments.length - 1 - lag;
    const still = (moment) => moment.steps.map(({ token, c, h }) =>
      ({ token, c: c.map(() => 0), h: h.map(() => 0) }));
    if (lag < 0 || since < 0) return this.moments.map(still);
    const stride = Math.max(1, Math.floor(values.length / others)), runs = [];
    for (let other = 0; other < values.length && runs.length < others; other += stride) {
      let { before: state } = this.moments[since];
      runs.push(this.moments.slice(since).map(({ token }, place) => {
        const fed = this.network.feed(state, place ? token : other);
        state = fed.state;
        return fed.steps;
      }));
    }
    const spread = (row, column, kind) => runs[0][row][column][kind].map((_, unit) => {
      const moved = runs.map((run) => run[row][column][kind][unit]);
      const mean = moved.reduce((a, b) => a + b) / moved.length;
      return Math.sqrt(moved.reduce((sum, x) => sum + (x - mean) ** 2, 0) / moved.length);
    });
    return this.moments.map((moment, place) => place < since ? still(moment)
      : moment.steps.map(({ token }, column) => ({
        token, c: spread(place - since, column, "c"), h: spread(place - since, column, "h"),
      })));
  }
}

// ---------------------------------------------------------------- the page

const data = JSON.parse(document.getElementById("data").textContent);
const networks = data.networks.map((network) => new Network(network));
const byId = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const random = (network) => Math.floor(Math.random() * network.values.length);

function make(tag, attributes = {}, text = null) {
  const svg = ["svg", "g", "rect", "text", "line", "path"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// A button that starts and stops a clock, which stands still in a hidden tab. A screen reader speaks
// what changes while it stands still.
function clock(button, spoken, tick, milliseconds) {
  let timer = null;
  const set = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(() => document.hidden || tick(), milliseconds) : null;
    button.textContent = on ? "Pause" : "Play";
    spoken.setAttribute("aria-live", on ? "off" : "polite");
  };
  button.addEventListener("click", () => set(timer === null));
  set(false);
  return { set, toggle: () => set(timer === null) };
}

// Show numbers on a tape, as many of the last as there is room for.
function fill(tape, numbers) {
  tape.replaceChildren(...numbers);
  while (tape.scrollWidth > tape.clientWidth && tape.children.length > 1) tape.firstChild.remove();
}

// ---------------------------------------------------------------- the strip of states

function drawStrip(canvas, network, rows, answers) {
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name);
  const width = canvas.parentElement.clientWidth, left = 20, gap = network.layout === "streams" ? 0 : 8;
  const steps = Math.max(1, ...rows.map((row) => row.length));
  const pen = canvas.getContext("2d"), font = `13px ${style.fontFamily}`;
  pen.font = font;
  const longest = Math.max(...network.values.map((value) => pen.measureText(value).width));
  const least = Math.max(14, Math.min(24, longest + 5));
  const fitting = Math.floor((width - left) / (steps * least + gap));
  const count = Math.max(1, Math.min(fitting, network.layout === "streams" ? 40 : 12));
  const cell = ((width - left) / count - gap) / steps;
  const tall = Math.min(10, Math.max(1, 132 / network.units)), map = tall * network.units;
  const height = 22 + map + 10 + map + 26, sharp = devicePixelRatio || 1;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  canvas.style.height = `${height}px`;
  pen.scale(sharp, sharp);
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  pen.font = font;
  const write = (text, x, y, room, ink) => {
    pen.globalAlpha = 1;
    pen.fillStyle = colour(ink);
    if (pen.measureText(text).width <= room) pen.fillText(text, x, y);
  };
  const shown = rows.slice(-count), tops = { c: 22, h: 22 + map + 10 };
  const largest = Math.max(1e-9, ...shown.flat().flatMap(({ c, h }) => [...c, ...h].map(Math.abs)));
  write("c", 8, tops.c + map / 2, left, "--quiet");
  write("h", 8, tops.h + map / 2, left, "--quiet");
  shown.forEach((row, group) => {
    const x0 = left + gap + group * (steps * cell + gap) + (steps - row.length) * cell;
    row.forEach((step, column) => {
      const x = x0 + column * cell, value = network.values[step.token] ?? "–";
      const back = shown.length - 1 - group + row.length - 1 - column;
      pen.globalAlpha = 1;
      pen.fillStyle = colour("--asked");
      if (back === network.lag) pen.fillRect(x, 0, cell, 20);
      write(value, x + cell / 2, 10, cell, "--ink");
      for (const kind of ["c", "h"]) {
        pen.globalAlpha = 1;
        pen.fillStyle = colour("--empty");
        pen.fillRect(x, tops[kind], cell + 0.5, map);
        step[kind].forEach((amount, unit) => {
          pen.globalAlpha = Math.min(1, Math.abs(amount) / largest) ** 0.8;
          pen.fillStyle = colour(amount < 0 ? "--minus" : "--plus");
          pen.fillRect(x, tops[kind] + unit * tall, cell + 0.5, tall);
        });
      }
    });
    const { answer, truth } = answers.at(group - shown.length);
    if (!answer) return;
    const right = answer.token === truth, words = network.values[answer.token];
    write(`${words} ${truth === null ? "" : right ? "✓" : "✗"}`, x0 + row.length * cell / 2,
      height - 10, steps * cell + gap, right ? "--right" : "--wrong");
  });
}

// ---------------------------------------------------------------- 1. the echo

function showEcho(network) {
  const stream = new Stream(network), { lag, values } = network;
  const table = byId("values"), waits = byId("waits");
  table.style.setProperty("--longest", Math.max(...values.map((value) => [...value].length)));
  table.className = values.every((value) => value.length <= 2) ? "digits" : "";
  values.forEach((value) => table.append(make("span", { class: "value", title: value }, value)));
  waits.hidden = lag < 0;
  waits.setAttribute("aria-pressed", String(lag >= 0));

  const draw = () => {
    const moment = stream.moments.at(-1), { answer, truth } = moment;
    const last = stream.moments.length - 1;
    const numbers = stream.moments.map(({ token }, place) => {
      const kinds = ["number", place > last - network.window && "inside",
        place === last - lag && "asked", place === last && "new"];
      return make("li", { class: kinds.filter(Boolean).join(" ") }, values[token]);
    });
    fill(byId("tape"), numbers.slice(-25));
    const right = answer && answer.token === truth;
    byId("said").textContent = answer ? values[answer.token] : "…";
    byId("said").className = `big ${!answer || truth === null ? "" : right ? "right" : "wrong"}`;
    byId("truth").textContent = truth === null ? "?" : values[truth];
    byId("mark").textContent = !answer || truth === null ? "" : right ? "✓ right" : "✗ wrong";
    byId("sure").textContent = answer ? `${percent(answer.probabilities[answer.token])} sure` : "";
    byId("score").textContent = `${stream.right} of ${stream.asked} right`;
    [...table.children].forEach((cell, token) => {
      cell.classList.toggle("lit", Boolean(answer) && token === answer.token);
      cell.classList.toggle("true", token === truth);
      cell.style.setProperty("--share", answer ? answer.probabilities[token] : 0);
    });
    drawStates();
  };
  const drawStates = () => {
    const only = waits.getAttribute("aria-pressed") === "true";
    const rows = only ? stream.waiting() : stream.moments.map(({ steps }) => steps);
    drawStrip(byId("states"), network, rows, stream.moments);
    byId("states").setAttribute("aria-label", `States of ${network.units} units, a column a step.`);
    byId("legend").textContent = only
      ? "Where it waits: the units of c and h that would differ if that value had been another."
      : `c and h of all ${network.units} units, blue below zero. A column is one step`
        + (network.layout === "streams" ? "." : ", a block is one window with its answer.");
  };
  const next = () => { stream.feed(random(network)); draw(); };
  const player = clock(byId("play"), byId("answer"), next, 1300);
  const feedTyped = (event) => {
    event.preventDefault();
    player.set(false);
    const text = byId("typed").value, word = text.trim();
    const words = values.includes(word) ? [word]
      : values.includes(SPACE) ? [...text.replace(/\s+/g, SPACE)] // a text, of characters
        : text.split(/[\s,]+/).filter(Boolean);
    const unknown = words.find((word) => !values.includes(word));
    byId("message").textContent = unknown === undefined ? ""
      : `“${unknown.slice(0, 40)}” is none of the ${values.length} values.`;
    if (unknown !== undefined) return;
    words.forEach((word) => stream.feed(values.indexOf(word)));
    byId("typed").value = "";
    draw();
  };
  byId("next").addEventListener("click", () => { player.set(false); next(); });
  byId("typing").addEventListener("submit", feedTyped);
  waits.addEventListener("click", () => {
    waits.setAttribute("aria-pressed", String(waits.getAttribute("aria-pressed") !== "true"));
    drawStates();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, button, a, summary") || event.ctrlKey || event.metaKey) return;
    if (event.key === " ") player.toggle();
    else if (event.key === "ArrowRight") { player.set(false); next(); }
    else return;
    event.preventDefault();
  });
  new ResizeObserver(drawStates).observe(byId("states").parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawStates);
  for (let token = 0; token < 24; token++) stream.feed(random(network));
  draw();
  player.set(!still.matches);
  return { stream, draw, player };
}

// ---------------------------------------------------------------- 2. which row continues which

// Where a row can find x(t-n), in the words of echo_jax/core/target_place.py.
function placeOf({ length, window, batch, lag, stateful, through }) {
  if (lag < window) return "window";
  const back = Math.ceil((lag - window + 1) / batch);
  if (!stateful) return "zeroed";
  if (back * batch > lag) return "skipped";
  const batches = Math.floor((length - lag) / batch); // of a sequence
  if (back >= batches) return "early";
  return back < through ? "replayed" : "state";
}

function drawRows(svg, setting, tokens) {
  const { window, batch, lag, stateful } = setting;
  const cell = 20, high = 30, column = 362 - 12 - (window * cell + 44);
  const first = Math.max(window - 1, lag), picked = batch;
  svg.setAttribute("viewBox", `0 0 362 ${46 + batch * high}`);
  svg.replaceChildren();
  const add = (tag, attributes, text) => svg.append(make(tag, attributes, text));
  const middle = (row) => 52 + (row % batch) * high;
  const ends = 8 + window * cell + 36;
  ["one batch", "the next"].forEach((words, side) =>
    add("text", { x: 8 + side * column, y: 20, class: "heading" }, words));
  add("line", { x1: (ends + column + 8) / 2, x2: (ends + column + 8) / 2, y1: 30,
    y2: 46 + batch * high, class: "border" });
  for (let row = 0; row < 2 * batch; row++) {
    const x = 8 + (row < batch ? 0 : column), y = middle(row), end = first + row;
    if (row === picked) {
      add("rect", { x: x - 6, y: y - 14, width: window * cell + 50, height: 28, class: "picked" });
    }
    for (let step = 0; step < window; step++) {
      const time = end - window + 1 + step;
      const holds = time === first + picked - lag && (row < picked || row === picked);
      add("rect", { x: x + step * cell, y: y - 11, width: cell, height: 22,
        class: holds ? "holds" : "cell" });
      add("text", { x: x + (step + 0.5) * cell, y: y + 5, class: "centre" }, tokens[time]);
    }
    add("text", { x: x + window * cell + 6, y: y + 5, class: "target" },
      row === picked ? `→ ${tokens[end - lag]}?` : `→ ${tokens[end - lag]}`);
  }
  for (let row = 0; stateful && row < batch; row++) {
    const y = middle(row), to = column + (row ? 6 : 0);
    add("path", { d: `M${ends} ${y}H${to}m-6 -4l6 4l-6 4`, class: row ? "state" : "state bold" });
  }
  if (lag >= window && batch > lag) { // the row before has the value, in another lane
    const from = middle(batch - lag), to = middle(picked) + 7;
    add("path", { d: `M${ends} ${from}L${column} ${to}`, class: "expected" });
    const x = ends + 0.3 * (column - ends), y = from + 0.3 * (to - from);
    add("path", { d: `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`, class: "cross" });
  }
}

function showRows(network, grid) {
  const tokens = Array.from({ length: 40 }, (_, t) => (7 * t + 2) % 10);
  const window = byId("window"), batch = byId("batch");
  const { length, lag, stateful, through, chance } = network;
  window.max = Math.max(5, network.window);
  batch.max = Math.max(6, network.batch, Math.min(lag + 1, 8));
  const measuredAt = (w, b) => grid.find((point) => point.window === w && point.batch === b);
  const words = {
    window: "In the window. The row reads the value itself, so it can learn to repeat it.",
    replayed: "In the state, and the gradient reaches it there.",
    state: "In the state, but no gradient rewards a row for what the next one is asked for.",
    skipped: "Nowhere. The row continues the row beside it, which never saw the value.",
    early: "Nowhere. The value came before the first row of the sequence.",
    zeroed: "Nowhere. Every batch starts from a zero state.",
  };
  const draw = () => {
    const setting = { length, window: +window.value, batch: +batch.value, lag, stateful, through };
    const place = placeOf(setting);
    const point = measuredAt(setting.window, setting.batch);
    byId("window-is").textContent = window.value;
    byId("batch-is").textContent = batch.value;
    drawRows(byId("rows-figure"), setting, tokens);
    byId("place").className = place;
    byId("place").textContent = words[place];
    byId("measured").textContent = point ? percent(point.accuracy) : "not measured";
    byId("measured-how").textContent = point
      ? `right, ${point.seeds > 1 ? `median of ${point.seeds} seeds` : "one seed"}; `
        + `chance ${percent(chance)}` : "";
    for (const cell of map.querySelectorAll("button")) {
      const here = cell.dataset.at === `${setting.window},${setting.batch}`;
      cell.setAttribute("aria-pressed", String(here));
    }
  };
  const map = byId("map"), windows = [...new Set(grid.map((point) => point.window))].sort((a, b) => a - b);
  const batches = [...new Set(grid.map((point) => point.batch))].sort((a, b) => a - b);
  const rows = [["window", ...windows]];
  rows.push(...batches.map((b) => [`batch ${b}`, ...windows]));
  rows.forEach((row, r) => row.forEach((value, c) => {
    const point = r && c ? measuredAt(value, batches[r - 1]) : null;
    if (!point) return map.append(make("span", {}, r && c ? "–" : value));
    const cell = make("button", { type: "button", "data-at": `${value},${batches[r - 1]}`,
      "aria-label": `window ${value}, batch size ${batches[r - 1]}: ${percent(point.accuracy)}` },
    `${Math.round(100 * point.accuracy)}`);
    cell.style.setProperty("--share", point.accuracy);
    cell.addEventListener("click", () => {
      [window.value, batch.value] = [point.window, point.batch];
      draw();
    });
    return map.append(cell);
  }));
  map.style.setProperty("--columns", windows.length);
  byId("map-box").hidden = grid.length < 2;
  [window.value, batch.value] = [network.window, network.batch];
  [window, batch].forEach((slider) => slider.addEventListener("input", draw));
  draw();
}

// ---------------------------------------------------------------- 3. part 3 beside part 4

function showPair(left, right) {
  const tokens = Array.from({ length: 48 }, () => random(right));
  const network = { left: left[0], right };
  const draw = (side) => {
    const stream = new Stream(network[side]), panel = byId(side);
    tokens.forEach((token) => stream.feed(token));
    const recent = stream.moments.filter(({ answer }) => answer).slice(-40);
    const hits = recent.filter(({ answer, truth }) => answer.token === truth).length;
    panel.querySelector("h3").textContent = network[side].name;
    panel.querySelector(".hits").textContent = `${hits} of the last ${recent.length} right`;
    panel.querySelector(".fresh").textContent =
      `${percent(network[side].accuracy)} on 1,000 fresh sequences; `
      + `chance 10.0%, ceiling ${percent(network[side].ceiling)}`;
    panel.querySelector("code").textContent = network[side].command;
    panel.querySelector(".answers").replaceChildren(...recent.map(({ answer, truth }) =>
      make("span", { class: answer.token === truth ? "hit" : "miss" }, network[side].values[answer.token])));
  };
  const drawBoth = () => {
    const kinds = { 8: "new", 7: "asked" };
    fill(byId("pair-tape"), tokens.slice(-9).map((token, place) =>
      make("li", { class: `number ${kinds[place] ?? ""}` }, right.values[token])));
    draw("left");
    draw("right");
  };
  const next = () => {
    tokens.push(random(right));
    tokens.shift();
    drawBoth();
  };
  const player = clock(byId("pair-play"), byId("left").querySelector(".hits"), next, 1300);
  byId("pair-next").addEventListener("click", () => { player.set(false); next(); });
  left.forEach((choice, place) => {
    const button = make("button", { type: "button", "aria-pressed": String(!place) }, choice.button);
    button.addEventListener("click", () => {
      network.left = choice;
      [...byId("cures").children].forEach((other) =>
        other.setAttribute("aria-pressed", String(other === button)));
      draw("left");
    });
    byId("cures").append(button);
  });
  drawBoth();
}

// ---------------------------------------------------------------- start

document.body.classList.toggle("embed", location.hash === "#embed");
byId("title").textContent = data.title;
byId("lede").textContent = data.lede;
const echo = showEcho(networks[0]);
const task = data.grid_task ?? networks[0];
byId("rows").hidden = !data.rows;
if (data.rows) showRows(task, data.grid);
byId("pair").hidden = !data.pair;
if (data.pair) showPair(data.pair.left.map((place) => networks[place]), networks[data.pair.right]);
