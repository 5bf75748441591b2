// What is left of a picture. A network read a stream T of random tokens and was asked for each.
// Drawn is pixel XOR answer XOR T: a right answer has the pixel's own colour, whatever the picture.
// By place the tokens are eight pairs of a place and a value, whose four high bits are the colour.

const SIDE = 8, PIXELS = SIDE * SIDE, PAIRS = 8;
const ASKED = { // how a network is asked
  order: { bits: "bits", most: 4 * PIXELS, other: "place", button: "Ask by place",
    how: "reads this picture pixel by pixel and is then asked for all of it, the last pixel first" },
  place: { bits: "at_once", most: 6 * PAIRS, other: "order", button: "Ask in order",
    how: "is told eight of these pixels, each as a place and its colour, and is then asked for the "
      + "colour at each place" },
};
const GUESSED = "LSTM"; // its first row that is forgotten is to be guessed
const READ = 12, ASK = 40; // milliseconds for each pixel

let cursor = 0; // the pixel that the keyboard paints

const rowOf = (pixel) => Math.floor(pixel / SIDE);
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

// Of each pixel that is asked: the answer XOR the token, which is 0 where it is right, the
// certainty, and the turn in which it is asked.
function answersOf({ answers, certainty }, stream) {
  const { streams, places, values } = data.picture;
  const given = bytesOf(answers), sure = bytesOf(certainty);
  if (choice.asked === "place") {
    return places[stream].map((pixel, turn) => {
      const at = stream * PAIRS + turn, error = (given[at] ^ values[stream][turn]) >> 2;
      return { pixel, error, sure: sure[at] / 255, turn };
    });
  }
  const halves = [...given].flatMap((byte) => [byte >> 4, byte & 15]);
  return streams[stream].slice(0, PIXELS).map((token, pixel) => {
    const turn = PIXELS - 1 - pixel, at = stream * PIXELS + turn; // lag 1, the last pixel, first
    return { pixel, error: halves[at] ^ token, sure: sure[at] / 255, turn };
  });
}

const rightIn = (answers) => answers.filter(({ error }) => error === 0).length;

// The lowest row, counted from 1 at the top, with two or more wrong answers.
function forgottenRow(answers) {
  for (let row = SIDE; row > 0; row--) {
    const right = rightIn(answers.slice((row - 1) * SIDE, row * SIDE));
    if (right < SIDE - 1) return { row, right };
  }
  return null;
}

// A square of some area in its pixel, in one of the sixteen colours.
function square(pixel, area, colour) {
  const side = Math.sqrt(area), margin = (1 - side) / 2;
  return make("rect", { x: pixel % SIDE + margin, y: rowOf(pixel) + margin, width: side,
    height: side, fill: data.picture.palette[colour] });
}

// An element that is seen only after a delay in milliseconds.
function appear(element, delay) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  element.animate([{ opacity: 0 }, { opacity: 1 }], { delay, duration: 100, fill: "backwards" });
}

// ---------------------------------------------------------------- what is drawn

const pixels = () => [...choice.pixels].map((digit) => parseInt(digit, 16));
const chosenStream = () => Number(choice.stream) - 1;

// True of the network that is to be guessed, which stands first until then.
const isHidden = ({ cell }) => cell === GUESSED && !choice.guess && choice.asked === "order";

function readings() {
  return chosen().filter((card) => card[choice.asked])
    .map((card) => ({ ...card, bits: card[choice.asked][ASKED[choice.asked].bits],
      answers: answersOf(card[choice.asked], chosenStream()) }))
    .sort((a, b) => isHidden(b) - isHidden(a) || b.bits - a.bits);
}

function drawCanvas(isPlayed) {
  const squares = pixels().map((colour, pixel) => square(pixel, 1, colour));
  const places = choice.asked === "place" ? data.picture.places[chosenStream()] : null;
  squares.forEach((each, n) => each.classList.toggle("faint", places?.includes(n) === false));
  byId("canvas").replaceChildren(...squares, make("rect", { id: "cursor", width: 1, height: 1,
    x: cursor % SIDE, y: rowOf(cursor) }));
  if (isPlayed) squares.forEach((each, pixel) => appear(each, READ * pixel));
}

