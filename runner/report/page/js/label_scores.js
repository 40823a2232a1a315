// Scores by label: one explainer over all metrics, or one metric over all explainers.
"use strict";

(() => {
  const { html, Choice, Table } = ER.parts;
  const { extent, known, number, sortHead, Interval, More } = ER.scores;
  const { useMemo, useState } = preactHooks;
  const STEP = 50; // rows that are drawn at once

  /** The columns of scores that were chosen: {name, scores, higher}. */
  function columnsOf(run, { by, explainer, metric }) {
    if (by === "metric") {
      const { higher_is_better: higher } = run.metrics[metric];
      return run.explainers.map(({ name }, place) => ({ name, scores: run.scores[place][metric], higher }));
    }
    return run.metrics.map(({ name, higher_is_better: higher }, place) => ({ name, scores: run.scores[explainer][place], higher }));
  }

  /** A row for each label that has questions: {label, name, questions, found: a {mean, count, unscored} by column}. */
  function labelRows(columns, labels, classes) {
    const found = columns.map(({ scores }) => ER.scores.labelMeans(scores, labels));
    const times = new Map();
    labels.forEach((label) => times.set(label, (times.get(label) ?? 0) + 1));
    return Array.from(times, ([label, questions]) => ({ label, name: classes[label], questions, found: found.map((of) => of.get(label)) }));
  }

  /** Rows by "label", "questions" or a column's place; what has no mean comes last either way. */
  function sortedRows(rows, key, down) {
    const sign = down ? -1 : 1;
    const value = key === "label" ? (row) => row.label : key === "questions" ? (row) => row.questions : (row) => row.found[key]?.mean ?? null;
    const order = (one, two) => {
      if (!known(value(one)) || !known(value(two))) return known(value(two)) - known(value(one));
      return sign * (value(one) - value(two));
    };
    return rows.slice().sort((one, two) => order(one, two) || one.label - two.label);
  }

  function LabelScores({ run, state }) {
    const [shown, setShown] = useState(STEP);
    const [explainer, metric] = [within(state.explainer, run.explainers), within(state.metric, run.metrics)];
    const chosen = { by: state.by, explainer, metric };
    const columns = columnsOf(run, chosen);
    const places = placesOf(state, columns);
    const rows = useMemo(() => labelRows(columns, run.labelOfQuestion, run.classes), [run, state.by, explainer, metric]);
    const wanted = state.labelFind.trim().toLowerCase();
    const left = sortedRows(rows.filter(({ name }) => name.toLowerCase().includes(wanted)), state.labelSort, state.labelDown);
    const caption = state.by === "metric" ? `${run.metrics[metric].name} by label and explainer` : `${run.explainers[explainer].name} by label and metric`;
    return html`<p>Means over the questions on each label; labels without a question are left out.<${ER.scores.OfThisPage} run=${run} /></p>
      <${LabelControls} run=${run} chosen=${chosen} find=${state.labelFind} columns=${columns} places=${places} />
      ${left.length
        ? html`<${LabelTable} rows=${left.slice(0, shown)} all=${left} columns=${columns} places=${places} caption=${caption} state=${state} />
            <${More} shown=${shown} count=${left.length} what="labels" onMore=${() => setShown(shown + STEP)} />`
        : html`<p role="status">${rows.length ? "No label has that in its name." : "There is no question on any label."}</p>`}`;
  }

  /** Places of the columns that are shown: those chosen, or all. */
  function placesOf({ labelShow }, columns) {
    const chosen = labelShow === null ? null : ER.selection.numbers(labelShow);
    return Array.from(columns.keys()).filter((place) => !chosen || chosen.includes(place));
  }

  const within = (place, list) => (list[place] ? place : 0);

  function LabelControls({ run, chosen, find, columns, places }) {
    const names = (list) => list.map(({ name }, place) => [place, name]);
    const ways = [["explainer", "one explainer, all metrics"], ["metric", "one metric, all explainers"]];
    const set = (changes) => ER.state.set({ ...changes, labelShow: null, labelSort: "label", labelDown: false });
    const flip = (place) => {
      const next = Array.from(columns.keys()).filter((one) => places.includes(one) !== (one === place));
      ER.state.set({ labelShow: next.length === columns.length ? null : next.join(","), labelSort: "label", labelDown: false });
    };
    return html`<div class="controls" role="group" aria-label="Which scores by label">
      <${Choice} label="Show" name="by" value=${chosen.by} options=${ways} onChange=${(by) => set({ by })} />
      ${chosen.by === "metric"
        ? html`<${Choice} label="Metric" name="label-metric" value=${chosen.metric} options=${names(run.metrics)} onChange=${(place) => ER.state.set({ metric: Number(place) })} />`
        : html`<${Choice} label="Explainer" name="label-explainer" value=${chosen.explainer} options=${names(run.explainers)} onChange=${(place) => ER.state.set({ explainer: Number(place) })} />`}
      <label class="control"><span>Labels with</span><input type="search" name="label-find" value=${find} onInput=${(event) => ER.state.set({ labelFind: event.currentTarget.value })} /></label>
      <fieldset class="chips">
        <legend>Columns</legend>
        ${columns.map(({ name }, place) => html`<label class="chip" key=${place}><input type="checkbox" name=${`column-${place}`} checked=${places.includes(place)} onChange=${() => flip(place)} />${name}</label>`)}
      </fieldset>
    </div>`;
  }

  function LabelTable({ rows, all, columns, places, caption, state }) {
    const { labelSort: sort, labelDown: down } = state;
    const onSort = (key) => ER.state.set({ labelSort: key, labelDown: sort === key ? !down : false });
    const heads = [["Label", "label"], ["Questions", "questions"], ...places.map((place) => [columns[place].name, String(place)])];
    const spans = columns.map((_, place) => extent(all.map(({ found }) => found[place].mean)));
    const shownRow = ({ name, questions, found }) => [name, questions, ...places.map((place) => meanCell(found[place], spans[place]))];
    const csv = [
      ["label", "questions", ...places.flatMap((place) => [columns[place].name, `${columns[place].name} scored`])],
      ...all.map(({ name, questions, found }) => [name, questions, ...places.flatMap((place) => [found[place].mean, found[place].count])]),
    ];
    return html`<${Table} name="labels" caption=${caption} columns=${heads.map(([text, key]) => sortHead(text, { key, sort, down, onSort }))} rows=${rows.map(shownRow)} csv=${csv} />`;
  }

  function meanCell({ mean, count, unscored }, ends) {
    if (!known(mean)) return { text: null, shown: html`<span class="soft">not scored</span>`, kind: "number" };
    const part = unscored ? html` <span class="soft">(${count} of ${count + unscored})</span>` : null;
    return { text: mean, shown: html`${number(mean, ends[1] - ends[0])}${part}<${Interval} found=${{ mean }} ends=${ends} />` };
  }

  Object.assign(ER.scores, { LabelScores, labelRows, sortedRows, within });
})();
