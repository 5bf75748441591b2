// ---------------------------------------------------------------- the network

const SPACE = "␣"; // how a space is shown
const floats = (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};

// A trained LSTM that is fed one token at a time. Its weights are arrays, or in base64.
class Network {
  constructor(data) {
    const values = data.values.map((value) => (value === " " ? SPACE : value));
    const weights = Object.fromEntries(Object.entries(data.weights)
      .map(([name, weight]) => [name, typeof weight === "string" ? floats(weight) : weight]));
    Object.assign(this, data, { values });
    this.lstm = new Lstm({ ...data, weights, values: values.length, batch: 1 }, data.window);
  }

  // Before the first token. A lane is the state of one of the last rows, or null for zero; the oldest
  // comes first.
  start() {
    const lanes = this.layout === "streams" || !this.stateful ? 1 : this.batch;
    return { seen: 0, window: [], lanes: Array(lanes).fill(null) };
  }

  // The next token, as in echo_jax/echo/token_by_token.py: the state after it, the steps, the answer.
  feed({ seen, window, lanes }, token) {
    const streams = this.layout === "streams";
    const full = this.layout === "windows" ? this.window - 1 : 0;
    const exists = seen >= Math.max(full, this.lag);
    window = [...window, token].slice(-this.window);
    let row = streams ? [token] : window;
    if (this.missing === "token") {
      row = [...Array(this.window - row.length).fill(this.values.length), ...row];
    }
    const lane = this.stateful || (streams && seen % this.window !== 0) ? lanes[0] : null;
    if (!streams && !exists) row = [];
    if (row.length) this.lstm.loss({ inputs: [row], targets: [-1] }, lane);
    const steps = row.map((input, place) => ({ token: input, ...this.lstm.after(place + 1) }));
    const next = { seen: seen + 1, window, lanes: [...lanes.slice(1), steps.at(-1) ?? lane] };
    if (!exists) return { state: next, steps, answer: null };
    const probabilities = this.lstm.shares.slice();
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

  // What another value in the place of the one that is asked for changes in each step.
  waiting() {
    const { lag, values } = this.network, since = lag < 0 ? Infinity : this.moments.length - 1 - lag;
    let state = this.moments[since]?.before;
    return this.moments.map(({ token, steps }, place) => {
      const changed = place === since ? (token + 1) % values.length : token;
      const other = place < since ? { state, steps } : this.network.feed(state, changed);
      state = other.state;
      const change = (kind, k) => steps[k][kind].map((x, unit) => x - other.steps[k][kind][unit]);
      return steps.map((step, k) => ({ token: step.token, c: change("c", k), h: change("h", k) }));
    });
  }
}
