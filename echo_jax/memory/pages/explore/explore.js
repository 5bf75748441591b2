// The curves of memory cards over each other. The data of the page has the cards: for each question
// and number of updates the curve of every seed, and its bits.

const HEIGHT = 420;
const USUAL = ["LSTM", "LRU", "GRU", "tanh RNN", "Mamba-2", "DeltaNet",
  "register", "present input"]; // shown until others are chosen
const area = { left: 46, right: 0, top: 28, bottom: HEIGHT - 40 }; // of the figure, in pixels
const QUESTIONS = { // `at` is the place of a point on the x axis, `scale` that of the axis
  lag: { ...data.questions.lag, at: (n) => n + 1, scale: (x) => x, xTicks: [1, 16, 32, 48, 64],
    yTicks: [0, 1, 2, 3, 4], say: String },
  key: { ...data.questions.key, at: (n) => data.pairs[n], scale: Math.log,
    xTicks: [1, 2, 4, 8, 16, 32, 64], yTicks: [0, 0.25, 0.5, 0.75, 1], say: (y) => `${100 * y}%` },
};

const number = (value) => Number(value).toLocaleString("en", { maximumFractionDigits: 0 });
const digits = (value) => String(Number(Math.abs(value) < 1 ? value.toFixed(2) : value.toPrecision(3)));
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const meanCurve = (curves) => curves[0].map((_, n) => mean(curves.map((curve) => curve[n])));
const distinct = (values) => [...new Set(values)];

// Each cell has its colour, in all networks; the hues of neighbours in this list are far apart.
const colourOf = (n) => `oklch(var(--light${n % 2}) 0.14 ${Math.round(n * 137.5) % 360})`;
const everyCell = distinct([...USUAL, ...data.cards.map(({ cell }) => cell)]);
for (const card of data.cards) {
  card.colour = card.anchor ? "var(--quiet)" : colourOf(everyCell.indexOf(card.cell));
}

// ---------------------------------------------------------------- the choice, kept in the address

let choice; // network, question, updates, cells, picture and so on, as in the address

function open() {
  const fields = new URLSearchParams(location.hash.slice(1)), cells = fields.getAll("cells");
  choice = Object.fromEntries(fields);
  // One field has a list in older links, unless it is a name that has a comma.
  const isName = (text) => everyCell.includes(text);
  choice.cells = cells.length ? cells.flatMap((x) => isName(x) ? x : x.split(",")) : undefined;
  draw();
  drawPicture();
  keepAddress();
}

function keepAddress() {
  const kept = Object.entries(choice).filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
}

const ofNetwork = () => data.cards.filter((card) => card.kind === choice.network);
const asked = () => ofNetwork().filter((card) => card[choice.question]);
const budgets = () => distinct(asked().flatMap((card) => Object.keys(card[choice.question])))
  .sort((a, b) => a - b);

// The chosen cards of the network. Cells that it does not have stay chosen for the others.
function chosen() {
  const all = ofNetwork(), usual = all.filter(({ cell }) => USUAL.includes(cell));
  if (choice.cells) return all.filter(({ cell }) => choice.cells.includes(cell));
  return all.length > USUAL.length && usual.length ? usual : all.slice(0, USUAL.length);
}

function toggle(cell) {
  const cells = choice.cells ?? chosen().map((card) => card.cell);
  const kept = cells.filter((each) => each && each !== cell);
  choice.cells = cells.includes(cell) ? kept : [...kept, cell];
  if (!choice.cells.length) choice.cells = [""]; // none, which is not the usual ones
}

// The cards that have what is asked, those with most bits first.
function measured() {
  return asked().filter((card) => card[choice.question][choice.updates])
    .map((card) => ({ ...card, ...card[choice.question][choice.updates] }))
    .map((card) => ({ ...card, mean: mean(card.bits), curve: meanCurve(card.curves) }))
    .map((card) => ({ ...card, said: `${card.bound ? "≥" : ""}${digits(card.mean)}` }))
    .sort((a, b) => b.mean - a.mean);
}

// ---------------------------------------------------------------- the figure

// From numbers on the axes to pixels, and from a curve to its path.
function scales(cards) {
  const { left, right, top, bottom } = area, { at, scale, yTicks } = QUESTIONS[choice.question];
  const first = at(0), last = at(Math.max(...cards.map(({ curve }) => curve.length)) - 1);
  const share = (value) => (scale(value) - scale(first)) / (scale(last) - scale(first));
  const x = (value) => left + share(value) * (right - left);
  const y = (value) => bottom - value / yTicks.at(-1) * (bottom - top);
  const path = (curve) => lineThrough(curve.map((value, n) => [x(at(n)), y(value)]));
  return { x, y, first, last, path };
}

// Points of a curve where its name may stand: where it falls below half of the axis, then at other
// heights, then from its end on, in pixels.
function spots(curve, { x, y }) {
  const { at, yTicks } = QUESTIONS[choice.question], most = yTicks.at(-1), end = curve.length - 1;
  const falls = [0.5, 0.6, 0.4, 0.7, 0.3, 0.8, 0.2].flatMap((share) => {
    const level = share * most;
    const n = curve.findLastIndex((value) => value >= level);
    if (n < 0 || n === end) return [];
    const part = (curve[n] - level) / (curve[n] - curve[n + 1]);
    return [[x(at(n) + part * (at(n + 1) - at(n))) + 6, y(level)]];
  });
  const ends = curve.map((_, n) => [x(at(end - n)), y(curve[end - n]) - 14]);
  return [...falls, ...ends];
}

