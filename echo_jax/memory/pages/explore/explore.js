"use strict";
// The curves of memory cards over each other. The data of the page has the cards: for each question
// and number of updates the curve of every seed, and its bits.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const COLOURS = 8, HEIGHT = 420;
const area = { left: 46, right: 0, top: 12, bottom: HEIGHT - 40 }; // of the figure, in pixels
const QUESTIONS = {
  lag: { label: "by lag", title: "Bits about the token, by how many steps ago it came",
    x: "steps back", y: (value) => String(value), ticks: [0, 1, 2, 3, 4] },
  key: { label: "by key", title: "Values recalled by their keys, by the number of pairs",
    x: "pairs of a key and a value", y: (value) => `${100 * value}%`, ticks: [0, 0.25, 0.5, 0.75, 1] },
};

const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 0 });
const digits = (value) => (Math.abs(value) < 9.995 ? value.toFixed(2) : Math.abs(value) < 99.95
  ? value.toFixed(1) : number(value)).replace(/\.?0+$/, (end) => (end[0] === "." ? "" : end));
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const meanCurve = (curves) => curves[0].map((_, place) => mean(curves.map((curve) => curve[place])));

function make(tag, attributes = {}, text = null) {
  const svg = ["g", "path", "text", "line", "rect"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

// ---------------------------------------------------------------- the choice, kept in the address

const kinds = [...new Set(data.cards.map((card) => card.kind))];
const choice = { question: "lag", kind: kinds[0], updates: data.updates, cells: null };

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (QUESTIONS[given.get("question")]) choice.question = given.get("question");
  if (kinds.includes(given.get("network"))) choice.kind = given.get("network");
  if (Number(given.get("updates"))) choice.updates = Number(given.get("updates"));
  choice.cells = given.has("cells") ? given.get("cells").split(",") : null;
}

function writeAddress() {
  const { question, kind, updates, cells } = choice;
  const fields = { question, network: kind, updates, ...(cells && { cells: cells.join(",") }) };
  history.replaceState(null, "", `#${new URLSearchParams(fields)}`);
}

const ofKind = () => data.cards.filter((card) => card.kind === choice.kind && card[choice.question]);
const budgets = () => [...new Set(ofKind().flatMap((card) =>
  Object.keys(card[choice.question]).map(Number)))].sort((a, b) => a - b);

// The cards that have what is asked, those with most bits first.
function measured() {
  return ofKind().filter((card) => card[choice.question][choice.updates])
    .map((card) => ({ ...card, ...card[choice.question][choice.updates] }))
    .map((card) => ({ ...card, mean: mean(card.bits), curve: meanCurve(card.curves) }))
    .sort((a, b) => b.mean - a.mean);
}

// Without a choice: every third cell from the top, and the lines that all are compared with.
function shown(cards) {
  if (choice.cells) return cards.filter((card) => choice.cells.includes(card.cell));
  const cells = cards.filter((card) => !card.anchor), step = Math.max(1, Math.round(cells.length / 6));
  return cards.filter((card) => card.anchor || cells.indexOf(card) % step === 0);
}

// ---------------------------------------------------------------- the figure

function scales(cards) {
  const { left, right, top, bottom } = area, question = QUESTIONS[choice.question];
  const most = question.ticks.at(-1), logarithmic = choice.question === "key";
  const xs = choice.question === "lag" ? cards[0].curve.map((_, n) => n + 1) : data.pairs;
  const last = Math.max(...cards.map((card) => xs[card.curve.length - 1]));
  const along = (x) => (logarithmic ? Math.log(x / xs[0]) / Math.log(last / xs[0])
    : (x - xs[0]) / (last - xs[0]));
  const ticks = logarithmic ? xs.filter((x) => x <= last && (x & (x - 1)) === 0) : [1, 16, 32, 48, 64]
    .filter((x) => x <= last);
  return { xs, ticks, x: (x) => left + along(x) * (right - left),
    y: (y) => bottom - (y / most) * (bottom - top) };
}

const path = (curve, { xs, x, y }) =>
  curve.map((value, n) => `${n ? "L" : "M"}${x(xs[n]).toFixed(1)} ${y(value).toFixed(1)}`).join("");

// Places of names, each at least a line apart, in the order of the ends of their curves.
function spread(wanted, step) {
  const order = wanted.map((_, n) => n).sort((a, b) => wanted[a] - wanted[b]);
  const places = order.map((n) => wanted[n]);
  for (let round = 0; round < 100; round++) {
    for (let n = 1; n < places.length; n++) {
      const lacks = Math.max(0, step - (places[n] - places[n - 1])) / 2;
      places[n - 1] -= lacks;
      places[n] += lacks;
    }
    const over = Math.max(0, (places.at(-1) ?? 0) - area.bottom);
    places.forEach((_, n) => { places[n] = Math.max(places[n] - over, area.top + n * step); });
  }
  return wanted.map((_, n) => places[order.indexOf(n)]);
}

function drawChart(cards, colours) {
  const chart = byId("chart"), question = QUESTIONS[choice.question];
  chart.setAttribute("height", HEIGHT);
  area.right = Math.max(chart.clientWidth, 300) - 170;
  chart.replaceChildren();
  byId("chart-title").textContent = question.title;
  if (!cards.length) return;
  const scale = scales(cards), { x, y } = scale;
  for (const tick of question.ticks) {
    chart.append(make("line", { x1: area.left, x2: area.right, y1: y(tick), y2: y(tick), class: "rule" }));
    chart.append(make("text", { x: area.left - 8, y: y(tick) + 4, "text-anchor": "end" }, question.y(tick)));
  }
  for (const tick of scale.ticks) {
    chart.append(make("text", { x: x(tick), y: area.bottom + 18, "text-anchor": "middle" }, tick));
  }
  const middle = (area.left + area.right) / 2;
  chart.append(make("text", { x: middle, y: HEIGHT - 4, "text-anchor": "middle" }, question.x));
  // a name stands beside the end of its curve; by lag, where many end at 0, in the order of bits
  const ends = cards.map((card, n) => (choice.question === "lag"
    ? area.top + 12 + n * 19 : y(card.curve.at(-1))));
  const places = spread(ends, 17);
  cards.forEach((card, n) => {
    const colour = card.anchor ? "var(--quiet)" : colours.get(card.cell);
    const group = make("g", { "data-cell": card.cell });
    const curve = { d: path(card.curve, scale), class: card.anchor ? "curve anchor" : "curve" };
    group.append(make("path", { ...curve, stroke: colour }));
    const words = { x: area.right + 12, y: places[n] + 4, class: "name", style: `fill: ${colour}` };
    group.append(make("text", words, `${card.cell} ${digits(card.mean)}`));
    group.addEventListener("pointerenter", () => point(group, card, colour, scale));
    group.addEventListener("pointerleave", unpoint);
    chart.append(group);
  });
  if (choice.question === "lag") return;
  const list = data.list.slice(0, Math.max(...cards.map((card) => card.curve.length)));
  chart.append(make("path", { d: path(list, scale), class: "curve anchor" }));
}

// The curve of every seed of the cell that is pointed at, and the others faded.
function point(group, card, colour, scale) {
  unpoint();
  for (const other of byId("chart").querySelectorAll("g")) other.classList.toggle("faded", other !== group);
  for (const seed of card.curves) {
    group.prepend(make("path", { d: path(seed, scale), class: "seed", stroke: colour }));
  }
  byId("hovered").textContent = `${card.cell}: ${digits(card.mean)} bits `
    + `${QUESTIONS[choice.question].label}, the seeds ${card.bits.map(digits).join(", ")}.`;
}

function unpoint() {
  for (const seed of byId("chart").querySelectorAll(".seed")) seed.remove();
  for (const group of byId("chart").querySelectorAll("g")) group.classList.remove("faded");
  byId("hovered").textContent = choice.question === "key"
    ? "Dashed without a name: a list of the values, which knows them and not their keys." : "";
}

// ---------------------------------------------------------------- the choices and the table

function drawRadios(id, name, options, label) {
  byId(id).replaceChildren(...options.map((option) => {
    const box = make("label"), input = make("input", { type: "radio", name: id, value: option });
    input.checked = String(choice[name]) === String(option);
    input.addEventListener("change", () => {
      choice[name] = typeof option === "number" ? option : input.value;
      draw();
      byId(id).querySelector("input:checked").focus();
    });
    box.append(input, label(option));
    return box;
  }));
}

function drawTable(cards, inFigure, colours) {
  byId("cells").replaceChildren(...cards.map((card) => {
    const row = make("tr"), first = make("td"), label = make("label");
    const input = make("input", { type: "checkbox", value: card.cell });
    input.checked = inFigure.includes(card);
    input.addEventListener("change", () => {
      const cells = inFigure.map((each) => each.cell).filter((cell) => cell !== card.cell);
      choice.cells = input.checked ? [...cells, card.cell] : cells;
      draw();
      [...byId("cells").querySelectorAll("input")].find((other) => other.value === card.cell).focus();
    });
    const colour = card.anchor ? "var(--quiet)" : colours.get(card.cell);
    label.append(input, make("span", { class: "swatch",
      style: input.checked ? `background: ${colour}` : "" }), card.page
      ? Object.assign(make("a", { href: card.page }, card.cell)) : card.cell);
    first.append(label);
    const range = `${digits(Math.min(...card.bits))} to ${digits(Math.max(...card.bits))}`;
    const bits = `${card.bound ? "≥" : ""}${digits(card.mean)}`;
    row.append(first, ...[bits, range, number(card.bytes), card.parameters ? number(card.parameters) : "-"]
      .map((text) => make("td", {}, text)));
    return row;
  }));
}

function draw() {
  const every = budgets();
  if (!every.includes(choice.updates)) choice.updates = every.includes(data.updates) ? data.updates : every[0];
  const cards = measured(), inFigure = shown(cards);
  const coloured = inFigure.filter((card) => !card.anchor);
  const colours = new Map(coloured.map((card, n) => [card.cell, `var(--c${n % COLOURS})`]));
  const asked = Object.keys(QUESTIONS).filter((name) => data.cards.some((card) => card[name]));
  drawRadios("question", "question", asked, (name) => QUESTIONS[name].label);
  drawRadios("track", "kind", kinds, (kind) => kind);
  drawRadios("updates", "updates", every, number);
  drawChart(inFigure, colours);
  unpoint();
  drawTable(cards, inFigure, colours);
  writeAddress();
}

byId("lede").textContent = data.lede;
window.addEventListener("resize", draw);
window.addEventListener("hashchange", () => { readAddress(); draw(); });
readAddress();
draw();
