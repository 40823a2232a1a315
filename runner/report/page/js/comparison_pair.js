// One sample in two runs: its labels in both, and the maps of each explainer beside one another or under a slider.
"use strict";

(() => {
  const { html, Choice, Flag, Picture, SaliencyMap, Slider, percent, useAsync } = ER.parts;
  const { useMemo, useRef } = preactHooks;
  const SIDES = ["baseline", "candidate"];
  const STACKED = 1000; // pixels of width under which the maps stand below the list

  /** Show a sample; where its maps stand below the list, go there. */
  function open(changes) {
    ER.state.set(changes, { step: true });
    const title = document.getElementById("pair-title");
    if (innerWidth >= STACKED || !title) return;
    title.scrollIntoView();
    title.focus({ preventScroll: true });
  }

  /** The labels of a sample by their numbers, with what each run says of them; those that have maps in both first. */
  function labelsOfBoth(both, id) {
    const found = new Map();
    for (const side of SIDES) {
      const run = both[side];
      if (!run.places.has(id)) continue;
      for (const one of run.labels(run.places.get(id))) {
        const entry = found.get(one.label) ?? { label: one.label, name: one.name };
        found.set(one.label, { ...entry, [side]: one });
      }
    }
    return [...found.values()].sort((one, two) => isAsked(two) - isAsked(one));
  }

  const isAsked = ({ baseline, candidate }) => (baseline?.question >= 0) + (candidate?.question >= 0);

  /** The label shown: the one chosen, else one that only one of the runs predicts, else the likeliest with maps. */
  function shownLabel(labels, chosen) {
    const asked = labels.filter(isAsked);
    const flipped = asked.find((one) => Boolean(one.baseline?.isPredicted) !== Boolean(one.candidate?.isPredicted));
    return labels.find((one) => one.label === chosen) ?? flipped ?? asked[0] ?? labels[0] ?? null;
  }

  /** Explainers whose maps the page has of both runs: [name, place in the baseline, place in the candidate]. */
  function explainersOfBoth({ baseline, candidate }) {
    const before = new Map(baseline.pictured.map((place) => [baseline.explainers[place].name, place]));
    const now = candidate.pictured.map((place) => [candidate.explainers[place].name, place]);
    return now.filter(([name]) => before.has(name)).map(([name, place]) => [name, before.get(name), place]);
  }

  function Pair({ both, found, chosen, state, step }) {
    const labels = labelsOfBoth(both, chosen.sample);
    const label = shownLabel(labels, chosen.label);
    const explainers = explainersOfBoth(both);
    const move = (by, words) => {
      const go = step(by);
      return html`<button type="button" class="quiet" disabled=${!go} onClick=${go}>${words}</button>`;
    };
    return html`<section class="pair" aria-labelledby="pair-title">
      <div class="pair-head">
        <h3 id="pair-title" tabindex="-1">Sample ${chosen.sample}${label ? html`, label <bdi>${label.name}</bdi>` : ""}</h3>
        <span class="steps">${move(-1, "Previous")}${move(1, "Next")}</span>
      </div>
      ${labels.length
        ? html`<${Labels} both=${both} chosen=${chosen} labels=${labels} label=${label} />
            ${explainers.length ? html`<${Maps} both=${both} found=${found} explainers=${explainers} label=${label} state=${state} />` : html`<p class="empty">This page shows no maps.</p>`}`
        : html`<p class="empty">This page shows no labels of sample ${chosen.sample}.</p>`}
    </section>`;
  }

  function Labels({ both, chosen, labels, label }) {
    const id = chosen.sample;
    const run = SIDES.map((side) => both[side]).find((one) => one.places.has(id));
    const choose = (one) => ER.state.set({ pair: id, pairLabel: one.label });
    const cell = (one) => (one ? html`<td><${Flag} flag=${one.flag} /> ${percent(one.probability)}</td>` : html`<td>–</td>`);
    return html`<div class="pair-labels">
      <${Picture} run=${run} sample=${run.places.get(id)} alt=${`Sample ${id}`} />
      <div class="wide" tabindex="0" role="region" aria-label="Labels in both runs">
        <table>
          <caption class="visually-hidden">Labels of sample ${id}, in both runs</caption>
          <thead><tr><th scope="col">label</th><th scope="col">baseline</th><th scope="col">candidate</th></tr></thead>
          <tbody>
            ${labels.map((one) => html`<tr key=${one.label}>
              <th scope="row">${isAsked(one) ? html`<button type="button" class="quiet" aria-pressed=${one === label} onClick=${() => choose(one)}>${one.name}</button>` : one.name}</th>
              ${cell(one.baseline)}${cell(one.candidate)}
            </tr>`)}
          </tbody>
        </table>
      </div>
    </div>`;
  }

  function Maps({ both, found, explainers, label, state }) {
    const set = (changes) => ER.state.set(changes);
    const signed = SIDES.map((side) => both[side]).find((run) => run.summary.signed.length) ?? both.candidate;
    const modes = [["beside", "side by side"], ["swipe", "under a slider"]];
    return html`<div class="controls" role="group" aria-label="Maps of both runs">
        <${Choice} label="Both runs" name="pairMode" value=${state.pairMode} options=${modes} onChange=${(pairMode) => set({ pairMode })} />
        ${state.pairMode === "swipe" ? html`<${Slider} label="Baseline left of" name="swipe" value=${state.swipe} most=${100} step=${1} words=${`${state.swipe} %, candidate right`} onInput=${(swipe) => set({ swipe })} />` : null}
        <label class="chip"><input type="checkbox" name="together" checked=${state.together} onChange=${() => set({ together: !state.together })} />one colour scale for both runs</label>
      </div>
      <${ER.LookControls} run=${signed} state=${state} />
      <div class="pair-maps">
        ${explainers.map(([name, before, now]) => html`<${Explainer} key=${name} name=${name} both=${both} places=${{ baseline: before, candidate: now }} found=${found} label=${label} state=${state} />`)}
      </div>`;
  }

  /** An explainer's maps of a label in both runs, with the scores of both. */
  function Explainer({ name, both, places, found, label, state }) {
    const sides = SIDES.filter((side) => label[side]?.question >= 0);
    const load = (side) => (sides.includes(side) ? both[side].map(places[side], label[side].question, true) : null);
    const questions = SIDES.map((side) => label[side]?.question ?? -1);
    const maps = useAsync(() => Promise.all(SIDES.map(load)), [both.baseline, both.candidate, name, ...questions]);
    const signed = SIDES.some((side) => both[side].summary.signed.includes(places[side]));
    const looks = [maps.value, state.together, state.sign, state.clip, signed];
    const between = useMemo(() => (state.together && maps.value ? shared(maps.value, state, signed) : undefined), looks);
    const map = (side) => html`<${SaliencyMap} run=${both[side]} explainer=${places[side]} question=${label[side].question} view=${state} full=${true} between=${between} signed=${signed} />`;
    const isSwiped = state.pairMode === "swipe" && sides.length === 2;
    return html`<section class="both" aria-label=${`${name} in both runs`}>
      <h4>${name}</h4>
      ${isSwiped ? html`<${Swiped} map=${map} state=${state} />` : html`<div class="beside">${SIDES.map((side) => html`<figure key=${side}>${sides.includes(side) ? map(side) : html`<p class="missing">no map of this label was made in the ${side}</p>`}<figcaption>${side}</figcaption></figure>`)}</div>`}
      <${Scores} name=${name} both=${both} places=${places} found=${found} label=${label} />
    </section>`;
  }

  function shared(maps, state, signed) {
    const known = maps.filter((map) => map && map.scale !== null);
    return known.length ? ER.maps.sharedLimits(known, state, signed) : undefined;
  }

  /** The candidate's map over the baseline's, from where the slider stands to the right; it can be dragged as well. */
  function Swiped({ map, state }) {
    const box = useRef(null);
    const follow = (event) => {
      if (!event.buttons) return;
      const { left, width } = box.current.getBoundingClientRect();
      ER.state.set({ swipe: Math.round(Math.min(Math.max((event.clientX - left) / width, 0), 1) * 100) });
    };
    const start = (event) => {
      box.current.setPointerCapture(event.pointerId);
      follow(event);
    };
    return html`<div class="swiped" role="group" aria-label="baseline left of the slider, candidate right of it" ref=${box} onPointerDown=${start} onPointerMove=${follow}>
        ${map("baseline")}
        <span class="upper" style=${{ clipPath: `inset(0 0 0 ${state.swipe}%)` }}>${map("candidate")}</span>
        <span class="edge" style=${{ left: `${state.swipe}%` }}></span>
      </div>
      <p class="sides"><span>baseline</span><span>candidate</span></p>`;
  }

  /** This question's scores in both runs; those that fell by more than the tolerance of their means are marked. */
  function Scores({ name, both, places, found, label }) {
    const { number, scaleOf } = ER.comparison;
    const score = (side, metric) => {
      const column = both[side].metrics.findIndex((one) => one.name === metric);
      const value = label[side]?.question >= 0 && column >= 0 ? both[side].score(places[side], column, label[side].question) : NaN;
      return Number.isNaN(value) ? null : value;
    };
    const changes = found.changes.filter((change) => change.explainer === name);
    if (!changes.length) return null;
    const rows = changes.map(({ metric, higher_is_better: higher, tolerance }) => {
      const [baseline, candidate] = SIDES.map((side) => score(side, metric));
      const fall = baseline === null || candidate === null ? null : higher ? baseline - candidate : candidate - baseline;
      const worse = baseline !== null && (candidate === null || fall > tolerance);
      const scale = scaleOf({ baseline, candidate });
      return html`<tr><th scope="row">${metric}</th><td class="number">${number(baseline, scale)}</td><td class="number">${number(candidate, scale)}</td><td>${worse ? html`<span class="outcome bad">${candidate === null ? "lost" : "worse"}</span>` : ""}</td></tr>`;
    });
    return html`<table class="scores">
      <caption class="visually-hidden">Scores of ${name} for this label</caption>
      <thead><tr><th scope="col">score</th><th scope="col">baseline</th><th scope="col">candidate</th><th scope="col"><span class="visually-hidden">what became of it</span></th></tr></thead>
      <tbody>${rows}</tbody>
    </table>`;
  }

  ER.comparisonPair = { Pair, open };
})();
