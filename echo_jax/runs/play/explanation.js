// ---------------------------------------------------------------- what a setting can learn

// Batches between the one that was fed the target and its own, as in core/target_place.py.
const batchesBack = ({ lag, window, batch }) => Math.max(0, Math.ceil((lag - window + 1) / batch));

// Where a row can find x(t-n), in the words of the same file.
function placeOf(setting) {
  const { length, batch, lag, window, stateful, through } = setting, back = batchesBack(setting);
  if (lag < window) return "window";
  if (!stateful) return "zeroed";
  if (back * batch > lag) return "skipped";
  if (back >= Math.floor((length - lag) / batch)) return "early";
  return back < through ? "replayed" : "state";
}

// Accuracies and losses (in nats) without training, as in core/chance.py, and the ceiling.
function baselines(setting) {
  const { lag, window, batch, values } = setting, chance = [1 / values, Math.log(values)];
  const blind = lag < window ? data.training.order_blind[values][window - 1] : chance;
  const rows = LENGTH - firstRow(setting);
  const isFed = ["window", "replayed", "state"].includes(placeOf(setting));
  const known = isFed ? 1 - batchesBack(setting) * batch / rows : 0;
  const ceiling = known + (1 - known) / values;
  return { chance, blind, ceiling, answers: FRESH * rows };
}

// A flag of the command line; the values of `stateful` are 1 and 0.
const flag = (name, value) => ({ stateful: value > 0 ? "--stateful" : "--no-stateful" })[name]
  ?? `--${name.replace("_", "-")} ${value}`;

// A template of Python with its {fields}, and then its {options=values} as flags.
const filled = (template, words) => template
  .replace(/\{\{|\}\}|\{(\w+)(:\.2%)?\}/g, (all, name, share) =>
    !name ? all[0] : share ? `${(100 * words[name]).toFixed(2)}%` : words[name])
  .replace(/\{(\w+)=(\w+)\}/g, (_, name, value) => flag(name, value));

// The words of the templates, as `_words` of runs/explanation.py.
function wordsOf(setting) {
  const { lag, window, batch, stateful, through } = setting, back = batchesBack(setting);
  const wider = lag < window ? [] : [`{window=${lag + 1}}`];
  return {
    window, rows: batch, first: firstRow(setting), again: through, enough: back + 1, also: "",
    value: lag ? `the value ${lag} ${lag === 1 ? "step" : "steps"} back` : "the current value",
    batch: back === 1 ? "the batch before" : `the batch ${back} before`,
    cut: through === 1 ? "at the border between batches" : `after ${through} batches`,
    carried: stateful ? filled(data.training.carried, { rows: batch }) : "",
    fix: [...wider, ...(stateful ? ["{stateful=0}"] : [])].join(" with "),
  };
}

// Where the target is and, with an accuracy on fresh sequences, what was learned: as `explain`.
function explain(setting, accuracy = null) {
  const { sentences, why_chance, chance, learned, kept, in_part, not_learned } = data.training;
  const place = placeOf(setting), words = wordsOf(setting);
  if (place in why_chance) return filled(chance, { ...words, why: filled(why_chance[place], words) });
  const where = filled(sentences[place], words);
  if (accuracy === null) return where;
  const { chance: [guess], ceiling, answers } = baselines(setting);
  const above = accuracy > guess + 5 * Math.sqrt(guess * (1 - guess) / answers);
  const isLearned = accuracy >= 0.99 * ceiling;
  const outcome = isLearned ? learned : above ? in_part : not_learned;
  const also = isLearned && place === "state" ? kept : "";
  return `${where} ${filled(outcome, { accuracy, ceiling, guess })}${also}`;
}

// The command line that trains a setting: what differs from part 4.
const commandOf = (setting) => ["echo-jax train", ...Object.entries(data.training.flags)
  .filter(([name, [, usual]]) => setting[name] !== usual)
  .map(([name, [field]]) => flag(field, setting[name]))].join(" ");
