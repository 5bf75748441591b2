// The curves of memory cards over each other. The data of the page has the cards: for each question
// and number of updates the curve of every seed, and its bits.

const COLOURS = 8, HEIGHT = 420;
const area = { left: 46, right: 0, top: 12, bottom: HEIGHT - 40 }; // of the figure, in pixels
const QUESTIONS = { // `at` is the place of a point on the x axis, `scale` that of the axis
  lag: { name: "by lag", title: "Bits about the token, by how many steps ago it came",
    label: "steps back", at: (n) => n + 1, scale: (x) => x, xTicks: [1, 16, 32, 48, 64],
    yTicks: [0, 1, 2, 3, 4], say: String },
  key: { name: "by key", title: "Values recalled by their keys, by the number of pairs",
    label: "pairs of a key and a value", at: (n) => data.pairs[n], scale: Math.log,
    xTicks: [1, 2, 4, 8, 16, 32, 64], yTicks: [0, 0.25, 0.5, 0.75, 1], say: (y) => `${100 * y}%` },
};

const number = (value) => Number(value).toLocaleString("en", { maximumFractionDigits: 0 });
const digits = (value) => String(Number(value < 1 ? value.toFixed(2) : value.toPrecision(3)));
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const meanCurve = (curves) => curves[0].map((_, n) => mean(curves.map((curve) => curve[n])));
const distinct = (values) => [...new Set(values)];

// ---------------------------------------------------------------- the choice, kept in the address

let choice; // question, network and updates as in the address, and the list of cells, if any

function open() {
  choice = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if ("cells" in choice) choice.cells = choice.cells.split(",");
  draw();
}

const ofNetwork = () =>
  data.cards.filter((card) => card.kind === choice.network && card[choice.question]);
const budgets = () => distinct(ofNetwork().flatMap((card) => Object.keys(card[choice.question])))
  .sort((a, b) => a - b);

// The cards that have what is asked, those with most bits first.
function measured() {
  return ofNetwork().filter((card) => card[choice.question][choice.updates])
    .map((card) => ({ ...card, ...card[choice.question][choice.updates] }))
    .map((card) => ({ ...card, mean: mean(card.bits), curve: meanCurve(card.curves) }))
    .map((card) => ({ ...card, said: `${card.bound ? "≥" : ""}${digits(card.mean)}` }))
    .sort((a, b) => b.mean - a.mean);
}

