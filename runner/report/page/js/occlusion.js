// Hierarchical occlusion: which regions, shown over a blurred image, suffice for the network to see a label.
"use strict";

(() => {
  const { html, Choice, Flag, percent } = ER.parts;
  const { OUTCOMES, Strip, StepDialog, CoverNote, CoverChoice, thresholdOf, counted } = ER.occlusionSteps;
  const { useMemo } = preactHooks;
  const NARROW = 700; // pixels of width under which a row's steps stand below its labels

  const rowHeight = () => (innerWidth < NARROW ? 316 : 188);

  /** Which questions an outcome of the state stands for. */
  const FITS = {
    all: () => true,
    with: (outcome) => outcome === "found",
    without: (outcome) => outcome !== "found",
    ...Object.fromEntries(Object.keys(OUTCOMES).map((one) => [one, (outcome) => outcome === one])),
  };
  const known = (outcome) => (outcome in FITS ? outcome : "all");

  /** Places of samples by the outcomes that list them: those with a question that fits. One pass for all outcomes. */
  function listed(run, { find, asked }) {
    const first = run.columns.first_question;
    const wanted = find.trim();
    const fitting = run.occlusion.outcomes.map((outcome) => Object.keys(FITS).filter((one) => FITS[one](outcome)));
    const found = Object.fromEntries(Object.keys(FITS).map((one) => [one, []]));
    const list = (sample, outcomes) => outcomes.forEach((one) => found[one].at(-1) !== sample && found[one].push(sample));
    for (let sample = 0; sample < run.count; sample++) {
      if (wanted && !String(run.ids[sample]).includes(wanted)) continue;
      // A sample of which no label was asked about has no result either.
      if (first[sample] === first[sample + 1] && asked === null) list(sample, ["all", "without"]);
      for (let question = first[sample]; question < first[sample + 1]; question++) {
        if (asked === null || run.labelOfQuestion[question] === asked) list(sample, fitting[run.occlusion.columns.outcome[question]]);
      }
    }
    return found;
  }

  const fits = (run, question, outcome, asked) =>
    FITS[outcome](run.occlusion.outcome(question)) && (asked === null || run.labelOfQuestion[question] === asked);

  function sorted(run, { asked, sort, down }, outcome, places) {
    if (sort !== "probability") return down ? places.toReversed() : places;
    const likeliest = (sample) => {
      const questions = run.questions(sample).filter((question) => fits(run, question, outcome, asked));
      return Math.max(...questions.map((question) => run.probabilityOfQuestion[question]));
    };
    const values = new Map(places.map((sample) => [sample, likeliest(sample)]));
    // Samples without a label come last, whichever way one sorts.
    const order = (one, two) => (Number.isFinite(one) && Number.isFinite(two) ? (down ? two - one : one - two) : Number.isFinite(two) - Number.isFinite(one));
    return places.toSorted((one, two) => order(values.get(one), values.get(two)) || one - two);
  }

  function OcclusionView({ run, state }) {
    const outcome = known(state.outcome);
    const { find, asked, sort, down } = state;
    const question = useMemo(() => onlySigma(run), [run]);
    const all = useMemo(() => listed(run, state), [run, find, asked]);
    const counts = Object.fromEntries(Object.keys(FITS).map((one) => [one, all[one].length]));
    const places = useMemo(() => sorted(run, state, outcome, all[outcome]), [all, outcome, sort, down]);
    const labelsOf = (sample) => run.labels(sample).filter((one) => one.question >= 0 && fits(run, one.question, outcome, asked));
    const labelOf = (sample) => pickedOf(labelsOf(sample), ER.samples.picks(state.pick).get(run.ids[sample]));
    const row = (sample) => html`<${Row} run=${run} sample=${sample} state=${state} labels=${labelsOf(sample)} picked=${labelOf(sample)} />`;
    return html`<section aria-labelledby="occlusion-title" class="occlusion">
      <h1 id="occlusion-title">Counterfactual: what the network needs to see</h1>
      <${Words} run=${run} />
      <${Controls} run=${run} state=${state} outcome=${outcome} counts=${counts} />
      <${CoverNote} run=${run} question=${question} blur=${state.blur} />
      <p class="count" role="status">${counted(places.length, "sample")}</p>
      ${places.length ? html`<${ER.LongList} places=${places} height=${rowHeight} row=${row} label="Samples" kind="counterfactual" />` : html`<p class="empty">No sample fits all filters.</p>`}
      ${state.layer !== null && run.places.has(state.sample) ? html`<${StepDialog} run=${run} state=${state} places=${places} labelOf=${labelOf} />` : null}
    </section>`;
  }

  const pickedOf = (labels, chosen) => labels.find((one) => one.label === chosen) ?? labels[0] ?? null;

  /** A question whose sigma is that of all; null where they differ, or there is none. */
  function onlySigma(run) {
    const { sigma } = run.occlusion.columns;
    const first = sigma.findIndex((one) => one > 0);
    return first >= 0 && sigma.every((one) => !one || one === sigma[first]) ? first : null;
  }

  /** How many questions have which outcome. */
  function timesOf(run) {
    const times = new Map();
    for (const place of run.occlusion.columns.outcome) times.set(run.occlusion.outcomes[place], (times.get(run.occlusion.outcomes[place]) ?? 0) + 1);
    return times;
  }

  function Words({ run }) {
    const threshold = thresholdOf(run);
    const reach = threshold === null ? "the threshold" : `${percent(threshold)}, the threshold`;
    const times = useMemo(() => timesOf(run), [run]);
    return html`<p class="lead">
        Hierarchical occlusion blurs the whole image, then reveals as few square regions as bring the label's probability
        back to ${reach}. Each layer looks inside the regions of the layer before it, with smaller squares.
      </p>
      <details class="words"
        ><summary>What can come of it</summary>
        <dl>
          ${Object.entries(OUTCOMES).map(([outcome, [name, words]]) => html`<dt>${name} <span class="times">(${counted(times.get(outcome) ?? 0, "label")})</span></dt><dd>${words}</dd>`)}
        </dl>
      </details>`;
  }

  function Controls({ run, state, outcome, counts }) {
    const set = (changes) => ER.state.set({ ...changes, top: 0 });
    const labels = useMemo(() => labelOptions(run), [run]);
    const sort = state.sort === "probability" ? "probability" : "id";
    return html`<div class="controls" role="search" aria-label="Which samples">
      <${Outcomes} outcome=${outcome} counts=${counts} onChange=${(one) => set({ outcome: one })} />
      <label class="control"><span>Sample id</span><input type="search" name="find" size="8" value=${state.find} onInput=${(event) => set({ find: event.currentTarget.value })} /></label>
      <${Choice} label="Label asked about" name="asked" value=${state.asked ?? ""} options=${labels} onChange=${(text) => set({ asked: text === "" ? null : Number(text) })} />
      <${Choice} label="Sort by" name="sort" value=${sort} options=${[["id", "sample id"], ["probability", "probability"]]} onChange=${(one) => set({ sort: one, down: one !== "id" })} />
      <label class="chip"><input type="checkbox" name="down" checked=${state.down} onChange=${() => set({ down: !state.down })} />largest first</label>
      <${CoverChoice} state=${state} />
    </div>`;
  }

  function Outcomes({ outcome, counts, onChange }) {
    const groups = [["all", "all"], ["with", "with a result"], ["without", "without one"]];
    const single = Object.keys(OUTCOMES).filter((one) => one !== "found" && (counts[one] || one === outcome));
    const options = [...groups, ...single.map((one) => [one, OUTCOMES[one][0]])];
    return html`<fieldset class="chips outcomes">
      <legend>Result</legend>
      ${options.map(([one, words]) => html`<label class="chip" key=${one}><input type="radio" name="outcome" value=${one} checked=${one === outcome} onChange=${() => onChange(one)} />${words} (${counts[one]})</label>`)}
    </fieldset>`;
  }

  function labelOptions(run) {
    const found = Array.from(new Set(run.labelOfQuestion), (label) => [label, run.classes[label]]);
    return [["", "any"], ...found.sort(ER.parts.byName)];
  }

  function Row({ run, sample, state, labels, picked }) {
    const id = run.ids[sample];
    const enlarge = (layer) => ER.state.set({ sample: id, label: picked.label, layer }, { step: true });
    return html`<div class="asked">
        <h2>Sample ${id}</h2>
        <div class="labels" role="group" aria-label=${`Labels of sample ${id}`} tabindex="0">
          ${labels.map((one) => html`<${Asked} key=${one.label} run=${run} sample=${sample} one=${one} picked=${picked} />`)}
        </div>
      </div>
      <div class="layers-room" role="group" tabindex="0" aria-label=${`Steps of sample ${id}`}>
        ${picked
          ? html`<${Strip} run=${run} question=${picked.question} blur=${state.blur} onStep=${enlarge} words=${`${picked.name} in sample ${id}`} />`
          : html`<p class="missing">No label of this sample was asked about.</p>`}
        ${picked ? html`<${WhyNone} run=${run} question=${picked.question} />` : null}
      </div>`;
  }

  function Asked({ run, sample, one, picked }) {
    const outcome = run.occlusion.outcome(one.question);
    return html`<button type="button" class="label" aria-pressed=${picked.label === one.label} onClick=${() => ER.samples.pickLabel(run, sample, one.label)}>
      <${Flag} flag=${one.flag} /><span class="name">${one.name}${outcome === "found" ? null : html` <span class="none">${OUTCOMES[outcome]?.[0] ?? outcome}</span>`}</span><span class="chance">${percent(one.probability)}</span>
    </button>`;
  }

  function WhyNone({ run, question }) {
    const outcome = run.occlusion.outcome(question);
    return outcome === "found" ? null : html`<p class="why">${OUTCOMES[outcome]?.[1] ?? outcome}</p>`;
  }

  ER.occlusion = { OcclusionView };
})();
