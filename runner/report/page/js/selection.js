// Which samples are listed, and in which order.
"use strict";

(() => {
  const KEYS = ["find", "true", "predicted", "flag", "cell", "range", "sort", "down", "show"];
  let last = { key: null, places: null };

  /** Places of the samples that pass all filters, in order. */
  function chosen(run, state) {
    const key = `${run.name} ${KEYS.map((name) => state[name]).join(" ")}`;
    if (last.key !== key) last = { key, places: sorted(run, state, filtered(run, state)) };
    return last.places;
  }

  function filtered(run, state) {
    const tests = [byId(run, state), byLabel(run, state), byCell(run, state), byRange(run, state)].filter(Boolean);
    const places = Array.from({ length: run.count }, (_, place) => place);
    return tests.length ? places.filter((place) => tests.every((test) => test(place))) : places;
  }

  function byId(run, { find }) {
    const wanted = find.trim();
    return wanted ? (place) => String(run.ids[place]).includes(wanted) : null;
  }

  function byLabel(run, state) {
    if (!state.true && !state.predicted && !state.flag) return null;
    const [wantedTrue, wantedPredicted, flags] = [numbers(state.true), numbers(state.predicted), flagsOf(state)];
    return (place) => {
      const labels = run.labels(place);
      const isTrue = !wantedTrue.length || labels.some((one) => one.isTrue && wantedTrue.includes(one.label));
      const isPredicted = !wantedPredicted.length || labels.some((one) => one.isPredicted && wantedPredicted.includes(one.label));
      return isTrue && isPredicted && (!flags.length || labels.some((one) => flags.includes(one.flag)));
    };
  }

  const numbers = (text) => (text ?? "").split(",").filter(Boolean).map(Number);
  const flagsOf = ({ flag }) => (flag ?? "").split(",").filter(Boolean);

  /** True and predicted labels of a sample as the confusion matrix counts them: [true, predicted] pairs; of several
   * labels those that were right pair with themselves, and the others with one another; -1 is none. A sample without a
   * true label has no pairs. */
  function cells(labels) {
    const right = labels.filter((one) => one.flag === "TP").map((one) => [one.label, one.label]);
    const missed = labels.filter((one) => one.flag === "FN");
    const wrong = labels.filter((one) => one.flag === "FP");
    const pairs = missed.flatMap((one) => (wrong.length ? wrong : [{ label: -1 }]).map((two) => [one.label, two.label]));
    const extra = right.length && !missed.length ? wrong.map((one) => [-1, one.label]) : [];
    return [...right, ...pairs, ...extra];
  }

  function byCell(run, { cell }) {
    if (cell === null) return null;
    const [wantedTrue, wantedPredicted] = cell.split(",").map(Number);
    return (place) => cells(run.labels(place)).some(([one, two]) => one === wantedTrue && two === wantedPredicted);
  }

  /** "0,1,0.2,0.8" as explainer, metric, least and greatest score; null where it is none of this run. */
  function rangeOf(run, text) {
    const [explainer, metric, low, high] = text.split(",").map(Number);
    const known = run.scores[explainer]?.[metric] && Number.isFinite(low) && Number.isFinite(high);
    return text && known ? { explainer, metric, low, high } : null;
  }

  function byRange(run, state) {
    const range = rangeOf(run, state.range);
    if (!range) return null;
    const scores = run.scores[range.explainer][range.metric];
    return (place) => run.questions(place).some((question) => within(scores[question], range));
  }

  const within = (score, { low, high }) => score >= low && score <= high;

  /** What samples can be sorted by: id, probability, uncertainty, disagreement, and "score.e.m". */
  function sorted(run, state, places) {
    const value = valueOf(run, state.sort);
    if (!value) return state.down ? places.reverse() : places;
    const values = new Map(places.map((place) => [place, value(place)]));
    const direction = state.down ? -1 : 1;
    return places.sort((one, two) => ordered(values.get(one), values.get(two), direction) || one - two);
  }

  // What is not known comes last, whichever way one sorts.
  function ordered(one, two, direction) {
    if (Number.isNaN(one) || Number.isNaN(two)) return Number.isNaN(one) - Number.isNaN(two);
    return direction * (one - two);
  }

  function valueOf(run, sort) {
    const { disagreement } = run.columns;
    const worst = (values, pick) => (values.length ? pick(...values) : NaN);
    if (sort === "probability") return (place) => run.labels(place)[0]?.probability ?? NaN;
    if (sort === "uncertainty") return (place) => worst(run.labels(place).map((one) => one.spread?.[0] ?? NaN), Math.max);
    if (sort === "disagreement")
      return (place) => worst(known(run.questions(place).map((question) => disagreement[question])), Math.max);
    const [, explainer, metric] = sort.split(".");
    const scores = sort.startsWith("score.") ? run.scores[explainer]?.[metric] : null;
    if (!scores) return null;
    return (place) => {
      const found = known(run.questions(place).map((question) => scores[question]));
      return found.length ? ER.model.mean(found) : NaN;
    };
  }

  const known = (values) => values.filter((value) => !Number.isNaN(value));

  ER.selection = { chosen, cells, rangeOf, numbers, flagsOf };
})();