// Without a choice: every third cell from the top, and the lines that all are compared with.
function shown(cards) {
  if (choice.cells) return cards.filter((card) => choice.cells.includes(card.cell));
  const cells = cards.filter((card) => !card.anchor);
  const step = Math.max(1, Math.round(cells.length / 6));
  return cards.filter((card) => card.anchor || cells.indexOf(card) % step === 0);
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

// Heights of names beside the ends of their curves, each at least a line above the one below it.
// Names of curves that end together are in the order of their bits.
function spread(ends) {
  const line = Math.min(17, (area.bottom - area.top) / ends.length), heights = [];
  const place = ends.map((end) => Math.round(end / 40));
  const lowestFirst = ends.map((_, n) => n).reverse().sort((a, b) => place[b] - place[a]);
  let below = area.bottom + line;
  for (const n of lowestFirst) below = heights[n] = Math.min(ends[n], below - line);
  return heights;
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

// The mean curve of each card, with its name; a card that is pointed at shows those of its seeds.
function drawChart(cards) {
  const chart = byId("chart"), { name, title } = QUESTIONS[choice.question];
  const width = Math.max(chart.clientWidth, 300);
  chart.replaceChildren();
  byId("chart-title").textContent = title;
  byId("hovered").textContent = cards.length ? "" : "Choose a cell below.";
  if (!cards.length) return;
  const longest = Math.max(...cards.map(({ cell, said }) => `${cell} ${said}`.length));
  area.right = width - 16 - longest * (width < 550 ? 6 : 8); // beside it are the names
  const { path, ...axes } = scales(cards);
  drawAxes(axes);
  const heights = spread(cards.map(({ curve }) => axes.y(curve.at(-1))));
  cards.forEach(({ cell, bits, said, curve, curves, anchor, colour }, n) => {
    const group = make("g", { "data-cell": cell, style: `--colour: ${colour}` });
    group.append(...curves.map((seed) => make("path", { d: path(seed), class: "seed" })));
    group.append(make("path", { d: path(curve), class: "wide" })); // easy to point at
    group.append(make("path", { d: path(curve), class: anchor ? "anchor" : "" }));
    group.append(make("text", { x: area.right + 12, y: heights[n] + 4, class: "name" },
      `${cell} ${said}`));
    group.addEventListener("pointerenter", () => {
      byId("hovered").textContent = `${cell}: ${said} bits ${name}, `
        + `the seeds ${bits.map(digits).join(", ")}.`;
    });
    chart.append(group);
  });
  if (choice.question === "lag") return;
  const list = data.list.slice(0, Math.max(...cards.map(({ curve }) => curve.length)));
  chart.append(make("path", { d: path(list), class: "anchor" }));
}

// ---------------------------------------------------------------- the choices and the table

const input = (type, name, value, isChecked) =>
  make("input", { type, name, value, ...(isChecked && { checked: "" }) });

// The buttons of a choice. One that is not among the options becomes the usual or the first one.
function drawRadios(name, options, usual, say) {
  if (!options.includes(choice[name])) choice[name] = options.includes(usual) ? usual : options[0];
  byId(name).replaceChildren(...options.map((value) => {
    const label = make("label");
    label.append(input("radio", name, value, value === choice[name]), say(value));
    return label;
  }));
}

function drawTable(cards, inFigure) {
  byId("cells").replaceChildren(...cards.map((card) => {
    const { cell, page, bits, said, bytes, parameters, colour = "" } = card;
    const row = make("tr"), label = make("label");
    const range = `(${digits(Math.min(...bits))} to ${digits(Math.max(...bits))})`;
    const swatch = make("span", { class: "swatch", style: `background: ${colour}` });
    const box = input("checkbox", "cells", cell, inFigure.includes(card));
    label.append(box, swatch, make("a", { href: page }, cell));
    row.append(make("td"), ...[`${said} ${range}`, number(bytes), number(parameters)]
      .map((text) => make("td", {}, text)));
    row.firstChild.append(label);
    return row;
  }));
}

function draw() {
  const { name, value } = document.activeElement; // the button that was pressed, which is made anew
  const asked = Object.keys(QUESTIONS).filter((each) => data.cards.some((card) => card[each]));
  drawRadios("question", asked, "lag", (question) => QUESTIONS[question].name);
  const ofQuestion = data.cards.filter((card) => card[choice.question]);
  drawRadios("network", distinct(ofQuestion.map(({ kind }) => kind)), "", String);
  drawRadios("updates", budgets(), String(data.updates), number);
  const cards = measured(), inFigure = shown(cards);
  let coloured = 0;
  for (const card of inFigure) {
    card.colour = card.anchor ? "var(--quiet)" : `var(--c${coloured++ % COLOURS})`;
  }
  drawChart(inFigure);
  drawTable(cards, inFigure);
  const cells = inFigure.map(({ cell }) => cell);
  history.replaceState(null, "", `#${new URLSearchParams({ ...choice, cells })}`);
  const named = [...document.querySelectorAll(`input[name="${name}"]`)];
  named.find((each) => each.value === value)?.focus();
}

document.addEventListener("change", ({ target: { name, value } }) => {
  const checked = [...byId("cells").querySelectorAll(":checked")];
  choice[name] = name === "cells" ? checked.map((box) => box.value) : value;
  if (name === "network") delete choice.cells; // it has other cells
  draw();
});
addEventListener("hashchange", open);
addEventListener("resize", draw);
open();
