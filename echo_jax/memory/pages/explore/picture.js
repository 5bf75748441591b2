// A picture that fades. A network read a stream T of random tokens and was asked for each.
// Drawn is pixel XOR answer XOR T: a right answer has the pixel's own colour, whatever the picture.
// By place the tokens are eight pairs of a place and a value, whose four high bits are the colour.

const SIDE = 8, PIXELS = SIDE * SIDE, PAIRS = 8;
const PER_BIT = 16; // of the unit in which the surprise about a token is stored
const STEP = 350; // milliseconds of a step while time passes
const ASKED = { // how a network is asked
  order: { question: "lag", other: "place", button: "Ask by name",
    how: "reads this picture pixel by pixel, and then one random pixel a step. After each step it "
      + "is asked for the 64 pixels before." },
  place: { question: "key", other: "order", button: "Ask in order",
    how: "is told eight of these pixels as pairs, a place and its colour. It is then asked for a "
      + "colour by the name of its place." },
};

let cursor = 0; // the pixel that the keyboard paints
let pen = null; // where the pointer was, in pixels
let clock = 0; // while time passes

const rowOf = (pixel) => Math.floor(pixel / SIDE);
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const sum = (values) => values.reduce((a, b) => a + b, 0);
const lastTime = () => data.picture.stream.length - PIXELS - 1;
const time = () => Number(choice.time);

// The answers about the pixels that are asked: the answer XOR the token, which is 0 where it is
// right, the certainty, and the bits that it tells about the token; null if it is not known.
function answersOf({ answers, certainty, surprise }) {
  const given = bytesOf(answers), sure = bytesOf(certainty), told = surprise && bytesOf(surprise);
  const answer = (pixel, at, error) =>
    ({ pixel, error, sure: sure[at] / 255, bits: told ? 4 - told[at] / PER_BIT : null });
  const { stream, places: [places], values: [values] } = data.picture;
  if (choice.asked === "place") {
    return places.map((pixel, at) => answer(pixel, at, (given[at] ^ values[at]) >> 2));
  }
  // At time s lags s + 1 to 64 are stored, which are pixels 63 down to s.
  const s = time(), before = s * PIXELS - s * (s - 1) / 2;
  if (s && !told) return [];
  return stream.slice(s, PIXELS).map((token, n) => {
    const pixel = s + n, at = before + PIXELS - 1 - pixel;
    return answer(pixel, at, (given[at >> 1] >> (at % 2 ? 0 : 4) & 15) ^ token);
  });
}

// What the curves have of what is asked, in the mean over streams and seeds: bits or right answers.
function meanOf(card) {
  const { bits, curves } = card[ASKED[choice.asked].question][data.updates];
  const curve = meanCurve(curves);
  if (choice.asked === "place") return PAIRS * curve[data.pairs.indexOf(PAIRS)];
  return Math.max(mean(bits) - sum(curve.slice(0, time())), 0);
}

function readings() {
  const { question } = ASKED[choice.asked];
  return chosen().filter((card) => card[choice.asked] && card[question]?.[data.updates])
    .map((card) => ({ ...card, mean: meanOf(card), answers: answersOf(card[choice.asked]) }))
    .sort((a, b) => best(b) - best(a));
}

// The order of the cells stays as time passes: it is that of all bits.
const best = (card) => choice.asked === "order" ? mean(card.lag[data.updates].bits) : card.mean;

// Which trained network is first, and which forgets first, of some in the order of their bits.
function verdictOf(cards) {
  const trained = cards.filter(({ anchor }) => !anchor), [first] = trained, count = trained.length;
  if (count < 2) return "";
  if (choice.asked === "order") {
    return `Among these ${count} trained networks, ${trained.at(-1).cell} forgets first, `
      + `and ${first.cell} keeps most.`;
  }
  const bits = ({ lag }) => mean(lag?.[data.updates]?.bits ?? [0]);
  const inOrder = [...trained].sort((a, b) => bits(b) - bits(a)), [leader] = inOrder;
  const all = `number 1 of these ${count} trained networks`;
  if (leader === first) return `By name and in order, ${first.cell} is ${all}.`;
  return `By name, the ranking is another: ${first.cell} is ${all}, and ${leader.cell} is number `
    + `${trained.indexOf(leader) + 1}. In order, ${leader.cell} is number 1, and ${first.cell} is `
    + `number ${inOrder.indexOf(first) + 1}.`;
}

