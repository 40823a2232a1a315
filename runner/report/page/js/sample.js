// One sample enlarged: its labels, and all methods side by side.
"use strict";

(() => {
  const { html, Choice, CopyButton, Flag, Modal, percent, shown, Table } = ER.parts;
  const { comparedWords, standing, Strip } = ER.distribution;
  const { useEffect, useRef } = preactHooks;
  const ZOOMS = [[0, "suitable"], [1, "as computed"], ...[2, 3, 4, 8].map((times) => [times, `${times} times that`])];

  function SampleDialog({ run, state }) {
    const sample = run.places.get(state.sample);
    const labels = run.labels(sample);
    const picked = labels.find((one) => one.label === state.label && one.question >= 0) ?? ER.samples.pickedLabel(run, sample, state.pick);
    useFocusBack(run, state.sample);
    return html`<${Modal} name="enlarged" title=${`Sample ${state.sample}`} actions=${html`<${Steps} run=${run} state=${state} sample=${sample} />`} onClose=${close}>
      <div class="about">
        <${Labels} run=${run} labels=${labels} picked=${picked} sample=${sample} />
        ${picked ? html`<${Disagreement} run=${run} picked=${picked} />` : html`<p class="missing">No label of this sample was explained, so there are no maps.</p>`}
      </div>
      <div class="side-by-side">
        <div class="look">
          <${ER.LookControls} run=${run} state=${state} />
          ${run.summary.map_size ? html`<${Choice} label="Size of maps" name="zoom" value=${state.zoom} options=${ZOOMS} onChange=${(zoom) => ER.state.set({ zoom: Number(zoom) })} />` : null}
        </div>
        <${ER.sampleMaps.Maps} run=${run} sample=${sample} picked=${picked} state=${state} />
        ${picked ? html`<${Words} run=${run} /><${ScoreTable} run=${run} picked=${picked} />` : null}
        ${run.summary.nearest_samples ? html`<${ER.nearestSamples.Nearest} run=${run} sample=${sample} />` : null}
      </div>
    <//>`;
  }

  function close() {
    if (ER.state.get().sample !== null) ER.state.set({ sample: null, label: null, at: "" }, { step: true });
  }

  /** After other samples were looked at, the list's focus is on the last of them. */
  function useFocusBack(run, id) {
    const first = useRef({ id, opened: document.activeElement !== document.body });
    const last = useRef(id);
    last.current = id;
    useEffect(
      () => () => {
        const moved = last.current !== first.current.id || !first.current.opened;
        if (moved) setTimeout(() => ER.rows.focusSample(run, last.current)); // after the dialog gave the focus back
      },
      [],
    );
  }

  /** The sample so many places from the one that is enlarged, of those chosen in the list; null past the ends. */
  function neighbour(run, state, by) {
    const places = ER.selection.chosen(run, state);
    const here = places.indexOf(run.places.get(state.sample));
    return (here < 0 ? places.at(by > 0 ? 0 : -1) : places[here + by]) ?? null;
  }

  function step(run, by) {
    const state = ER.state.get();
    const next = neighbour(run, state, by);
    if (next === null) return;
    const label = ER.samples.pickedLabel(run, next, state.pick)?.label ?? null;
    ER.state.set({ sample: run.ids[next], label, at: "" });
  }

  function Steps({ run, state, sample }) {
    const places = ER.selection.chosen(run, state);
    const here = places.indexOf(sample);
    const words = here < 0 ? "not among the samples chosen in the list" : `${here + 1} of ${places.length} chosen`;
    const turn = (by, name, arrow) => html`<button type="button" class="quiet" aria-disabled=${neighbour(run, state, by) === null} onClick=${() => step(run, by)}>${arrow[0]}${name}${arrow[1]}</button>`;
    return html`<span class="steps">
      ${turn(-1, "Previous", ["‹ ", ""])} ${turn(1, "Next", ["", " ›"])}
      <span role="status"><span class="visually-hidden">Sample ${state.sample}: </span>${words}</span>
      <${CopyButton} text=${() => location.href.split("#")[0] + ER.state.address({})}>Copy link<//>
    </span>`;
  }

  function Labels({ run, labels, picked, sample }) {
    const spread = labels.some((one) => one.spread);
    const passes = run.summary.uncertainty;
    return html`<h3>Labels</h3>
      ${run.columns.computed[sample] ? null : html`<p class="missing">The network gave no numbers for this sample.</p>`}
      <ul class="label-list">
        ${labels.map((one) => html`<li key=${one.label}><${Label} one=${one} picked=${picked} /></li>`)}
      </ul>
      ${labels.length ? null : html`<p class="missing">It has no labels.</p>`}
      <dl class="flag-words">
        ${[...new Set(labels.map((one) => one.flag))].filter(Boolean).map((flag) => html`<dt><${Flag} flag=${flag} /></dt><dd>${ER.parts.FLAG_WORDS[flag]}</dd>`)}
      </dl>
      ${spread ? html`<p class="soft">The bars go from 0 to 100 %, with a notch at 50 %, above which a label counts as predicted. The dot is the probability; the thick part holds 95 % of the probabilities that the network gives with some of its units left out at random (${passes} passes); ± is their standard deviation.</p>` : null}`;
  }

  function Label({ one, picked }) {
    const words = html`<${Flag} flag=${one.flag} /><span class="name">${one.name}</span>
      <span class="chance">${percent(one.probability)}${one.spread ? ` ± ${shown(100 * one.spread[0], 1)}` : ""}</span>
      ${one.spread ? html`<${Interval} one=${one} />` : null}`;
    if (one.question < 0) return html`<span class="label plain">${words}<span class="why">no map was made for this label</span></span>`;
    const choose = () => ER.state.set({ label: one.label });
    return html`<button type="button" class="label" aria-pressed=${picked?.label === one.label} onClick=${choose}>${words}</button>`;
  }

  /** A label's probability and the interval of 95 % around it. */
  function Interval({ one }) {
    const [, low, high] = one.spread;
    if (Number.isNaN(low)) return null;
    const at = (share) => 2 + 96 * share;
    return html`<svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${`95 % between ${percent(low)} and ${percent(high)}`}>
        <title>95 % between ${percent(low)} and ${percent(high)}</title>
        <path class="track" d="M2 5H98M50 1V9" />
        <path class="held" d=${`M${at(low)} 5H${at(high)}`} />
        <path class="here" d=${`M${at(one.probability)} 5h0.01`} />
      </svg>
      <span class="why" aria-hidden="true">95 %: ${percent(low)} to ${percent(high)}</span>`;
  }

  /** How far the methods' maps are from one another. */
  function Disagreement({ run, picked }) {
    const values = run.columns.disagreement;
    const value = values[picked.question];
    if (run.pictured.length < 2) return null;
    const words = comparedWords(values, value, { than: "more than for", what: "questions" });
    return html`<h3>Disagreement of methods</h3>
      <p>
        <b>${shown(value, 2)}</b> <${Strip} values=${values} value=${value} words=${words} />
        <span class="soft">${Number.isNaN(value) ? "Fewer than two maps can be compared." : `0 is the same order of pixels in all maps, 1 no relation. ${words ? `It is ${words}.` : ""}`}</span>
      </p>`;
  }

  function Words({ run }) {
    return html`<p class="soft">
      ${run.metrics.length ? "Scores: the columns show how all scores of the method spread over the run's questions, better ones on the right; the line is this question's. Bold is the best of the methods here. " : ""}
      Move over a map, or go to it with Tab and use the arrow keys (with Shift ten pixels at a time; Home: its largest value), to read its values, each right to 0.8 % of the map's largest. A click keeps the crosshair, also in the link.
    </p>`;
  }

  function ScoreTable({ run, picked }) {
    if (!run.metrics.length) return null;
    const columns = ["Method", ...run.metrics.map(({ name, higher_is_better }) => `${name} (${higher_is_better ? "high" : "low"} is good)`)];
    const rows = run.explainers.map(({ name, control }, explainer) => [
      control ? `${name} (control)` : name,
      ...run.metrics.map((_, metric) => scoreCell(standing(run, explainer, metric, picked.question))),
    ]);
    return html`<details class="as-table">
      <summary>All scores of this question as a table</summary>
      <${Table} name="question" caption=${`Scores of the maps for ${picked.name}, and their places among the methods`} columns=${columns} rows=${rows} />
    </details>`;
  }

  function scoreCell({ value, place, methods, words }) {
    if (Number.isNaN(value)) return { text: NaN, shown: "not computed" };
    return { text: value, shown: html`<span title=${words}>${shown(value)} <span class="soft">${place}/${methods}</span></span>` };
  }

  ER.sample = { SampleDialog, step };
})();
