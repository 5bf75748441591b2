// ---------------------------------------------------------------- the network

const SPACE = "␣"; // how a space is shown
const floats = (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};

// A trained LSTM that is fed one token at a time. Its weights are arrays, or in base64.
class Network {
  constructor(data) {
    Object.assign(this, data);
    this.values = data.values.map((value) => (value === " " ? SPACE : value));
    this.weights = {};
    for (const [name, weight] of Object.entries(data.weights)) {
      this.weights[name] = typeof weight === "string" ? floats(weight) : weight;
    }
  }

  zero() {
    return { c: new Float64Array(this.units), h: new Float64Array(this.units) };
  }

  // One step, as in echo_jax/cells/vector_state/lstm.py, with the gates i f g o side by side:
  //   z = x W + b + h U      c' = sigmoid(f) c + sigmoid(i) tanh(g)      h' = sigmoid(o) tanh(c')
  step({ c, h }, token) {
    const { units, weights: { kernel, recurrent, bias } } = this, gates = 4 * units;
    const z = Float64Array.from(bias, (b, k) => b + kernel[token * gates + k]);
    addProduct(z, h, recurrent, 1, units, gates);
    const next = this.zero();
    for (let u = 0; u < units; u++) {
      const [i, f, g, o] = [z[u], z[units + u], z[2 * units + u], z[3 * units + u]];
      next.c[u] = logistic(f) * c[u] + logistic(i) * Math.tanh(g);
      next.h[u] = logistic(o) * Math.tanh(next.c[u]);
    }
    return next;
  }

  // The probabilities of all values: the softmax of a dense layer on h.
  probabilities(h) {
    const { readout, readoutBias } = this.weights, logits = Float64Array.from(readoutBias);
    addProduct(logits, h, readout, 1, this.units, logits.length);
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
  constructor(network, tokens = []) {
    this.network = network;
    this.state = network.start();
    this.moments = [];
    this.right = this.asked = 0;
    tokens.forEach((token) => this.feed(token));
  }

  feed(token) {
    const before = this.state, { lag } = this.network;
    const { state, steps, answer } = this.network.feed(before, token);
    const asked = lag > 0 ? this.moments.at(-lag) : lag === 0 ? { token } : undefined;
    const truth = asked ? asked.token : null;
    const right = answer && truth !== null ? answer.token === truth : null;
    this.state = state;
    this.moments.push({ token, before, steps, answer, truth, right });
    if (this.moments.length > Math.max(64, lag + 1)) this.moments.shift();
    this.asked += Number(right !== null);
    this.right += Number(right);
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
