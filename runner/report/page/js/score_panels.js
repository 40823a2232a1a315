// The combined score of weighted metrics, and how the scores of a metric are distributed.
"use strict";

(() => {
  const { html, Slider, Table } = ER.parts;
  const { known, number, Bar } = ER.scores;
  const HEIGHT = 64; // pixels of the highest bar

  /** One score of all metrics, each with a weight. */
  function Combined({ run, state }) {
    const weights = ER.scores.weightsOf(state.weights, run.metrics.length);
    const means = run.summary.scores.map((of) => of.map((found) => found.mean));
    const { used, scores } = ER.scores.combined(means, run.metrics.map((metric) => metric.higher_is_better), weights);
    const turn = (place, weight) => ER.state.set({ weights: weights.map((old, at) => (at === place ? weight : old)).join(",") });
    return html`<p>In each metric the worst explainer gets 0 and the best 1, whichever way the metric goes; the others lie between as their means do. The combined score is the weighted mean of those. It depends on which explainers there are, and no test was made of it: small differences may be noise.</p>
      <fieldset class="chips weights">
        <legend>Weights</legend>
        ${run.metrics.map(({ name }, place) => html`<${Slider} label=${name} name=${`weight-${place}`} value=${weights[place]} step=${0.01} words=${weights[place].toFixed(2)} onInput=${(weight) => turn(place, weight)} />`)}
        <button type="button" onClick=${() => ER.state.set({ weights: "" })} disabled=${state.weights === ""}>Reset weights</button>
      </fieldset>
      ${used.length ? html`<${CombinedTable} run=${run} used=${used} scores=${scores} />` : html`<p>${noneUsed(run, weights)}</p>`}
      <${Alike} run=${run} weights=${weights} used=${used} />`;
  }

  function noneUsed(run, weights) {
    if (weights.every((weight) => weight === 0)) return "All weights are 0.";
    return "In no weighted metric do two explainers have different means.";
  }

  /** Metrics with a weight that part no explainers. */
  function Alike({ run, weights, used }) {
    const left = run.metrics.filter((_, place) => weights[place] > 0 && !used.includes(place)).map(({ name }) => name);
    if (!used.length || !left.length) return null;
    return html`<p class="soft">${left.join(", ")} ${left.length === 1 ? "does" : "do"} not count: all explainers have the same mean, or no two have one.</p>`;
  }

  function CombinedTable({ run, used, scores }) {
    const lack = scores.some(({ lacking }) => lacking.length);
    const columns = ["Explainer", "Combined score", ...(lack ? ["Lacks"] : [])];
    const rows = scores.map((row) => combinedRow(run, used, row).slice(0, columns.length));
    return html`<${Table} name="combined" caption="Combined score, the best first" columns=${columns} rows=${rows} />
      ${lack ? html`<p class="soft">Where a score is lacking, the mean is over fewer metrics, and the bar is hollow. To compare all explainers over the same metrics, set the weight of those to 0.</p>` : null}`;
  }

  function combinedRow(run, used, { explainer, score, lacking }) {
    const bar = score === null ? "–" : html`<${Bar} share=${score} words=${score.toFixed(3)} partly=${lacking.length > 0} />`;
    const names = lacking.map((place) => run.metrics[place].name).join(", ");
    const partly = lacking.length ? `no score in ${names}: the mean of ${used.length - lacking.length} of ${used.length} metrics` : "";
    const words = score === null ? "no score in any weighted metric" : partly;
    return [ER.scores.nameCell(run.explainers[explainer]), { text: score, shown: bar }, { text: words, shown: html`<span class="soft">${words}</span>` }];
  }

  /** Histograms of all explainers in a metric, on one scale: {edges, all, most}; null where nothing is scored. */
  function histogramsOf(run, metric) {
    const ends = ER.scores.extent(run.scores.flatMap((of) => ER.scores.extent(of[metric]) ?? []));
    if (!ends) return null;
    const edges = ER.scores.roundEdges(ends);
    const all = run.scores.map((of) => ER.scores.histogram(of[metric], edges));
    return { edges, all, most: Math.max(...all.flatMap((bars) => bars.map(({ count }) => count))) };
  }

  /** A histogram for each explainer. */
  function Distributions({ run, metric }) {
    const found = preactHooks.useMemo(() => histogramsOf(run, metric), [run, metric]);
    if (!found) return html`<p>${run.metrics[metric].name} has no score at all in this page.</p>`;
    const { edges, all, most } = found;
    return html`<p>How many questions have which score. Click a bar, or move to it with the arrow keys and press Enter, to see its samples.<${ER.scores.OfThisPage} run=${run} /></p>
      <div class="histograms">
        ${run.explainers.map((_, explainer) => html`<${Histogram} run=${run} metric=${metric} explainer=${explainer} bars=${all[explainer]} edges=${edges} most=${most} key=${explainer} />`)}
      </div>`;
  }

  function Histogram({ run, metric, explainer, bars, edges, most }) {
    const { name, control } = run.explainers[explainer];
    const span = edges.at(-1) - edges[0];
    const unscored = run.scores[explainer][metric].reduce((count, score) => count + !known(score), 0);
    const first = bars.findIndex(({ count }) => count > 0);
    const label = `${name}: questions by ${run.metrics[metric].name}`;
    return html`<figure class="histogram">
      <figcaption>${name}${control ? html` <span class="control-mark">control</span>` : null}</figcaption>
      <div class="bars" role="group" aria-label=${label} onKeyDown=${step}>
        ${bars.map((bar, place) => html`<${HistogramBar} bar=${bar} span=${span} height=${Math.ceil((HEIGHT * bar.count) / most)} range=${[explainer, metric, bar.low, bar.to].join(",")} stop=${place === first} />`)}
      </div>
      <p class="scale soft"><span>${number(edges[0], span)}</span>${unscored ? html`<span>${unscored} not scored</span>` : null}<span>${number(edges.at(-1), span)}</span></p>
    </figure>`;
  }

  // A bar has room for four signs.
  const brief = (count) => (count < 1000 ? `${count}` : `${(count / 1000).toFixed(count < 9950 ? 1 : 0)}k`);

  function HistogramBar({ bar, span, height, range, stop }) {
    if (!bar.count) return html`<span class="bar-place"></span>`;
    const words = `${number(bar.low, span)} to ${number(bar.high, span)}: ${ER.scores.counted(bar.count, "question")}`;
    const changes = { ...ER.scores.NO_FILTER, view: "samples", range, top: 0 };
    return html`<a class="bar-place" href=${ER.state.address(changes)} tabindex=${stop ? 0 : -1} title=${words} aria-label=${`${words}; show the samples`} onClick=${(event) => ER.scores.follow(event, changes)}
      ><span class="times" data-count=${brief(bar.count)}></span><svg aria-hidden="true" width="100%" height=${height}><rect width="100%" height="100%" /></svg></a
    >`;
  }

  // One bar is a stop of the Tab key, the others are reached by arrows: a dozen explainers have a hundred bars.
  function step(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const bars = Array.from(event.currentTarget.querySelectorAll("a"));
    const next = bars[bars.indexOf(document.activeElement) + move];
    if (!move || !next) return;
    event.preventDefault();
    bars.forEach((bar) => (bar.tabIndex = bar === next ? 0 : -1));
    next.focus();
  }

  Object.assign(ER.scores, { Combined, Distributions });
})();
