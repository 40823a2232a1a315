// The steps of hierarchical occlusion for a label of a sample: the original, then a layer after the other; in a strip,
// and one of them enlarged.
"use strict";

(() => {
  const { html, Choice, Flag, Modal, Table, percent, shown, useAsync } = ER.parts;
  const { useEffect, useMemo, useRef } = preactHooks;

  const OUTCOMES = {
    found: ["regions found", "With some regions shown and the rest of the image blurred, the network still sees the label."],
    "blur suffices": ["blur suffices", "The blurred image alone reaches the threshold, so there is nothing to reveal."],
    "not reached": ["not reached", "The threshold was not reached, whichever regions were shown."],
    "below threshold": ["below threshold", "The label's probability on the whole image does not exceed the threshold, so nothing was searched."],
  };

  /** What was found for a question: [{title, probability, boxes}], the original first. */
  function stepsOf(run, question) {
    const original = { title: "Original", probability: run.probabilityOfQuestion[question], boxes: null };
    const layers = run.occlusion.layers(question);
    return [original, ...layers.map(({ probability, boxes }, place) => ({ title: `Layer ${place + 1}`, probability, boxes }))];
  }

  const thresholdOf = (run) => run.summary.hierarchical_occlusion.threshold ?? null;
  const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

  /** A sample's original, but for a step's regions covered. */
  function Covered({ run, question, step, blur, full = false, alt }) {
    const canvas = useRef(null);
    const sample = run.sampleOf(question);
    const sigma = run.occlusion.sigma(question);
    const drawn = useRef(false); // what was drawn stays until its cover of the other kind is there
    const found = useAsync(async () => (await ER.covered.sources(run, sample, full, sigma, blur)) ?? false, [run, sample, full, sigma, blur]);
    useEffect(() => {
      if (!found.value) return;
      ER.covered.draw(canvas.current, found.value, step.boxes);
      drawn.current = true;
    }, [found.value, step.boxes]);
    const missing = found.error || found.value === false;
    const hidden = missing || !(found.value || drawn.current);
    return html`<span class="picture covered" data-ready=${missing ? "none" : found.value ? "1" : "0"}>
      <canvas ref=${canvas} role=${alt ? "img" : null} aria-label=${alt} aria-hidden=${alt ? null : "true"} hidden=${hidden}></canvas>
      ${blur ? html`<${Outlines} boxes=${step.boxes} found=${found.value} />` : null}
      ${missing ? html`<span class="missing">no picture</span>` : null}
    </span>`;
  }

  /** The regions' edges, which a blur in colour leaves hard to see. */
  function Outlines({ boxes, found }) {
    if (!boxes || !found) return null;
    return html`<svg class="outlines" viewBox=${`0 0 ${found.fullWidth} ${found.fullHeight}`} aria-hidden="true">
      ${["under", "line"].map((kind) => boxes.map(([x, y, width, height]) => html`<rect class=${kind} x=${x} y=${y} width=${width} height=${height} />`))}
    </svg>`;
  }

  /** A probability as a bar, with a mark at the threshold. */
  function Meter({ value, threshold }) {
    return html`<span class="meter" aria-hidden="true">
      <span class="filled" style=${{ width: `${100 * (value || 0)}%` }}></span>
      ${threshold === null ? null : html`<span class="mark" style=${{ left: `${100 * threshold}%` }}></span>`}
    </span>`;
  }

  /** All steps from left to right; one that is clicked is passed on by its number. */
  function Strip({ run, question, blur, current = null, onStep, words }) {
    const threshold = thresholdOf(run);
    return html`<ol class="layers" aria-label=${words}>
      ${stepsOf(run, question).map((step, place) => html`<li key=${place}>
        <button type="button" class="step" data-step=${place} aria-current=${current === place ? "step" : null} onClick=${() => onStep(place)}>
          <${Covered} key=${question} run=${run} question=${question} step=${step} blur=${blur} />
          <span class="title">${step.title}</span> <span class="chance">${percent(step.probability)}</span>
          <${Meter} value=${step.probability} threshold=${threshold} />
        </button>
      </li>`)}
    </ol>`;
  }

  /** How covered parts are drawn, in words. */
  function CoverNote({ run, question, blur }) {
    const sigma = question === null ? 0 : run.occlusion.sigma(question);
    const blurred = `blurred here, from the stored JPEG${sigma ? `, with the run's sigma of ${sigma} pixels` : ", with the run's sigma"}`;
    return html`<p class="note">
      ${blur
        ? html`<b>Approximate:</b> covered parts are ${blurred}. The network saw the blur of its own input, which differs a little.`
        : html`Covered parts are ${blurred}, then made grey and dark so that the rest stands out. The network saw the blur in colour.`}
    </p>`;
  }

  function CoverChoice({ state }) {
    const options = [["0", "grey and dark"], ["1", "blurred, in colour"]];
    return html`<${Choice} label="Covered parts" name="blur" value=${state.blur ? "1" : "0"} options=${options} onChange=${(value) => ER.state.set({ blur: value === "1" })} />`;
  }

  // -- one step, enlarged ---------------------------------------------------------------------------------------------

  const TYPING = "select, input, textarea";

  /** Keys that move while the dialog is open, wherever in it the focus is; before any that the page has for its list. */
  function useMoves(moves) {
    const now = useRef(moves);
    now.current = moves;
    useEffect(() => {
      const onKey = (event) => {
        const move = now.current[event.key];
        if (!move || event.target.closest(TYPING) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        event.stopPropagation();
        move();
      };
      document.addEventListener("keydown", onKey, true);
      return () => document.removeEventListener("keydown", onKey, true);
    }, []);
  }

  /** The step of the state's sample, label and layer. `places` are the samples to go through. */
  function StepDialog({ run, state, places, labelOf }) {
    const sample = run.places.get(state.sample);
    const asked = run.labels(sample).filter((one) => one.question >= 0);
    const label = asked.find((one) => one.label === state.label) ?? asked[0];
    const steps = label ? stepsOf(run, label.question) : [];
    const layer = Math.min(Math.max(Math.round(state.layer), 0), steps.length - 1);
    const to = (place) => place >= 0 && place < steps.length && ER.state.set({ layer: place });
    const at = places.indexOf(sample);
    const toSample = (place) => {
      if (place < 0 || place >= places.length || !labelOf(places[place])) return;
      ER.state.set({ sample: run.ids[places[place]], label: labelOf(places[place]).label });
    };
    const moves = { ArrowLeft: () => to(layer - 1), ArrowRight: () => to(layer + 1), PageUp: () => toSample(at - 1), PageDown: () => toSample(at + 1) };
    if (state.keys) Object.assign(moves, { j: moves.PageDown, k: moves.PageUp });
    useMoves(moves);
    // Where another dialog has taken over, or the browser went back, there is nothing to close any more.
    const close = () => ER.state.get().layer !== null && ER.state.set({ sample: null, label: null, layer: null });
    const title = label ? `Sample ${state.sample}, label ${label.name}: ${steps[layer].title.toLowerCase()}` : `Sample ${state.sample}`;
    return html`<${Modal} title=${title} name="step-dialog" onClose=${close}>
      <div class="enlarged-step">
        ${label
          ? html`<${Enlarged} run=${run} label=${label} step=${steps[layer]} state=${state} />
              <div class="step-words">
                <${Facts} run=${run} asked=${asked} label=${label} steps=${steps} layer=${layer} state=${state} />
                <${Strip} run=${run} question=${label.question} blur=${state.blur} current=${layer} onStep=${to} words="Steps" />
                <${Moves} moves=${moves} steps=${steps.length} layer=${layer} at=${at} count=${places.length} />
              </div>`
          : html`<p class="empty">No label of this sample was asked about.</p>`}
      </div>
    <//>`;
  }

  function Enlarged({ run, label, step, state }) {
    const seen = step.boxes ? `shown where ${counted(step.boxes.length, "region")} of ${step.title.toLowerCase()} lie, covered elsewhere` : "the original";
    return html`<figure class="large">
      <${Covered} key=${label.question} run=${run} question=${label.question} step=${step} blur=${state.blur} full=${true} alt=${`Sample ${state.sample}, ${seen}`} />
      <figcaption>${step.boxes ? html`<${CoverNote} run=${run} question=${label.question} blur=${state.blur} />` : html`<p class="note">The original as it was stored.</p>`}</figcaption>
    </figure>`;
  }

  function Facts({ run, asked, label, steps, layer, state }) {
    const step = steps[layer];
    const outcome = run.occlusion.outcome(label.question);
    const size = run.summary.map_size;
    const area = useMemo(() => (step.boxes && size ? ER.covered.coveredShare(step.boxes, size[1], size[0]) : null), [step.boxes]);
    const threshold = thresholdOf(run);
    const options = asked.map((one) => [one.label, `${one.name} (${percent(one.probability)})`]);
    const other = () => ER.state.set({ layer: null });
    return html`<div class="facts">
      <div class="controls">
        <${Choice} label="Label" name="asked-label" value=${label.label} options=${options} onChange=${(text) => ER.state.set({ label: Number(text) })} />
        <${CoverChoice} state=${state} />
      </div>
      <p>${OUTCOMES[outcome]?.[1] ?? outcome}</p>
      <dl class="pairs">
        <dt>Probability of ${label.name} <${Flag} flag=${label.flag} /></dt><dd>${shown(step.probability, 4)}</dd>
        ${layer ? html`<dt>On the original</dt><dd>${shown(steps[0].probability, 4)}</dd>` : null}
        ${threshold === null ? null : html`<dt>Threshold</dt><dd>${threshold}</dd>`}
        ${step.boxes ? html`<dt>Regions shown</dt><dd>${step.boxes.length}${area === null ? "" : `, together ${percent(area)} of the image`}</dd>` : null}
      </dl>
      ${step.boxes
        ? html`<details><summary>Where the regions are</summary>
            <${Table} name="regions" caption="Regions in pixels from the top left" columns=${["region", "x", "y", "width", "height"]} rows=${step.boxes.map((box, place) => [place + 1, ...box])} />
          </details>`
        : null}
      ${run.pictured.length ? html`<p><button type="button" class="quiet" onClick=${other}>All methods side by side</button></p>` : null}
    </div>`;
  }

  /** Buttons for what keys do as well. */
  function Moves({ moves, steps, layer, at, count }) {
    const button = (key, words, possible) => html`<button type="button" disabled=${!possible} aria-keyshortcuts=${key} onClick=${moves[key]}>${words}</button>`;
    return html`<div class="moves" role="group" aria-label="Go to">
      ${button("ArrowLeft", "← Step before", layer > 0)} ${button("ArrowRight", "Next step →", layer < steps - 1)}
      ${button("PageUp", "Sample before", at > 0)} ${button("PageDown", "Next sample", at >= 0 && at < count - 1)}
      <span class="note">Keys: ← and → for steps, Page Up and Page Down, or k and j, for samples.</span>
    </div>`;
  }

  ER.occlusionSteps = { OUTCOMES, Strip, StepDialog, CoverNote, CoverChoice, stepsOf, thresholdOf, counted };
})();
