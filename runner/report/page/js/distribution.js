// Where one score stands among those of all questions.
"use strict";

(() => {
  const { html } = ER.parts;
  const BINS = 12;
  const kept = new WeakMap();

  /** Of some values those that are known: how many, the least, the greatest, and counts of equal steps between them. */
  function distribution(values) {
    if (!kept.has(values)) kept.set(values, counted(values));
    return kept.get(values);
  }

  function counted(values) {
    const known = values.filter((value) => !Number.isNaN(value));
    const low = known.reduce((one, two) => Math.min(one, two), Infinity);
    const high = known.reduce((one, two) => Math.max(one, two), -Infinity);
    const bins = new Uint32Array(BINS);
    for (const value of known) bins[binOf(value, low, high)]++;
    return { count: known.length, low, high, bins };
  }

  const shareOf = (value, low, high) => (high > low ? (value - low) / (high - low) : 0.5);
  const binOf = (value, low, high) => Math.min(Math.floor(BINS * shareOf(value, low, high)), BINS - 1);

  /** How many of the other known values are below one of them, equal to it and above it. */
  function compared(values, value) {
    const found = { below: 0, equal: -1, above: 0 };
    for (const one of values) {
      if (one < value) found.below++;
      else if (one > value) found.above++;
      else if (one === value) found.equal++;
    }
    return found;
  }

  /** "better than 60 % of the other 14 scores, equal to 10 %". */
  function comparedWords(values, value, { flip = false, than = "better than", what = "scores" } = {}) {
    const { below, equal, above } = compared(values, value);
    const others = below + equal + above;
    if (others < 1) return "";
    const share = (count) => `${Math.round((100 * count) / others)} %`;
    const all = `${than} ${share(flip ? above : below)} of the other ${others} ${what}`;
    return equal ? `${all}, equal to ${share(equal)}` : all;
  }

  /** Small columns for all values and a line at one of them. `flip` where small values belong on the right. */
  function Strip({ values, value, flip = false, words }) {
    const { low, high, bins, count } = distribution(values);
    if (Number.isNaN(value) || count < 2) return html`<span class="strip"></span>`;
    const most = bins.reduce((one, two) => Math.max(one, two));
    const share = shareOf(value, low, high);
    const at = 1 + 58 * (flip ? 1 - share : share);
    const columns = Array.from(flip ? bins.toReversed() : bins, (times, place) => {
      const height = times ? 1 + (13 * times) / most : 0;
      return html`<rect x=${5 * place + 0.5} y=${15 - height} width="4" height=${height} />`;
    });
    return html`<svg class="strip" viewBox="0 0 60 16" role="img" aria-label=${words}>
      <title>${words}</title>
      ${columns}
      <path d=${`M0 15.5H60`} />
      <path class="here" d=${`M${at} 0V16`} />
    </svg>`;
  }

  /** How a question's score stands: among the same explainer's scores, and among those of all explainers for it. */
  function standing(run, explainer, metric, question) {
    const value = run.score(explainer, metric, question);
    const flip = !run.metrics[metric].higher_is_better;
    const values = run.scores[explainer][metric];
    const others = run.scores.map((of) => of[metric][question]).filter((one) => !Number.isNaN(one));
    const place = 1 + others.filter((one) => (flip ? one < value : one > value)).length;
    const among = Number.isNaN(value) ? "" : comparedWords(values, value, { flip, what: "scores of this method" });
    const here = `number ${place} of ${others.length} methods here`;
    const words = Number.isNaN(value) ? "not computed" : [among, here].filter(Boolean).join(", ");
    return { value, values, flip, place, methods: others.length, words };
  }

  ER.distribution = { comparedWords, standing, Strip };
})();