// Which of some cards are not ranked, and why.
function anchorsOf(cards) {
  const names = cards.filter(({ anchor }) => anchor).map(({ cell }) => cell).join("; ");
  return names && `Anchors are not ranked: ${names}. Their memory is known, or is not trained.`;
}

// ---------------------------------------------------------------- what is drawn

// A square of some area in its pixel.
function square(pixel, area, attributes) {
  const side = Math.sqrt(area), margin = (1 - side) / 2;
  return make("rect", { x: pixel % SIDE + margin, y: rowOf(pixel) + margin, width: side,
    height: side, ...attributes });
}

const inColour = (colour) => ({ fill: data.picture.palette[colour] });
const pixels = () => [...choice.pixels].map((digit) => parseInt(digit, 16));

function drawCanvas() {
  const [places] = data.picture.places, isFaint = (pixel) => choice.asked === "place"
    ? !places.includes(pixel) : pixel < time();
  const squares = pixels().map((colour, pixel) => square(pixel, 1, inColour(colour)));
  squares.forEach((each, pixel) => each.classList.toggle("faint", isFaint(pixel)));
  byId("canvas").replaceChildren(...squares, make("rect", { id: "cursor", width: 1, height: 1,
    x: cursor % SIDE, y: rowOf(cursor) }));
}

function figureOf({ cell, mean, answers, colour, anchor }) {
  const svg = make("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, "aria-hidden": true });
  const figure = make("figure", { "data-cell": cell }), caption = make("figcaption");
  const own = pixels(), asked = answers.map(({ pixel }) => pixel);
  for (let pixel = 0; pixel < PIXELS; pixel++) {
    if (!asked.includes(pixel)) svg.append(square(pixel, 1, { class: "unasked" }));
  }
  for (const { pixel, error, sure } of answers) {
    svg.append(square(pixel, sure, inColour(own[pixel] ^ error)));
    if (error) svg.append(square(pixel, sure / 4, { class: "hole" }));
  }
  const right = `${answers.filter(({ error }) => error === 0).length} of ${answers.length} right`;
  const bits = answers.map((answer) => answer.bits), isTold = !bits.includes(null);
  const said = isTold ? `${digits(sum(bits))} of ${4 * bits.length} bits` : right;
  const unit = choice.asked === "order" ? "bits" : `of ${PAIRS} right`;
  caption.append(make("b", { style: `color: ${colour}` }, cell),
    make("span", { class: "told" }, answers.length ? said : "asked only at the start"),
    make("span", {}, `mean ${digits(mean)} ${unit}`),
    ...(anchor ? [make("span", {}, "anchor, not ranked")] : []));
  figure.append(svg, caption);
  figure.style.viewTransitionName = `cell-${everyCell.indexOf(cell)}`; // moves when the order turns
  return figure;
}

// The random pixels that were read after the picture, and the time on slider and curves.
function drawTime() {
  const later = data.picture.stream.slice(PIXELS);
  byId("later").replaceChildren(...later.slice(0, time() + 1)
    .map((token, n) => make("rect", { x: n, width: 1, height: 1, ...inColour(token) })));
  byId("time").value = choice.time;
  byId("time").ariaValueText = `step ${choice.time} of ${lastTime()}`;
  byId("step").textContent = choice.time;
  drawNow();
}

function drawPicture() {
  if (!data.picture) return;
  const { pictures, places } = data.picture;
  if (!(choice.asked in ASKED) || !places.length) choice.asked = "order";
  if (!/^[0-9a-f]{64}$/.test(choice.pixels)) choice.pixels = pictures[0];
  if (!/^\d+$/.test(choice.time) || time() > lastTime()) choice.time = "0";
  const { how, button } = ASKED[choice.asked], shown = readings(), figures = shown.map(figureOf);
  byId("how").textContent = how;
  byId("by").textContent = button;
  byId("verdict").textContent = verdictOf(shown);
  byId("anchors").textContent = anchorsOf(shown);
  byId("picture").dataset.asked = choice.asked;
  drawCanvas();
  drawTime();
  byId("left").replaceChildren(...(figures.length ? figures : ["No reading of these cells."]));
}

// ---------------------------------------------------------------- what the visitor does

function choose(name, value) {
  choice[name] = value;
  drawPicture();
  keepAddress();
}

function setTime(to) {
  choice.time = String(Math.min(Math.max(to, 0), lastTime()));
  drawPicture();
  if (clock && time() === lastTime()) play(false);
}

// Let time pass, from the start if it is at its end, or stop it.
function play(isOn) {
  clearInterval(clock);
  clock = isOn ? setInterval(() => setTime(time() + 1), STEP) : 0;
  byId("play").textContent = isOn ? "Stop" : "Let time pass";
  if (isOn) setTime(time() === lastTime() ? 0 : time() + 1);
  keepAddress();
}

// The other way to ask, and its curves; the networks change places before one's eyes.
function askOtherwise() {
  const turn = () => {
    choose("asked", ASKED[choice.asked].other);
    choice.question = ASKED[choice.asked].question;
    draw();
    keepAddress();
  };
  play(false);
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (isStill || !document.startViewTransition) return turn();
  document.startViewTransition(turn).ready.catch(() => {}); // another began, or the page is not seen
}

function paint(places) {
  const colour = byId("palette").querySelector(":checked").value, all = [...choice.pixels];
  for (const pixel of places) all[pixel] = colour;
  choice.pixels = all.join("");
  drawPicture();
}

// Paint all pixels between the place where the pointer was and that where it is.
function paintTo({ buttons, clientX, clientY }) {
  if (buttons !== 1) return;
  const { x, y, width } = byId("canvas").getBoundingClientRect();
  const to = [clientX - x, clientY - y].map((each) => each / width * SIDE), from = pen ?? to;
  const parts = Math.ceil(4 * Math.hypot(to[0] - from[0], to[1] - from[1])) || 1;
  const places = Array.from({ length: parts + 1 }, (_, n) =>
    to.map((end, axis) => Math.floor(from[axis] + (end - from[axis]) * n / parts)));
  const isInside = (each) => 0 <= each && each < SIDE;
  paint(places.filter((place) => place.every(isInside)).map(([column, row]) => SIDE * row + column));
  pen = to;
}

function paintByKey(event) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE };
  if (event.key in steps) cursor = (cursor + steps[event.key] + PIXELS) % PIXELS;
  else if (event.key === " " || event.key === "Enter") paint([cursor]);
  else return;
  event.preventDefault();
  drawCanvas();
  keepAddress();
  const colour = parseInt(choice.pixels[cursor], 16) + 1;
  byId("brush").textContent =
    `Row ${rowOf(cursor) + 1}, column ${cursor % SIDE + 1}: colour ${colour}`;
}

