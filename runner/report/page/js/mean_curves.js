// The curves that a metric makes its scores of, as means over questions, where the run kept them.
"use strict";

(() => {
  const { html } = ER.parts;
  const { number } = ER.scores;
  const [WIDTH, HEIGHT] = [320, 120];

  /** What the lowest and the highest mean of a metric are, over all explainers; null where there is none. */
  function extentOf({ curves }) {
    const means = Object.values(curves).flat(2).filter((height) => height !== null);
    return means.length ? ER.scores.extent(means) : null;
  }

  /** A line through means, broken where there is none. */
  function lineOf(across, means, [low, high]) {
    const [first, last] = [across[0], across.at(-1)];
    let drawing = false;
    const steps = means.map((mean, place) => {
      const from = drawing;
      drawing = mean !== null;
      if (!drawing) return "";
      const x = (WIDTH * (across[place] - first)) / (last - first || 1);
      const y = HEIGHT - (HEIGHT * (mean - low)) / (high - low || 1);
      return `${from ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    return steps.join("");
  }

  /** "morf from 0.98 to 0.02". */
  function wordsOf(name, means, span) {
    const known = means.filter((mean) => mean !== null);
    return known.length ? `${name} from ${number(known[0], span)} to ${number(known.at(-1), span)}` : `${name}: none`;
  }

  /** The mean curves of a metric, a figure for each explainer, all on one scale; nothing where the run kept none. */
  function MeanCurves({ run, metric }) {
    const kept = run.summary.curves?.[run.metrics[metric].name];
    const ends = kept && extentOf(kept);
    if (!ends) return null;
    const names = Object.keys(kept.curves);
    const legend = names.length > 1 ? ` ${names[0]} is the full line, ${names[1]} the dashed one.` : "";
    return html`<h3>Mean curve</h3>
      <p>What the scores are made of: ${names.join(" and ")}, as the mean over all questions of the run that have a curve.${legend}</p>
      <div class="histograms">
        ${run.explainers.map((_, explainer) => html`<${CurveFigure} run=${run} kept=${kept} names=${names} explainer=${explainer} ends=${ends} key=${explainer} />`)}
      </div>`;
  }

  function CurveFigure({ run, kept, names, explainer, ends }) {
    const { name, control } = run.explainers[explainer];
    const { across, curves } = kept;
    const span = ends[1] - ends[0];
    const words = `${name}: ${names.map((one) => wordsOf(one, curves[one][explainer], span)).join(", ")}`;
    return html`<figure class="histogram mean-curve">
      <figcaption>${name}${control ? html` <span class="control-mark">control</span>` : null}</figcaption>
      <svg role="img" aria-label=${words} viewBox=${`-2 -2 ${WIDTH + 4} ${HEIGHT + 4}`} width="100%">
        <title>${words}</title>
        <path class="axis" d=${`M0 0V${HEIGHT}H${WIDTH}`} />
        ${names.map((one, place) => html`<path class=${place ? "curve second" : "curve"} d=${lineOf(across, curves[one][explainer], ends)} />`)}
      </svg>
      <p class="scale soft"><span>${number(across[0], 1)}</span><span>height ${number(ends[0], span)} to ${number(ends[1], span)}</span><span>${number(across.at(-1), 1)}</span></p>
    </figure>`;
  }

  Object.assign(ER.scores, { MeanCurves });
})();
