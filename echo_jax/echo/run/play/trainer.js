"use strict";
// The training of echo_jax/echo in plain JavaScript: the rows of a sequence, an LSTM, its gradient,
// and Adam. The page makes workers of this text. Matrices are flat, row by row.

// Numbers in [0, 1) of a seed (mulberry32).
function randomOf(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function glorot(random, inputs, outputs) {
  const limit = Math.sqrt(6 / (inputs + outputs));
  return Float64Array.from({ length: inputs * outputs }, () => limit * (2 * random() - 1));
}

// Rows that are orthogonal to each other, of length 1: normal numbers, by Gram and Schmidt.
function orthogonal(random, rows, columns) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const made = Array.from({ length: rows }, () => Float64Array.from({ length: columns }, normal));
  const product = (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0);
  made.forEach((row, place) => {
    for (const other of made.slice(0, place)) {
      const along = product(row, other);
      other.forEach((x, k) => { row[k] -= along * x; });
    }
    const length = Math.sqrt(product(row, row));
    row.forEach((x, k) => { row[k] = x / length; });
  });
  return Float64Array.from(made.flatMap((row) => [...row]));
}

// out [n, m] += a [n, k] b [k, m]. Four rows of b at a time, so that a row of out is read and
// written less often.
function addProduct(out, a, b, n, k, m) {
  for (let row = 0; row < n; row++) {
    const end = (row + 1) * m;
    let j = 0;
    for (; j + 4 <= k; j += 4) {
      const at = row * k + j, a0 = a[at], a1 = a[at + 1], a2 = a[at + 2], a3 = a[at + 3];
      for (let o = row * m, b0 = j * m; o < end; o++, b0++) {
        out[o] += a0 * b[b0] + a1 * b[b0 + m] + a2 * b[b0 + 2 * m] + a3 * b[b0 + 3 * m];
      }
    }
    for (; j < k; j++) {
      for (let o = row * m, b0 = j * m; o < end; o++, b0++) out[o] += a[row * k + j] * b[b0];
    }
  }
}

// The transpose [columns, rows] of a matrix.
function transposed(matrix, columns) {
  const rows = matrix.length / columns, made = new Float64Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) made[k * rows + row] = matrix[row * columns + k];
  }
  return made;
}

const LENGTH = 25; // of a sequence
const RATE = 0.001, MEAN = 0.9, SQUARE = 0.999, EPSILON = 1e-7; // of Adam
const logistic = (x) => 1 / (1 + Math.exp(-x));

// Where the first row of a sequence ends, as `row_times` of echo_jax/config.py.
const firstRow = ({ window, batch, lag }) =>
  LENGTH - batch * Math.floor((LENGTH - Math.max(window - 1, lag)) / batch);

// An LSTM on `batch` rows at once, as echo_jax/cells/vector_state/lstm.py and a dense layer. It keeps
// what the step back needs of each step: c and h before and after it, and its gates i f g o.
class Lstm {
  constructor({ values, units, batch, weights }, steps) {
    const arrays = (count, size) => Array.from({ length: count }, () => new Float64Array(batch * size));
    Object.assign(this, { values, units, batch, weights });
    this.c = arrays(steps + 1, units);
    this.h = arrays(steps + 1, units);
    this.gates = arrays(steps, 4 * units);
    this.shares = new Float64Array(batch * values);
  }

  // Run rows from a state, null for zero: the mean loss in nats, and how many answers are right. Then
  // `shares` is the gradient of the loss by the logits, or without a target the probabilities.
  loss({ inputs, targets }, state) {
    const { batch, values, units, shares } = this, { readout, readoutBias } = this.weights;
    const steps = inputs[0].length;
    this.forward(inputs, state);
    for (let row = 0; row < batch; row++) shares.set(readoutBias, row * values);
    addProduct(shares, this.h[steps], readout, batch, units, values);
    let loss = 0, right = 0;
    targets.forEach((target, row) => {
      const p = shares.subarray(row * values, (row + 1) * values);
      const largest = p.reduce((a, b) => Math.max(a, b));
      right += Number(p.indexOf(largest) === target);
      p.forEach((logit, v) => { p[v] = Math.exp(logit - largest); });
      const sum = p.reduce((a, b) => a + b);
      loss -= Math.log(p[target] / sum) / batch;
      p.forEach((power, v) => { p[v] = (power / sum - Number(v === target)) / batch; });
    });
    return { loss, right };
  }