// Put each name at the first spot of its curve that has room within the figure and beside others.
function placeNames(names) {
  const taken = [];
  for (const { text, at } of names) {
    const width = text.getComputedTextLength();
    const boxes = at.map(([x, y]) =>
      ({ width, x: Math.min(x, area.right - width), y: Math.min(y, area.bottom - 8) }));
    const isFree = (box) => taken.every((other) => Math.abs(other.y - box.y) > 15
      || other.x > box.x + width + 4 || box.x > other.x + other.width + 4);
    const box = boxes.find(isFree) ?? boxes[0];
    taken.push(box);
    text.setAttribute("x", box.x);
    text.setAttribute("y", box.y + 4);
  }
}

function drawAxes({ x, y, first, last }) {
  const { left, right, bottom } = area, { xTicks, yTicks, say, label } = QUESTIONS[choice.question];
  const add = (tag, attributes, text) => byId("chart").append(make(tag, attributes, text));
  for (const tick of yTicks) {
    add("line", { x1: left, x2: right, y1: y(tick), y2: y(tick) });
    add("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, say(tick));
  }
  for (const tick of xTicks.filter((each) => first <= each && each <= last)) {
    add("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, tick);
  }
  add("text", { x: (left + right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, label);
}

let toNow = null; // from steps back to pixels, where the curves are by lag

// Where the picture begins on the curves: its newest pixel was read so many steps ago.
function drawNow() {
  byId("now")?.remove();
  if (!toNow || !data.picture || choice.asked !== "order") return;
  const x = toNow(time() + 1), group = make("g", { id: "now" });
  group.append(make("line", { x1: x, x2: x, y1: area.top, y2: area.bottom }),
    make("text", { x, y: area.top - 12 }, `the picture at time ${time()} →`));
  byId("chart").append(group);
}

// The mean curve of each card, with its name; a card that is pointed at shows those of its seeds.
function drawChart(cards) {
  const chart = byId("chart"), { title } = QUESTIONS[choice.question];
  const width = Math.max(chart.clientWidth, 200);
  chart.replaceChildren();
  toNow = null;
  byId("chart-title").textContent = title;
  if (!cards.length) return;
  area.right = width - 8;
  const { path, ...axes } = scales(cards);
  drawAxes(axes);
  const names = cards.map(({ cell, said, curve, curves, anchor, colour }) => {
    const group = make("g", { "data-cell": cell, style: `--colour: ${colour}` });
    const text = make("text", { class: "name" }, `${cell} ${said}`);
    group.append(...curves.map((seed) => make("path", { d: path(seed), class: "seed" })));
    group.append(make("path", { d: path(curve), class: "wide" })); // easy to point at
    group.append(make("path", { d: path(curve), class: anchor ? "anchor" : "" }), text);
    chart.append(group);
    return { text, at: spots(curve, axes) };
  });
  placeNames(names);
  if (choice.question === "lag") toNow = axes.x;
  drawNow();
  if (choice.question === "lag") return;
  const list = data.list.slice(0, Math.max(...cards.map(({ curve }) => curve.length)));
  chart.append(make("path", { d: path(list), class: "anchor" }));
}

// ---------------------------------------------------------------- the choices and the table

function input(type, name, value, isChecked) {
  return make("input", { type, name, value, ...(isChecked && { checked: "" }) });
}

// The buttons of a choice. One that is not among the options becomes the usual or the first one.
function drawRadios(name, options, usual, say) {
  if (!options.includes(choice[name])) choice[name] = options.includes(usual) ? usual : options[0];
  byId(name).replaceChildren(...options.map((value) => {
    const label = make("label");
    label.append(input("radio", name, value, value === choice[name]), say(value));
    return label;
  }));
}

function drawBoxes() {
  const cells = chosen(), all = ofNetwork().sort((a, b) => a.cell.localeCompare(b.cell));
  byId("counted").textContent = `Cells: ${cells.length} of ${all.length}, choose others`;
  byId("chosen").replaceChildren(...all.map((card) => {
    const label = make("label");
    label.append(input("checkbox", "cells", card.cell, cells.includes(card)), card.cell);
    return label;
  }));
}

function drawTable(cards) {
  byId("cells").replaceChildren(...cards.map(({ cell, page, bits, said, state, parameters }) => {
    const row = make("tr"), name = make("td");
    const range = `(${digits(Math.min(...bits))} to ${digits(Math.max(...bits))})`;
    name.append(make("a", { href: page }, cell));
    row.append(name, ...[`${said} ${range}`, state, number(parameters)]
      .map((text) => make("td", {}, text)));
    return row;
  }));
}

function draw() {
  const { name, value } = document.activeElement; // the button that was pressed, which is made anew
  const questions = Object.keys(QUESTIONS).filter((each) => data.cards.some((card) => card[each]));
  drawRadios("question", questions, "lag", (question) => QUESTIONS[question].name);
  const ofQuestion = data.cards.filter((card) => card[choice.question]);
  drawRadios("network", distinct(ofQuestion.map(({ kind }) => kind)), "", String);
  drawRadios("updates", budgets(), String(data.updates), number);
  const cards = measured(), cells = chosen().map(({ cell }) => cell);
  drawBoxes();
  drawChart(cards.filter(({ cell }) => cells.includes(cell)));
  drawTable(cards);
  const named = [...document.querySelectorAll(`input[name="${name}"]`)];
  named.find((each) => each.value === value)?.focus();
}

byId("choices").addEventListener("change", ({ target: { name, value } }) => {
  if (name === "cells") toggle(value);
  else choice[name] = value;
  draw();
  drawPicture();
  keepAddress();
});
addEventListener("hashchange", open);
addEventListener("resize", draw);
byId("title").textContent = data.title;
byId("table").open = innerWidth > 600;
open();
