// What is chosen above the list of samples: maps, filters and order.
"use strict";

(() => {
  const { html, Choice, Slider, shown } = ER.parts;
  const set = (changes) => ER.state.set({ ...changes, top: 0 });

  /** How maps look; in the list and in the enlarged view. */
  function LookControls({ run, state }) {
    const signed = run.summary.signed.length > 0;
    const look = (changes) => ER.state.set(changes);
    const tables = ER.colours.sequential.map((name) => [name, name]);
    const diverging = ER.colours.diverging.map((name) => [name, name.replace("-", " to ")]);
    return html`<div class="controls" role="group" aria-label="How maps look">
      <${Choice} label="Maps" name="mode" value=${state.mode} options=${[["over", "over the image"], ["alone", "alone"]]} onChange=${(mode) => look({ mode })} />
      <${Slider} label="Opacity" name="opacity" value=${state.opacity} step=${0.05} words=${`${Math.round(100 * state.opacity)} %`} onInput=${(opacity) => look({ opacity })} />
      <${Choice} label="Colours" name="table" value=${state.table} options=${tables} onChange=${(table) => look({ table })} />
      <${ColourBar} table=${state.table} ends=${["low", "high"]} />
      ${signed
        ? html`<${Choice} label="Signed maps" name="sign" value=${state.sign} options=${[["both", "both signs"], ["positive", "positive part"], ["negative", "negative part"], ["absolute", "size"]]} onChange=${(sign) => look({ sign })} />
            <${Choice} label="Both signs in" name="diverging" value=${state.diverging} options=${diverging} onChange=${(table) => look({ diverging: table })} />
            <${ColourBar} table=${state.diverging} ends=${["−", "+"]} />`
        : null}
      <${Slider} label="Clip outliers" name="clip" value=${state.clip} least=${90} most=${100} step=${0.5} words=${state.clip === 100 ? "none" : `${shown(100 - state.clip, 1)} % of pixels`} onInput=${(clip) => look({ clip })} />
    </div>`;
  }

  function ColourBar({ table, ends }) {
    const canvas = preactHooks.useRef(null);
    preactHooks.useEffect(() => ER.maps.drawTable(canvas.current, table), [table]);
    return html`<span class="bar" role="img" aria-label=${`Colours of ${table}, from ${ends[0]} to ${ends[1]}`}
      ><span aria-hidden="true">${ends[0]}</span><canvas ref=${canvas}></canvas><span aria-hidden="true">${ends[1]}</span></span
    >`;
  }

  function Explainers({ run, state }) {
    const chosen = ER.samples.shownExplainers(run, state);
    const flip = (place) => {
      const next = chosen.includes(place) ? chosen.filter((one) => one !== place) : [...chosen, place];
      ER.state.set({ show: next.sort((one, two) => one - two).join(",") });
    };
    return html`<fieldset class="chips">
      <legend>Explainers</legend>
      ${run.pictured.map((place) => html`<label class="chip"><input type="checkbox" name=${`explainer-${place}`} checked=${chosen.includes(place)} onChange=${() => flip(place)} />${run.explainers[place].name}</label>`)}
      ${chosen.length || !run.pictured.length ? null : html`<span class="soft" role="status">None is chosen, so no maps are shown.</span>`}
    </fieldset>`;
  }

  /** Labels that are true or predicted for some sample, by name. */
  function labelOptions(run, bit) {
    const { label, label_flags } = run.columns;
    const found = new Set();
    label.forEach((one, row) => label_flags[row] & bit && found.add(one));
    const named = Array.from(found, (one) => [one, run.classes[one]]).sort(ER.parts.byName);
    return named;
  }

  /** Labels of which a sample has one. Each that is chosen is added, and goes by a click on it. */
  function Labels({ label, name, chosen, options }) {
    const labels = ER.selection.numbers(chosen);
    const to = (next) => set({ [name]: next.length ? next.join(",") : null });
    const others = options.filter(([one]) => !labels.includes(one));
    const words = Object.fromEntries(options);
    return html`<div class="several">
      <${Choice} label=${label} name=${name} value="" options=${[["", labels.length ? "or another" : "any"], ...others]} onChange=${(text) => text !== "" && to([...labels, Number(text)])} />
      ${labels.map((one) => html`<button type="button" class="chosen" key=${one} aria-label=${`${label} ${words[one] ?? one}: choose it no longer`} onClick=${() => to(labels.filter((other) => other !== one))}>${words[one] ?? one} <span aria-hidden="true">×</span></button>`)}
    </div>`;
  }

  const FLAGS = { TP: "right", FN: "missed", FP: "wrong" };

  /** Flags of which a sample's labels have one; without any all samples are listed, as with all. */
  function Flags({ state }) {
    const chosen = ER.selection.flagsOf(state);
    const flip = (flag) => Object.keys(FLAGS).filter((one) => chosen.includes(one) !== (one === flag)).join(",") || null;
    return html`<fieldset class="chips flags">
      <legend>Flags</legend>
      ${Object.entries(FLAGS).map(([flag, words]) => html`<label class="chip" key=${flag}><input type="checkbox" name=${`flag-${flag}`} checked=${chosen.includes(flag)} onChange=${() => set({ flag: flip(flag) })} /><${ER.parts.Flag} flag=${flag} /> ${words}</label>`)}
    </fieldset>`;
  }

  function Filters({ run, state }) {
    const options = preactHooks.useMemo(() => [labelOptions(run, 1), labelOptions(run, 2)], [run]);
    return html`<div class="controls" role="search" aria-label="Which samples">
      <label class="control"><span>Sample id</span><input type="search" name="find" size="8" value=${state.find} onInput=${(event) => set({ find: event.currentTarget.value })} /></label>
      <${Labels} label="True label" name="true" chosen=${state.true} options=${options[0]} />
      <${Labels} label="Predicted label" name="predicted" chosen=${state.predicted} options=${options[1]} />
      <${Flags} state=${state} />
      ${run.metrics.length ? html`<${RangeFilter} run=${run} state=${state} />` : null}
      <${Choice} label="Sort by" name="sort" value=${state.sort} options=${sortOptions(run)} onChange=${(sort) => set({ sort, down: sort !== "id" && !sort.startsWith("score.") })} />
      <label class="chip"><input type="checkbox" name="down" checked=${state.down} onChange=${() => set({ down: !state.down })} />largest first</label>
    </div>`;
  }

  function sortOptions(run) {
    const scores = run.explainers.flatMap((explainer, place) =>
      run.metrics.map((metric, column) => [`score.${place}.${column}`, `${metric.name} of ${explainer.name}`]),
    );
    const uncertain = run.columns.label_sd ? [["uncertainty", "uncertainty"]] : [];
    const disagreeing = run.pictured.length > 1 ? [["disagreement", "disagreement of explainers"]] : [];
    return [["id", "sample id"], ["probability", "probability"], ...uncertain, ...disagreeing, ...scores];
  }

  function RangeFilter({ run, state }) {
    const range = ER.selection.rangeOf(run, state.range);
    const pairs = run.explainers.flatMap((explainer, place) =>
      run.metrics.map((metric, column) => [`${place},${column}`, `${metric.name} of ${explainer.name}`]),
    );
    const choose = (pair) => set({ range: pair ? `${pair},${extent(run, pair).join(",")}` : "" });
    const limit = (side, value) => {
      const { explainer, metric, low, high } = range;
      set({ range: [explainer, metric, side === 0 ? value : low, side === 1 ? value : high].join(",") });
    };
    const bound = (side) => html`<input type="number" step="any" name=${side === 0 ? "low" : "high"} aria-label=${side === 0 ? "Least score" : "Greatest score"} value=${side === 0 ? range.low : range.high} onChange=${(event) => event.currentTarget.value !== "" && limit(side, Number(event.currentTarget.value))} />`;
    return html`<${Choice} label="Score" name="range" value=${range ? `${range.explainer},${range.metric}` : ""} options=${[["", "any"], ...pairs]} onChange=${choose} />
      ${range ? html`<span class="bounds">${bound(0)} to ${bound(1)}</span>` : null}`;
  }

  function extent(run, pair) {
    const [explainer, metric] = pair.split(",").map(Number);
    const scores = Array.from(run.scores[explainer][metric]).filter((score) => !Number.isNaN(score));
    if (!scores.length) return [0, 1];
    const [low, high] = [scores.reduce((one, two) => Math.min(one, two)), scores.reduce((one, two) => Math.max(one, two))];
    return [Math.floor(low * 1000) / 1000, Math.ceil(high * 1000) / 1000];
  }

  const WORDS = html`<details class="words"
    ><summary>What do TP, FN and FP mean?</summary>
    <dl>
      ${Object.entries(ER.parts.FLAG_WORDS).map(([flag, words]) => html`<dt>${flag}</dt><dd>${words}.</dd>`)}
    </dl>
    <p>A label counts as predicted where its probability exceeds 50 %. A label without a flag was neither true nor predicted, but likely or asked about.</p>
  </details>`;

  function SamplesControls({ run, state, count }) {
    const filtered = count !== run.count;
    const cell = state.cell === null ? null : state.cell.split(",").map(Number);
    const name = (label) => (label < 0 ? "none" : run.classes[label]);
    const clear = () => set({ find: "", true: null, predicted: null, flag: null, cell: null, range: "" });
    return html`<div class="above">
      <${LookControls} run=${run} state=${state} />
      <${Explainers} run=${run} state=${state} />
      <${Filters} run=${run} state=${state} />
      <p class="count" role="status">
        ${filtered ? `${count} of ${run.count} samples` : `${count} samples`}${cell ? `, true label ${name(cell[0])}, predicted ${name(cell[1])}` : ""}
        ${filtered ? html` <button type="button" class="quiet" onClick=${clear}>Show all</button>` : null}
      </p>
      ${WORDS}
    </div>`;
  }

  ER.samplesControls = SamplesControls;
  ER.LookControls = LookControls;
})();
