// All samples: a row each, of which only those in sight are in the page.
"use strict";

(() => {
  const { html, Flag, Picture, SaliencyMap, percent, shown } = ER.parts;
  const NARROW = 700; // pixels of width under which a row's maps stand below its labels

  const rowHeight = () => (innerWidth < NARROW ? 300 : 176);

  /** The explainers whose maps are listed, by their places. */
  function shownExplainers(run, state) {
    if (state.show === null) return run.pictured.slice(0, 6);
    const wanted = state.show.split(",").filter(Boolean).map(Number);
    return run.pictured.filter((place) => wanted.includes(place));
  }

  /** The label of a sample whose maps are listed: the one picked, else the likeliest that has maps. */
  function pickedLabel(run, sample, pick) {
    const labels = run.labels(sample).filter((one) => one.question >= 0);
    const chosen = picks(pick).get(run.ids[sample]);
    return labels.find((one) => one.label === chosen) ?? labels[0] ?? null;
  }

  const picks = (text) => new Map(text.split(",").filter(Boolean).map((pair) => pair.split(":").map(Number)));

  function pickLabel(run, sample, label) {
    const all = picks(ER.state.get().pick).set(run.ids[sample], label);
    ER.state.set({ pick: Array.from(all, ([id, one]) => `${id}:${one}`).join(",") });
  }

  function Samples({ run, state }) {
    const places = ER.selection.chosen(run, state);
    return html`<section aria-labelledby="samples-title" class="samples">
      <h1 id="samples-title" class="visually-hidden">Samples</h1>
      <${ER.samplesControls} run=${run} state=${state} count=${places.length} />
      ${places.length
        ? html`<${ER.LongList} places=${places} height=${rowHeight} label="Samples" row=${(sample) => html`<${Row} run=${run} sample=${sample} state=${state} />`} />`
        : html`<p class="empty">${run.count ? "No sample fits all filters." : "This run has no samples."}</p>`}
    </section>`;
  }

  function Row({ run, sample, state }) {
    const picked = pickedLabel(run, sample, state.pick);
    const id = run.ids[sample];
    const open = () => ER.state.set({ sample: id, label: picked?.label ?? null }, { step: true });
    return html`<button type="button" class="original" onClick=${open} aria-label=${`Sample ${id}: all methods side by side`}>
        <${Picture} run=${run} sample=${sample} alt=${`Sample ${id}`} />
        <span class="id">${id}</span>
      </button>
      <div class="labels" role="group" aria-label=${`Labels of sample ${id}`} tabindex="0">
        ${run.labels(sample).map((one) => html`<${Label} one=${one} run=${run} sample=${sample} picked=${picked} key=${one.label} />`)}
        ${run.columns.computed[sample] ? null : html`<p class="missing">the network gave no numbers</p>`}
      </div>
      <div class="maps" tabindex="0" role="group" aria-label=${`Maps of sample ${id}`}>
        ${picked
          ? shownExplainers(run, state).map((explainer) => html`<${Thumbnail} run=${run} explainer=${explainer} picked=${picked} state=${state} open=${open} key=${explainer} />`)
          : html`<p class="missing">no label of this sample was explained</p>`}
      </div>`;
  }

  function Label({ one, run, sample, picked }) {
    const sure = one.spread ? ` ± ${shown(100 * one.spread[0], 1)}` : "";
    const words = html`<${Flag} flag=${one.flag} /><span class="name">${one.name}</span><span class="chance">${percent(one.probability)}${sure}</span>`;
    if (one.question < 0) return html`<span class="label plain" title="No map was made for this label">${words}</span>`;
    const chosen = picked?.label === one.label;
    return html`<button type="button" class="label" aria-pressed=${chosen} onClick=${() => pickLabel(run, sample, one.label)}>${words}</button>`;
  }

  function Thumbnail({ run, explainer, picked, state, open }) {
    return html`<figure class="thumbnail" onClick=${open}>
      <${SaliencyMap} run=${run} explainer=${explainer} question=${picked.question} view=${state} />
      <figcaption>${run.explainers[explainer].name}</figcaption>
    </figure>`;
  }

  ER.samples = { Samples, Row, shownExplainers, pickedLabel, picks, pickLabel };
})();