  // The steps of a batch of rows: z = x W + b + h U.
  forward(inputs, state) {
    const { batch, units } = this, { kernel, recurrent, bias } = this.weights, gates = 4 * units;
    for (const name of ["c", "h"]) state ? this[name][0].set(state[name]) : this[name][0].fill(0);
    for (let t = 0; t < inputs[0].length; t++) {
      const z = this.gates[t];
      for (let row = 0; row < batch; row++) {
        const from = inputs[row][t] * gates;
        for (let k = 0; k < gates; k++) z[row * gates + k] = bias[k] + kernel[from + k];
      }
      if (t || state) addProduct(z, this.h[t], recurrent, batch, units, gates);
      for (let row = 0; row < batch; row++) this.step(t, row);
    }
  }

  // The gates of one row from their sums; then c' = f c + i g and h' = o tanh(c').
  step(t, row) {
    const { units, c, h } = this, z = this.gates[t];
    for (let u = 0; u < units; u++) {
      const at = 4 * row * units + u, state = row * units + u;
      const i = logistic(z[at]), f = logistic(z[at + units]);
      const g = Math.tanh(z[at + 2 * units]), o = logistic(z[at + 3 * units]);
      z[at] = i;
      z[at + units] = f;
      z[at + 2 * units] = g;
      z[at + 3 * units] = o;
      c[t + 1][state] = f * c[t][state] + i * g;
      h[t + 1][state] = o * Math.tanh(c[t + 1][state]);
    }
  }

  // The state after some steps.
  after(steps) {
    return { c: this.c[steps].slice(), h: this.h[steps].slice() };
  }
}

// The training of a setting: lag, window, batch, stateful, through (batches that the gradient goes
// back through), values, units, seed.
class Trainer extends Lstm {
  constructor(setting) {
    const { values, units, batch, window, through, seed } = setting, gates = 4 * units;
    const random = randomOf(seed);
    const weights = {
      kernel: glorot(random, values, gates),
      recurrent: orthogonal(random, units, gates),
      bias: new Float64Array(gates).fill(1, units, 2 * units), // of the forget gate
      readout: glorot(random, units, values),
      readoutBias: new Float64Array(values),
    };
    super({ values, units, batch, weights }, through * window);
    Object.assign(this, setting, { updates: 0, first: firstRow(setting) });
    const zeros = () => Object.fromEntries(Object.entries(weights)
      .map(([name, weight]) => [name, new Float64Array(weight.length)]));
    Object.assign(this, { gradient: zeros(), means: zeros(), squares: zeros() });
    this.slopes = new Float64Array(batch * gates);
    this.draw = randomOf(~seed);
    this.drawFresh = randomOf(seed + 2 ** 31);
  }

  // The updates on one sequence, one at a time: the loss, and how many answers are right.
  * sequence(tokens = this.tokens(this.draw)) {
    let state = null; // zero
    for (const rows of this.rows(tokens)) {
      const made = this.loss(rows, state);
      // Of two batches the next update runs the second one again, from the state after the first.
      const isWhole = rows.inputs[0].length === this.through * this.window;
      if (this.stateful && isWhole) state = this.after(this.window);
      this.differentiate(rows);
      this.adam();
      yield made;
    }
  }

  // The share of right answers to a fresh sequence. No weight changes.
  test() {
    let state = null, right = 0;
    for (const rows of this.rows(this.tokens(this.drawFresh), 1)) {
      right += this.loss(rows, state).right;
      if (this.stateful) state = this.after(this.window);
    }
    return right / (LENGTH - this.first);
  }

  tokens(draw) {
    return Array.from({ length: LENGTH }, () => Math.floor(this.values * draw()));
  }

  // The batches of rows: the tokens of each row, after those of the row that it continues where the
  // gradient goes `through` both, and the tokens that are asked for.
  * rows(tokens, through = this.through) {
    const { batch, window, lag, first } = this;
    const row = (end) => tokens.slice(end - window + 1, end + 1);
    for (let end = first; end < LENGTH; end += batch) {
      const ends = Array.from({ length: batch }, (_, place) => end + place);
      const isFirst = end === first || through === 1;
      yield { inputs: ends.map((time) => isFirst ? row(time) : [...row(time - batch), ...row(time)]),
        targets: ends.map((time) => tokens[time - lag]) };
    }
  }

  // The gradient of the loss by the weights, back through all steps of the rows.
  differentiate({ inputs }) {
    const { batch, units, values, shares, gradient, weights } = this, steps = inputs[0].length;
    for (const sum of Object.values(gradient)) sum.fill(0);
    for (let at = 0; at < shares.length; at++) gradient.readoutBias[at % values] += shares[at];
    addProduct(gradient.readout, transposed(this.h[steps], units), shares, units, batch, values);
    const dh = new Float64Array(batch * units), dc = new Float64Array(batch * units);
    addProduct(dh, shares, transposed(weights.readout, values), batch, values, units);
    const back = transposed(weights.recurrent, 4 * units);
    for (let t = steps - 1; t >= 0; t--) {
      this.stepBack(t, inputs, dh, dc);
      dh.fill(0);
      addProduct(dh, this.slopes, back, batch, 4 * units, units);
    }
  }

