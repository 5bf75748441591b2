"use strict";
// The training of echo_jax/core in plain JavaScript: an LSTM, its gradient, Adam, and the rows of a
// sequence. It runs in a worker that the page makes of this text. Matrices are flat, row by row.

// ---------------------------------------------------------------- random numbers

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

const normal = (random) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

function glorot(random, inputs, outputs) {
  const limit = Math.sqrt(6 / (inputs + outputs));
  return Float64Array.from({ length: inputs * outputs }, () => limit * (2 * random() - 1));
}

// Rows that are orthogonal to each other, of length 1 (Gram-Schmidt).
function orthogonal(random, rows, columns) {
  const made = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const vector = made.subarray(row * columns, (row + 1) * columns);
    vector.forEach((_, k) => { vector[k] = normal(random); });
    for (let other = 0; other <= row; other++) {
      const of = made.subarray(other * columns, (other + 1) * columns);
      const along = of.reduce((sum, x, k) => sum + x * vector[k], 0);
      if (other < row) of.forEach((x, k) => { vector[k] -= along * x; });
      else vector.forEach((x, k) => { vector[k] = x / Math.sqrt(along); });
    }
  }
  return made;
}

// ---------------------------------------------------------------- products of matrices

// out [n, m] += a [n, k] b [k, m]. The element (row, j) of a is a[row * down + j * across]. Four rows
// of b at a time, so that a row of out is read and written less often.
function addProduct(out, a, b, n, k, m, down = k, across = 1) {
  for (let row = 0; row < n; row++) {
    const end = (row + 1) * m;
    let j = 0;
    for (; j + 4 <= k; j += 4) {
      const at = row * down + j * across;
      const a0 = a[at], a1 = a[at + across], a2 = a[at + 2 * across], a3 = a[at + 3 * across];
      for (let o = row * m, b0 = j * m; o < end; o++, b0++) {
        out[o] += a0 * b[b0] + a1 * b[b0 + m] + a2 * b[b0 + 2 * m] + a3 * b[b0 + 3 * m];
      }
    }
    for (; j < k; j++) {
      const x = a[row * down + j * across];
      for (let o = row * m, b0 = j * m; o < end; o++, b0++) out[o] += x * b[b0];
    }
  }
}

// out [k, m] += a^T b, a [n, k] and b [n, m].
const addOuter = (out, a, b, n, k, m) => addProduct(out, a, b, k, n, m, 1, k);

// out [n, k] = a b^T, a [n, m] and b [k, m].
function productWithTransposed(out, a, b, n, k, m) {
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < k; j++) {
      let even = 0, odd = 0, at = row * m, of = j * m;
      for (const end = at + m - 1; at < end; at += 2, of += 2) { // m is even
        even += a[at] * b[of];
        odd += a[at + 1] * b[of + 1];
      }
      out[row * k + j] = even + odd;
    }
  }
}

// ---------------------------------------------------------------- training

const LENGTH = 25, RATE = 0.001, MEAN = 0.9, SQUARE = 0.999, EPSILON = 1e-7;
const logistic = (x) => 1 / (1 + Math.exp(-x));

// The network of one setting: lag, window, batch, stateful, through (batches that the gradient goes
// back through), values, units, seed. The weights have the names and layout of the page's networks.
class Trainer {
  constructor(setting) {
    Object.assign(this, setting);
    const { values, units, batch, window, lag, seed } = this, gates = 4 * units;
    const random = randomOf(seed);
    this.weights = {
      kernel: glorot(random, values, gates),
      recurrent: orthogonal(random, units, gates),
      bias: new Float64Array(gates).fill(1, units, 2 * units), // of the forget gate
      readout: glorot(random, units, values),
      readoutBias: new Float64Array(values),
    };
    const zeros = () => Object.fromEntries(Object.entries(this.weights)
      .map(([name, weight]) => [name, new Float64Array(weight.length)]));
    [this.gradient, this.means, this.squares] = [zeros(), zeros(), zeros()];
    this.updates = 0;
    this.draw = randomOf(~seed);
    const most = LENGTH - Math.max(window - 1, lag);
    this.batches = Math.floor(most / batch);
    this.first = LENGTH - this.batches * batch; // where the first row ends
    this.traces = Array.from({ length: this.through }, () => this.newTrace());
    this.shares = new Float64Array(batch * values);
  }

  // What the step back needs of the steps of a batch: c and h before the first step and after each
  // one, the gates i f g o, and the gradient by their sums.
  newTrace() {
    const { window, batch, units } = this;
    const arrays = (count, size) => Array.from({ length: count }, () => new Float64Array(batch * size));
    return { rows: [], c: arrays(window + 1, units), h: arrays(window + 1, units),
      gates: arrays(window, 4 * units), slopes: new Float64Array(4 * batch * units) };
  }