function figureOf(card, isPlayed) {
  const { cell, bits, answers, colour } = card;
  const svg = make("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, "aria-hidden": true });
  const figure = make("figure", { "data-cell": cell }), caption = make("figcaption");
  caption.append(make("b", { style: `color: ${colour}` }, cell));
  figure.append(svg, caption);
  if (isHidden(card)) {
    svg.append(make("text", { x: 4, y: 5.5, "text-anchor": "middle" }, "?"));
    caption.append(make("span", {}, "guess first"));
    return figure;
  }
  const own = pixels();
  for (const { pixel, error, sure, turn } of answers) {
    svg.append(square(pixel, sure, own[pixel] ^ error));
    if (isPlayed) appear(svg.lastChild, READ * PIXELS + ASK * (turn + 1));
  }
  caption.append(make("span", {}, `${digits(bits)} of ${ASKED[choice.asked].most} bits`),
    make("span", {}, `${rightIn(answers)} of ${answers.length} right`));
  return figure;
}

function verdict(guess, forgotten) {
  if (!forgotten) return "The LSTM forgets no row of this stream.";
  const { row, right } = forgotten;
  return `The LSTM begins to forget in row ${row}: ${right} of ${SIDE} are right there. `
    + `You said row ${guess}.`;
}

function drawGuess(cards) {
  const inOrder = choice.asked === "order" ? cards : [], { guess } = choice;
  const guessed = inOrder.find(({ cell }) => cell === GUESSED);
  byId("ask").hidden = !guessed || Boolean(guess);
  byId("guess").textContent = guessed && guess ? verdict(guess, forgottenRow(guessed.answers)) : "";
  for (const button of byId("rows").children) {
    button.disabled = !guessed;
    button.setAttribute("aria-pressed", button.textContent === guess);
  }
}

// The picture and what is left of it; played means read and asked back before one's eyes.
function drawPicture(isPlayed = false) {
  if (!data.picture) return;
  const { pictures, streams, places } = data.picture;
  if (!(choice.asked in ASKED) || !places.length) choice.asked = "order";
  if (!/^[0-9a-f]{64}$/.test(choice.pixels)) choice.pixels = pictures[0];
  if (!(chosenStream() in streams)) choice.stream = "1";
  const cards = readings(), { how, button } = ASKED[choice.asked];
  byId("how").textContent = how;
  byId("by").textContent = button;
  drawCanvas(isPlayed);
  drawGuess(cards);
  if (isPlayed) appear(byId("guess"), (READ + ASK) * PIXELS);
  const figures = cards.map((card) => figureOf(card, isPlayed));
  byId("left").replaceChildren(...(cards.length ? figures : ["No reading of these cells."]));
}

// ---------------------------------------------------------------- what the visitor does

function choose(name, value) {
  choice[name] = value;
  drawPicture(true);
  keepAddress();
}

function paint(pixel) {
  const colour = byId("palette").querySelector(":checked").value;
  if (choice.pixels[pixel] === colour) return;
  choice.pixels = choice.pixels.slice(0, pixel) + colour + choice.pixels.slice(pixel + 1);
  drawPicture();
}

function paintUnder({ buttons, clientX, clientY }) {
  const under = document.elementFromPoint(clientX, clientY);
  const pixel = [...byId("canvas").children].indexOf(under);
  if (buttons === 1 && 0 <= pixel && pixel < PIXELS) paint(pixel);
}

function paintByKey(event) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE };
  if (event.key in steps) cursor = (cursor + steps[event.key] + PIXELS) % PIXELS;
  else if (event.key === " " || event.key === "Enter") paint(cursor);
  else return;
  event.preventDefault();
  drawCanvas();
  keepAddress();
  const colour = parseInt(choice.pixels[cursor], 16) + 1;
  byId("brush").textContent =
    `Row ${rowOf(cursor) + 1}, column ${cursor % SIDE + 1}: colour ${colour}`;
}

function makePicture() {
  const canvas = byId("canvas"), { palette, ground, pictures, streams } = data.picture;
  byId("left").style.setProperty("--ground", `light-dark(${ground})`);
  byId("palette").append(...palette.map((colour, n) => {
    const pen = input("radio", "pen", n.toString(16), n === 3);
    pen.style.background = colour;
    pen.ariaLabel = `colour ${n + 1}`;
    return pen;
  }));
  for (let row = 1; row <= SIDE; row++) {
    const button = make("button", { type: "button", "aria-label": `row ${row}` }, row);
    button.addEventListener("click", () => choose("guess", String(row)));
    byId("rows").append(button);
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId); // what is under a finger is drawn anew
    paintUnder(event);
  });
  canvas.addEventListener("pointermove", paintUnder);
  canvas.addEventListener("pointerup", () => keepAddress());
  canvas.addEventListener("keydown", paintByKey);
  const onClick = (id, act) => byId(id).addEventListener("click", act);
  const following = () => pictures[(pictures.indexOf(choice.pixels) + 1) % pictures.length];
  onClick("next", () => choose("pixels", following()));
  onClick("blank", () => choose("pixels", "0".repeat(PIXELS)));
  onClick("stream", () => choose("stream", String(Number(choice.stream) % streams.length + 1)));
  onClick("by", () => choose("asked", ASKED[choice.asked].other));
  byId("by").hidden = !data.picture.places.length;
}

if (data.picture) makePicture();
else byId("picture").remove();