  // One step back: `slopes` becomes the gradient by the sums of its gates, dc that by c before it.
  stepBack(t, inputs, dh, dc) {
    const { batch, units, gradient, slopes, c, h } = this, z = this.gates[t], size = 4 * units;
    for (let row = 0; row < batch; row++) {
      for (let u = 0; u < units; u++) {
        const at = row * size + u, state = row * units + u;
        const i = z[at], f = z[at + units], g = z[at + 2 * units], o = z[at + 3 * units];
        const squashed = Math.tanh(c[t + 1][state]);
        const slope = dc[state] + dh[state] * o * (1 - squashed * squashed);
        slopes[at] = slope * g * i * (1 - i);
        slopes[at + units] = slope * c[t][state] * f * (1 - f);
        slopes[at + 2 * units] = slope * i * (1 - g * g);
        slopes[at + 3 * units] = dh[state] * squashed * o * (1 - o);
        dc[state] = slope * f;
      }
      const to = inputs[row][t] * size;
      for (let k = 0; k < size; k++) {
        gradient.kernel[to + k] += slopes[row * size + k];
        gradient.bias[k] += slopes[row * size + k];
      }
    }
    addProduct(gradient.recurrent, transposed(h[t], units), slopes, units, batch, size);
  }

  // Adam (Kingma & Ba 2015), as `fused_adam` of echo_jax/echo/training.py.
  adam() {
    this.updates += 1;
    const corrected = Math.sqrt(1 - SQUARE ** this.updates);
    const rate = RATE * corrected / (1 - MEAN ** this.updates), epsilon = EPSILON * corrected;
    for (const [name, weight] of Object.entries(this.weights)) {
      const gradient = this.gradient[name], mean = this.means[name], square = this.squares[name];
      for (let k = 0; k < weight.length; k++) {
        const g = gradient[k];
        mean[k] += (1 - MEAN) * (g - mean[k]);
        square[k] += (1 - SQUARE) * (g * g - square[k]);
        weight[k] -= rate * mean[k] / (Math.sqrt(square[k]) + epsilon);
      }
    }
  }
}

const BLOCK = 20; // sequences of a point of the curve
const FRESH = 1000; // sequences of the score at the end

// The seconds that a setting will take on this device: the fastest of some trials of 10 ms counts, as
// what runs first is slow.
function secondsOf(setting) {
  const trainer = new Trainer(setting);
  const trials = Array.from({ length: 8 }, () => {
    const start = performance.now();
    let sequences = 0;
    for (; performance.now() < start + 10; sequences++) [...trainer.sequence()];
    return (performance.now() - start) / 1000 / sequences;
  });
  return Math.min(...trials) * setting.sequences;
}

// In a worker: { make: setting } makes a network, { pace } trains it in slices of 30 ms, or by one
// update. What it came to is posted ten times a second at most, and at the end.
function work() {
  let trainer, updates, said, timer, posted;
  const post = () => {
    posted = performance.now();
    postMessage({ ...said, updates: trainer.updates, weights: trainer.weights });
  };
  function* training({ sequences, batch }) {
    for (let loss, right, answers; said.sequences < sequences; said.sequences++) {
      if (said.sequences % BLOCK === 0) loss = right = answers = 0;
      for (const made of trainer.sequence()) {
        loss += made.loss * batch;
        right += made.right;
        answers += batch;
        const point = { loss: loss / answers, accuracy: right / answers };
        said.points[Math.floor(said.sequences / BLOCK)] = point;
        yield;
      }
    }
    post();
    said.accuracy = 0;
    for (let k = 0; k < FRESH; k++) said.accuracy += trainer.test() / FRESH;
  }
  const slice = (pace) => {
    const start = performance.now(), until = start + (pace === "fast" ? 30 : 0);
    let done = false;
    do ({ done } = updates.next()); while (!done && performance.now() < until);
    if (!done) said.seconds += (performance.now() - start) / 1000;
    const ends = done || pace === "once";
    if (ends || performance.now() > posted + 100) post();
    if (!ends) timer = setTimeout(slice, 0, pace);
  };
  onmessage = ({ data: { make, pace } }) => {
    clearTimeout(timer);
    if (make) {
      trainer = new Trainer(make);
      said = { points: [], sequences: 0, seconds: 0, expected: secondsOf(make) };
      updates = training(make);
    }
    pace === "pause" || make ? post() : slice(pace);
  };
}

if (typeof document === "undefined") work();
