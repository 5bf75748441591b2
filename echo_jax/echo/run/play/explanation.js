// ---------------------------------------------------------------- what a setting can learn

// What the package says of a setting: the place where a row can find its target, the share of the
// targets that are known there, and the numbers of its sentences.
function toldOf({ lag, window, batch, stateful, through }) {
  const [place, known, numbers] = data.training.told[[lag, window, batch, stateful, through]];
  return { place, known, numbers };
}

// Accuracies and losses (in nats) without training, as in echo/chance.py, and the ceiling.
function baselines(setting) {
  const { lag, window, values } = setting, chance = [1 / values, Math.log(values)];
  const blind = lag < window ? data.training.order_blind[values][window - 1] : chance;
  const { known } = toldOf(setting);
  return { chance, blind, ceiling: known + (1 - known) / values };
}

// True where an accuracy on fresh sequences is beyond what chance explains, as in explanation.py.
function isAbove(guess, accuracy, setting) {
  const answers = FRESH * (LENGTH - firstRow(setting));
  return accuracy > guess + 5 * Math.sqrt(guess * (1 - guess) / answers);
}

// The right answers to fresh sequences, in words. Digits of a guess would be noise.
const rightOf = (guess, accuracy, setting) => isAbove(guess, accuracy, setting)
  ? `${percent(accuracy)} right` : `about ${100 * guess}% right, by chance`;

// Where the target is and, with an accuracy on fresh sequences, what was learned: as `explain`.
function explain(setting, accuracy = null) {
  const { place, known, numbers } = toldOf(setting), { sentences, outcomes } = data.training;
  const where = numbers.map((number) => sentences[number]).join(" ");
  if (accuracy === null) return where;
  const { chance, blind, ceiling } = baselines(setting);
  const exceeds = accuracy > ceiling + 5e-5 ? ` ${outcomes.exceeds}` : "";
  if (known === 0) return where + exceeds;
  const guess = blind[0] < ceiling - 1e-9 ? Math.max(chance[0], blind[0]) : chance[0];
  const isLearned = accuracy >= 0.99 * ceiling, isPart = isAbove(guess, accuracy, setting);
  const isLittle = accuracy - guess < outcomes.little_share * (ceiling - guess);
  const part = isLittle ? "little" : "in_part";
  const outcome = outcomes[isLearned ? "learned" : isPart ? part : "not_learned"];
  const shares = { accuracy, ceiling, guess };
  const guessed = outcomes.guesses[guess > chance[0] + 1e-9 ? 1 : 0];
  const filled = outcome.replace("{guessed}", guessed).replace(/\{(\w+):\.2%\}/g,
    (_, name) => `${(100 * shares[name]).toFixed(2)}%`);
  if (!isLearned || place !== "state") return `${where} ${filled}${exceeds}`;
  return `${where.replace(/ Use .*/, "")} ${filled}${outcomes.kept}${exceeds}`; // the fix is not needed
}

// The command line that trains a setting: what differs from part 4.
function commandOf(setting) {
  const flag = (field, value) => (field === "stateful" ? (value ? "--stateful" : "--no-stateful")
    : `--${field.replace("_", "-")} ${value}`);
  const changed = Object.entries(data.training.flags)
    .filter(([name, [, usual]]) => setting[name] !== usual);
  const flags = changed.map(([name, [field]]) => flag(field, setting[name]));
  return ["echo-jax train", ...flags].join(" ");
}