function makePicture() {
  const canvas = byId("canvas"), slider = byId("time");
  const { palette, ground, pictures, places } = data.picture;
  byId("picture").style.setProperty("--ground", `light-dark(${ground})`);
  byId("palette").append(...palette.map((colour, n) => {
    const pen = input("radio", "pen", n.toString(16), n === 3);
    pen.style.background = colour;
    pen.ariaLabel = `colour ${n + 1}`;
    return pen;
  }));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId); // what is under a finger is drawn anew
    pen = null;
    paintTo(event);
  });
  canvas.addEventListener("pointermove", paintTo);
  canvas.addEventListener("pointerup", () => keepAddress());
  canvas.addEventListener("keydown", paintByKey);
  slider.max = lastTime();
  slider.addEventListener("input", () => setTime(slider.valueAsNumber));
  slider.addEventListener("change", keepAddress);
  addEventListener("keydown", ({ key, target }) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (by && target.matches("body, button") && choice.asked === "order") {
      setTime(time() + by);
      keepAddress();
    }
  });
  const onClick = (id, act) => byId(id).addEventListener("click", act);
  const following = () => pictures[(pictures.indexOf(choice.pixels) + 1) % pictures.length];
  onClick("next", () => choose("pixels", following()));
  onClick("blank", () => choose("pixels", "0".repeat(PIXELS)));
  onClick("play", () => play(!clock));
  onClick("by", askOtherwise);
  byId("by").hidden = !places.length;
}

if (data.picture) makePicture();
else byId("picture").remove();
