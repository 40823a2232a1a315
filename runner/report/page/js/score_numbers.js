// What the view of scores computes: plain functions of numbers, which draw nothing.
"use strict";

(() => {
  const ALPHA = 0.05; // what a corrected p value must not exceed for a difference to count
  const MOST_BARS = 12; // of a histogram
  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

  /** Least and greatest of the known values; null where there are none. */
  function extent(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (!known(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return low <= high ? [low, high] : null;
  }

  /** How many digits after the point tell values apart that differ by so much. */
  function digitsFor(span) {
    return span > 0 ? Math.min(Math.max(2 - Math.floor(Math.log10(span)), 0), 8) : 3;
  }

  /** a, b, ... z, (27), ...: what the groups of ties are called. */
  const letter = (place) => (place < 26 ? String.fromCharCode(97 + place) : `(${place + 1})`);

  /** An explainer's place in a ranking and the letters of its ties: {place, letters}; null where it has no scores. */
  function placeOf(ranking, name) {
    const found = ranking.places.find(([, other]) => other === name);
    if (!found) return null;
    const letters = ranking.ties.map((group, place) => (group.includes(name) ? letter(place) : "")).join("");
    return { place: found[0], letters };
  }

  /** Which of two explainers is better beyond noise, by name; null for a tie. */
  function better(pair, higherIsBetter) {
    if (!known(pair.p_value) || pair.p_value > ALPHA) return null;
    return pair.mean > 0 === higherIsBetter ? pair.first : pair.second;
  }

  /** Means as shares of the way from the worst (0) to the best (1); null what is not known, or where all are alike. */
  function rescaled(means, higherIsBetter) {
    const ends = extent(means);
    return means.map((mean) => {
      if (!known(mean) || ends[0] === ends[1]) return null;
      const share = (mean - ends[0]) / (ends[1] - ends[0]);
      return higherIsBetter ? share : 1 - share;
    });
  }

  /** Weights of metrics from "1,0.5,0": each 0 to 1, and 1 where none is given. */
  function weightsOf(text, count) {
    const given = text.split(",");
    return Array.from({ length: count }, (_, place) => {
      const weight = Number(given[place]);
      return given[place] && Number.isFinite(weight) ? Math.min(Math.max(weight, 0), 1) : 1;
    });
  }

  /** Weighted means of rescaled scores, best first.
   * `means` are [explainer][metric], null where there is none; `higher` says by metric whether higher is better.
   * Gives for each explainer its place, the score (null where it has none) and the metrics that it lacks. */
  function combined(means, higher, weights) {
    const columns = higher.map((up, metric) => rescaled(means.map((row) => row[metric]), up));
    const used = higher.map((_, metric) => metric).filter((metric) => weights[metric] > 0 && columns[metric].some(known));
    const scores = means.map((_, explainer) => {
      const own = used.filter((metric) => known(columns[metric][explainer]));
      const weight = own.reduce((sum, metric) => sum + weights[metric], 0);
      const total = own.reduce((sum, metric) => sum + weights[metric] * columns[metric][explainer], 0);
      return { explainer, score: weight > 0 ? total / weight : null, lacking: used.filter((metric) => !own.includes(metric)) };
    });
    return { used, scores: scores.sort((one, two) => (two.score ?? -1) - (one.score ?? -1) || one.explainer - two.explainer) };
  }

  /** By label {mean, count, unscored} of scores, where labels say what each is about. */
  function labelMeans(scores, labels) {
    const found = new Map();
    scores.forEach((score, question) => {
      if (!found.has(labels[question])) found.set(labels[question], { sum: 0, count: 0, unscored: 0 });
      const entry = found.get(labels[question]);
      if (known(score)) {
        entry.sum += score;
        entry.count += 1;
      } else entry.unscored += 1;
    });
    for (const entry of found.values()) entry.mean = entry.count ? entry.sum / entry.count : null;
    return found;
  }

  /** Edges of at most so many bars over a span, at round numbers: 0, 0.1, 0.2, ... */
  function roundEdges([low, high], most = MOST_BARS) {
    if (low === high) return roundEdges(low >= 0 && low <= 1 ? [0, 1] : [low - Math.abs(low) / 2, low + Math.abs(low) / 2], most);
    const span = high - low;
    const power = 10 ** Math.floor(Math.log10(span / most));
    for (const factor of [1, 2, 2.5, 5, 10, 20]) {
      const step = factor * power;
      const first = Math.floor(low / step + 1e-9);
      const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
      if (last - first <= most)
        return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
    }
    return [low, high];
  }

  /** How many values lie between each edge and the next: {low, high, count, to}. A value on an edge belongs to the bar
   * above it, but the last; `to` is the end of a range, ends included, that takes a bar's values and no others. */
  function histogram(values, edges) {
    const bars = edges.slice(0, -1).map((low, place) => ({ low, high: edges[place + 1], count: 0, most: low, onEdge: false }));
    for (const value of values) {
      if (!known(value)) continue;
      let place = bars.length - 1;
      while (place > 0 && value < edges[place]) place -= 1;
      bars[place].count += 1;
      bars[place].most = Math.max(bars[place].most, value);
      bars[place].onEdge ||= value === edges[place];
    }
    return bars.map(({ low, high, count, most }, place) => ({ low, high, count, to: bars[place + 1]?.onEdge ? most : high }));
  }

  /** Ranks from 1, equal values sharing the mean of theirs. */
  function ranks(values) {
    const sorted = Float64Array.from(values).sort();
    const rankOf = new Map();
    for (let start = 0; start < sorted.length; ) {
      let end = start + 1;
      while (end < sorted.length && sorted[end] === sorted[start]) end += 1;
      rankOf.set(sorted[start], (start + 1 + end) / 2);
      start = end;
    }
    return Float64Array.from(values, (value) => rankOf.get(value));
  }

  /** Spearman's rank correlation over what both know; null for fewer than 3 values, or where one is the same all over. */
  function spearman(one, two, rank = ranks) {
    const all = one.every(known) && two.every(known);
    const both = all ? null : Array.from(one.keys()).filter((place) => known(one[place]) && known(two[place]));
    const [first, second] = [one, two].map((values) => (all ? rank(values) : ranks(both.map((place) => values[place]))));
    const middle = (first.length + 1) / 2;
    let [product, left, right] = [0, 0, 0];
    for (let place = 0; place < first.length; place++) {
      product += (first[place] - middle) * (second[place] - middle);
      left += (first[place] - middle) ** 2;
      right += (second[place] - middle) ** 2;
    }
    return first.length > 2 && left > 0 && right > 0 ? product / Math.sqrt(left * right) : null;
  }

  /** How far metrics order questions alike: rank correlations, each the mean over explainers; null where none is known.
   * `scores` are [explainer][metric][question]; a metric in which lower is better counts the other way round. */
  function metricAgreement(scores, higher) {
    const ranked = new Map(); // each metric is compared with all others
    const rank = (values) => ranked.get(values) ?? ranked.set(values, ranks(values)).get(values);
    const correlation = (one, two) => {
      const sign = higher[one] === higher[two] ? 1 : -1;
      const found = scores.map((of) => spearman(of[one], of[two], rank)).filter(known);
      return found.length ? (sign * found.reduce((sum, value) => sum + value, 0)) / found.length : null;
    };
    const matrix = higher.map(() => Array(higher.length).fill(null));
    higher.forEach((_, one) => {
      for (let two = 0; two <= one; two++) matrix[one][two] = matrix[two][one] = correlation(one, two);
    });
    return matrix;
  }

  /** At most so many of many values, evenly spread. */
  function spread(values, most) {
    if (values.length <= most) return values;
    return Array.from({ length: most }, (_, place) => values[Math.floor((place * values.length) / most)]);
  }

  /** How often each cell of the confusion matrix occurs: {isTrue, predicted, count}, the most frequent first. */
  function confusions(cellsOfSamples) {
    const found = new Map();
    for (const cells of cellsOfSamples) {
      for (const [isTrue, predicted] of cells) {
        const key = `${isTrue},${predicted}`;
        if (!found.has(key)) found.set(key, { isTrue, predicted, count: 0 });
        found.get(key).count += 1;
      }
    }
    return Array.from(found.values()).sort(
      (one, two) => two.count - one.count || one.isTrue - two.isTrue || one.predicted - two.predicted,
    );
  }

  ER.scores = {
    extent, digitsFor, letter, placeOf, better, rescaled, weightsOf, combined, labelMeans, roundEdges, histogram,
    ranks, spearman, metricAgreement, spread, confusions, known,
  };
})();