  // The updates on one sequence, one at a time: the loss, and how many answers are right.
  * sequence(tokens = this.tokens()) {
    let before = null; // the zero state
    for (let k = 0; k < this.batches; k++) {
      const earlier = this.through === 2 && k ? this.rows(tokens, k - 1) : null;
      const made = this.update(this.rows(tokens, k), earlier, before);
      before = this.stateful ? made.before : null;
      yield made;
    }
  }

  tokens() {
    return Array.from({ length: LENGTH }, () => Math.floor(this.values * this.draw()));
  }

  // The rows of batch k: the last tokens, and the one that is asked for.
  rows(tokens, k) {
    return Array.from({ length: this.batch }, (_, row) => {
      const time = this.first + k * this.batch + row;
      return { inputs: tokens.slice(time - this.window + 1, time + 1), target: tokens[time - this.lag] };
    });
  }

  // One step of Adam. `before` is the state that the next update starts from; with `earlier` rows
  // it is that after them, as they are run again.
  update(rows, earlier, before) {
    const [last, first] = this.traces.slice().reverse();
    if (earlier) this.forward(first, earlier, before);
    this.forward(last, rows, earlier ? this.end(first) : before);
    const next = this.through === 1 ? this.end(last) : earlier ? this.end(first) : null;
    const { loss, right } = this.answers(last);
    this.differentiate(earlier ? [first, last] : [last]);
    this.adam();
    return { loss, right, before: next };
  }

  end(trace) {
    return { c: trace.c.at(-1).slice(), h: trace.h.at(-1).slice() };
  }

  // The steps of a batch of rows: z = x W + b + h U, see `Network.step` of the page.
  forward(trace, rows, before) {
    const { batch, units, window } = this, { kernel, recurrent, bias } = this.weights;
    const gates = 4 * units;
    trace.rows = rows;
    for (const name of ["c", "h"]) before ? trace[name][0].set(before[name]) : trace[name][0].fill(0);
    for (let t = 0; t < window; t++) {
      const z = trace.gates[t];
      for (let row = 0; row < batch; row++) {
        const from = rows[row].inputs[t] * gates;
        for (let k = 0; k < gates; k++) z[row * gates + k] = bias[k] + kernel[from + k];
      }
      if (t || before) addProduct(z, trace.h[t], recurrent, batch, units, gates);
      for (let row = 0; row < batch; row++) this.step(trace, t, row);
    }
  }

  // The gates of one row from their sums, and c and h after the step.
  step({ c, h, gates }, t, row) {
    const { units } = this, z = gates[t];
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

  // The mean loss of a batch in nats, and how many answers are right; `shares` becomes the gradient
  // of the loss by the logits.
  answers({ rows, h }) {
    const { batch, values, units, shares } = this, { readout, readoutBias } = this.weights;
    for (let row = 0; row < batch; row++) shares.set(readoutBias, row * values);
    addProduct(shares, h.at(-1), readout, batch, units, values);
    let loss = 0, right = 0;
    rows.forEach(({ target }, row) => {
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

  // The gradient of the loss by the weights: back through the last batch, then the one before.
  differentiate(traces) {
    const { batch, units, values, shares, gradient } = this;
    for (const sum of Object.values(gradient)) sum.fill(0);
    for (let at = 0; at < shares.length; at++) gradient.readoutBias[at % values] += shares[at];
    addOuter(gradient.readout, traces.at(-1).h.at(-1), shares, batch, units, values);
    const dh = new Float64Array(batch * units), dc = new Float64Array(batch * units);
    productWithTransposed(dh, shares, this.weights.readout, batch, units, values);
    for (const trace of traces.reverse()) {
      for (let t = this.window - 1; t >= 0; t--) this.stepBack(trace, t, dh, dc);
    }
  }

  // One step back: dh and dc by the state after step t become those by the state before it.
  stepBack({ rows, c, h, gates, slopes }, t, dh, dc) {
    const { batch, units, gradient } = this, z = gates[t], size = 4 * units;
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
      const to = rows[row].inputs[t] * size;
      for (let k = 0; k < size; k++) {
        gradient.kernel[to + k] += slopes[row * size + k];
        gradient.bias[k] += slopes[row * size + k];
      }
    }
    addOuter(gradient.recurrent, h[t], slopes, batch, units, size);
    productWithTransposed(dh, slopes, this.weights.recurrent, batch, units, size);
  }

  // Adam (Kingma & Ba 2015), as `fused_adam` of echo_jax/core/training.py.
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
