// How far explainers' maps agree, how far metrics do, and which labels were mistaken for which.
"use strict";

(() => {
  const { html, Table } = ER.parts;
  const { correlationCell, counted, known, More } = ER.scores;
  const { useMemo, useState } = preactHooks;
  const MOST_QUESTIONS = 1000; // over which the agreement of metrics is computed
  const MOST_CLASSES = 20; // that a confusion matrix is drawn of; of more, the confusions alone
  const STEP = 50; // rows that are drawn at once

  /** A square table of correlations, coloured. */
  function Matrix({ names, matrix, table, name, caption, corner }) {
    const rows = matrix.map((row, place) => [names[place], ...row.map((value) => correlationCell(value, table))]);
    return html`<${Table} name=${name} caption=${caption} columns=${[corner, ...names.map(upright)]} rows=${rows} />`;
  }

  const upright = (text) => ({ text, shown: html`<span class="upright">${text}</span>` });

  function MapAgreement({ run, state }) {
    const { matrix, samples, side } = run.summary.agreement;
    const names = run.pictured.map((place) => run.explainers[place].name);
    return html`<p>Spearman's rank correlation of the maps of every two explainers for the same question, the mean over ${counted(samples, "sample")}. Maps are first reduced to at most ${side} x ${side} pixels. 1: they order the image's places alike; 0: one says nothing about the other; −1: the other way round. Explainers that agree are not therefore right.</p>
      <${Matrix} name="agreement" names=${names} matrix=${matrix} table=${state.diverging} caption="Agreement of explainers' maps" corner="Explainer" />`;
  }

  function MetricAgreement({ run, state }) {
    const questions = run.scores[0][0].length;
    const higher = run.metrics.map((metric) => metric.higher_is_better);
    const matrix = useMemo(() => ER.scores.metricAgreement(run.scores.map((of) => of.map((scores) => ER.scores.spread(scores, MOST_QUESTIONS))), higher), [run]);
    const count = questions > MOST_QUESTIONS ? `${MOST_QUESTIONS} of ${questions}, evenly spread` : `${questions}`;
    const off = matrix.flatMap((row, one) => row.filter((_, two) => one !== two));
    return html`<p>Do metrics prefer the same maps? Spearman's rank correlation of two metrics' scores over questions (${count}), computed for each explainer, then the mean over explainers. 1: what one calls good, the other does too. A dash: fewer than 3 questions have both scores, or one score is the same everywhere.<${ER.scores.OfThisPage} run=${run} /></p>
      ${off.some(known) ? html`<${Matrix} name="metric-agreement" names=${run.metrics.map(({ name }) => name)} matrix=${matrix} table=${state.diverging} caption="Agreement of metrics' scores" corner="Metric" />` : html`<p>There are too few scores to compare metrics.</p>`}`;
  }

  /** The cells of the confusion matrix of the page's samples. */
  function confusionsOf(run) {
    return ER.scores.confusions(Array.from({ length: run.count }, (_, place) => ER.selection.cells(run.labels(place))));
  }

  function Confusions({ run }) {
    const cells = useMemo(() => confusionsOf(run), [run]);
    const labels = Array.from(new Set(cells.flatMap(({ isTrue, predicted }) => [isTrue, predicted]))).sort((one, two) => one - two);
    const right = cells.reduce((sum, cell) => sum + (cell.isTrue === cell.predicted ? cell.count : 0), 0);
    const wrong = cells.filter((cell) => cell.isTrue !== cell.predicted);
    const truths = run.columns.label_flags.reduce((sum, flags) => sum + (flags & 1), 0);
    const extra = cells.some(({ isTrue }) => isTrue < 0);
    return html`<p>${right} of ${truths} true labels were predicted, with a probability above 50 %. A true label that was missed is counted with each label that was wrongly predicted for the same sample, or with "none".${extra ? " Where no true label was missed, one that was wrongly predicted is counted as true label \"none\"." : ""} Click a number to see its samples.<${ER.scores.OfThisPage} run=${run} /></p>
      ${labels.length <= MOST_CLASSES ? html`<${ConfusionMatrix} run=${run} cells=${cells} labels=${labels} />` : html`<${Mistakes} run=${run} wrong=${wrong} />`}`;
  }

  const className = (run, label) => (label < 0 ? "none" : run.classes[label]);

  function ConfusionMatrix({ run, cells, labels }) {
    const counts = new Map(cells.map((cell) => [`${cell.isTrue},${cell.predicted}`, cell.count]));
    const most = Math.max(...counts.values());
    // "none" stands last on both sides, and only where it occurs.
    const none = (side) => (cells.some((cell) => cell[side] < 0) ? [-1] : []);
    const named = labels.filter((label) => label >= 0);
    const [rows, columns] = [[...named, ...none("isTrue")], [...named, ...none("predicted")]];
    const cellOf = (isTrue, predicted) => countCell(run, isTrue, predicted, counts.get(`${isTrue},${predicted}`) ?? 0, most);
    const table = rows.map((isTrue) => [className(run, isTrue), ...columns.map((predicted) => cellOf(isTrue, predicted))]);
    return html`<${Table} name="confusions" caption="Samples by true label (rows) and predicted label (columns)" columns=${["true \\ predicted", ...columns.map((label) => upright(className(run, label)))]} rows=${table} />`;
  }

  function countCell(run, isTrue, predicted, count, most) {
    if (!count) return { text: 0, shown: html`<span class="shade soft">0</span>`, kind: "shaded" };
    const share = `${Math.round(10 + (25 * count) / most)}%`;
    const background = `color-mix(in srgb, var(${isTrue === predicted ? "--strong" : "--bad"}) ${share}, var(--back))`;
    return { text: count, shown: html`<${CellLink} run=${run} isTrue=${isTrue} predicted=${predicted} count=${count} style=${{ background }} />`, kind: "shaded" };
  }

  function CellLink({ run, isTrue, predicted, count, style }) {
    const changes = { ...ER.scores.NO_FILTER, view: "samples", cell: `${isTrue},${predicted}`, top: 0 };
    const words = `${counted(count, "sample")}: true ${className(run, isTrue)}, predicted ${className(run, predicted)}`;
    return html`<a class=${style ? "shade" : "count-link"} style=${style} href=${ER.state.address(changes)} aria-label=${words} onClick=${(event) => ER.scores.follow(event, changes)}>${count}</a>`;
  }

  /** Of many classes the confusions alone, the most frequent first. */
  function Mistakes({ run, wrong }) {
    const [shown, setShown] = useState(STEP);
    if (!wrong.length) return html`<p>No label was mistaken for another.</p>`;
    const row = ({ isTrue, predicted, count }) => [
      className(run, isTrue),
      className(run, predicted),
      { text: count, shown: html`<${CellLink} run=${run} isTrue=${isTrue} predicted=${predicted} count=${count} />` },
    ];
    const columns = ["True label", "Predicted label", "Samples"];
    const csv = [columns, ...wrong.map((cell) => row(cell))];
    return html`<${Table} name="confusions" caption="Mistaken labels, the most frequent first" columns=${columns} rows=${wrong.slice(0, shown).map(row)} csv=${csv} />
      <${More} shown=${shown} count=${wrong.length} what="confusions" onMore=${() => setShown(shown + STEP)} />`;
  }

  Object.assign(ER.scores, { MapAgreement, MetricAgreement, Confusions });
})();
