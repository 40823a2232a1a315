// Explainers by metrics: means with intervals, places with ties, what beats its controls; and the differences of pairs.
"use strict";

(() => {
  const { html, Table } = ER.parts;
  const { extent, known, number, signed, counted, Interval, MetricName, More } = ER.scores;
  const STEP = 50; // rows of differences that are drawn at once

  /** The ends of a metric's scale: of all its means and intervals. */
  const endsOf = (run, metric) => extent(run.summary.scores.flatMap((of) => [of[metric].mean, of[metric].low, of[metric].high]));

  function Score({ found, ends, place, unbeaten, needed }) {
    const span = ends ? ends[1] - ends[0] : 0;
    if (!known(found.mean)) return html`<span class="score"><span class="soft">none of ${found.unscored} scored</span></span>`;
    return html`<span class="score">
      <span class="mean">${number(found.mean, span)}</span>
      ${place ? html`<span class=${place.place === 1 && !unbeaten ? "place first" : "place"}><span class="visually-hidden">place </span>${place.place} ${place.letters}</span>` : null}
      <${Interval} found=${found} ends=${ends} />
      ${known(found.low) ? html`<span class="soft">${number(found.low, span)} to ${number(found.high, span)}</span>` : null}
      ${unbeaten ? html`<span class=${needed ? "soft" : "unbeaten"}>${needed ? "too few samples to beat" : "does not beat"} ${unbeaten.join(", ")}</span>` : null}
      ${found.unscored ? html`<span class="soft">${found.unscored} of ${found.count + found.unscored} not scored</span>` : null}
    </span>`;
  }

  /** The explainers' places: as in the run, or by their means in the metric that sorts; those without one last. */
  function orderOf(run, { scoreSort: sort, scoreWorst: worst }) {
    const places = Array.from(run.explainers.keys());
    if (!run.metrics[sort]) return places;
    const sign = run.metrics[sort].higher_is_better === worst ? 1 : -1;
    const mean = (row) => run.summary.scores[row][sort].mean;
    return places.sort((one, two) => known(mean(two)) - known(mean(one)) || (known(mean(one)) ? sign * (mean(one) - mean(two)) : 0) || one - two);
  }

  /** The button that sorts by a metric: the best first, then the worst, then as in the run. */
  function SortButton({ name, place, state }) {
    const { scoreSort: sort, scoreWorst: worst } = state;
    const active = sort === place;
    const next = !active ? [place, false] : worst ? [null, false] : [place, true];
    const words = !active ? "the best first" : worst ? "as in the run" : "the worst first";
    const set = () => ER.state.set({ scoreSort: next[0], scoreWorst: next[1] });
    return html`<button type="button" class="sort" name=${`sort-${place}`} title=${`Sort: ${words}`} aria-label=${`${name}, sort: ${words}`} onClick=${set}><span class=${active ? "" : "idle"} aria-hidden="true">${active ? (worst ? "▲" : "▼") : "↕"}</span></button>`;
  }

  const sortOf = ({ higher_is_better: higher }, place, { scoreSort, scoreWorst }) =>
    scoreSort !== place ? null : higher === scoreWorst ? "ascending" : "descending";

  function metricHead(run, place, state) {
    const metric = run.metrics[place];
    const ends = endsOf(run, place);
    const shown = html`<span class="metric-head"
      ><span class="named"><${MetricName} metric=${metric} id=${`about-${place}`} />${run.explainers.length > 1 ? html`<${SortButton} name=${metric.name} place=${place} state=${state} />` : null}</span>
      <span class="soft">${metric.higher_is_better ? "↑ higher is better" : "↓ lower is better"}</span>
      ${ends ? html`<span class="scale soft" aria-hidden="true"><span>${number(ends[0], ends[1] - ends[0])}</span><span>${number(ends[1], ends[1] - ends[0])}</span></span>` : null}</span
    >`;
    return { text: metric.name, shown, sort: sortOf(metric, place, state) };
  }

  const nameCell = ({ name, control }) => ({ text: name, shown: control ? html`${name} <span class="control-mark">control</span>` : name });

  function ScoreTable({ run, state }) {
    const rows = orderOf(run, state).map((row) => [
      nameCell(run.explainers[row]),
      ...run.metrics.map((_, column) => {
        const ranking = run.summary.rankings[column];
        const found = run.summary.scores[row][column];
        const place = run.explainers.length > 1 ? ER.scores.placeOf(ranking, run.explainers[row].name) : null;
        return { text: found.mean, shown: html`<${Score} found=${found} ends=${endsOf(run, column)} place=${place} unbeaten=${ranking.unbeaten[run.explainers[row].name]} needed=${ranking.samples_needed} />`, kind: "scored" };
      }),
    ]);
    const { samples_total: samples, questions_total: questions } = run.summary;
    const caption = `Means over ${counted(questions, "question")} (a sample and a label each) of ${counted(samples, "sample")}`;
    return html`<${Table} name="scores" caption=${caption} columns=${["Explainer", ...run.metrics.map((_, place) => metricHead(run, place, state))]} rows=${rows} csv=${csvOf(run)} />
      <${Reading} run=${run} />`;
  }

  function csvOf(run) {
    const parts = ["mean", "low", "high", "scored", "not scored", "place", "ties", "controls not beaten"];
    const head = ["explainer", "control", ...run.metrics.flatMap(({ name }) => parts.map((part) => `${name} ${part}`))];
    const rows = run.explainers.map(({ name, control }, row) => [
      name,
      control ? "yes" : "no",
      ...run.metrics.flatMap((_, column) => {
        const { mean, low, high, count, unscored } = run.summary.scores[row][column];
        const ranking = run.summary.rankings[column];
        const place = ER.scores.placeOf(ranking, name);
        return [mean, low, high, count, unscored, place?.place, place?.letters, (ranking.unbeaten[name] ?? []).join(" ")];
      }),
    ]);
    return [head, ...rows];
  }

  function dotWords(found) {
    if (!found.some(({ mean }) => known(mean))) return "No question got a score.";
    if (!found.some(({ low }) => known(low))) return "The dot is the mean. Fewer than two samples have scores, so there are no intervals.";
    return "The dot is the mean, the line its 95 % interval, by bootstrap over samples; a column has one scale, whose ends stand in its heading.";
  }

  /** How to read the table; only what occurs in it is explained. */
  function Reading({ run }) {
    const controls = run.explainers.filter(({ control }) => control).map(({ name }) => name);
    const insensitive = run.metrics.filter((metric) => !metric.control_sensitive).map(({ name }) => name);
    const needed = Math.max(0, ...run.summary.rankings.map((ranking) => ranking.samples_needed ?? 0));
    return html`<ul class="reading">
      <li>${dotWords(run.summary.scores.flat())}</li>
      ${run.explainers.length > 1
        ? html`<li>The place is 1 + how many explainers are better beyond noise. Explainers that share a letter are ties: they may differ by noise alone. So two at different places may still be a tie.</li>`
        : null}
      ${controls.length
        ? html`<li>${controls.join(", ")} ${controls.length === 1 ? "is a control: it knows" : "are controls: they know"} nothing of the network. What does not beat a control beyond noise says so: its score is no evidence for it.</li>`
        : html`<li>The run has no control, such as a random map, that shows what score means nothing.</li>`}
      ${controls.length && insensitive.length ? html`<li>Nothing is marked in ${insensitive.join(", ")}: a map that ignores the image does best there.</li>` : null}
      ${needed ? html`<li>There are too few samples to show any difference of ${run.explainers.length} explainers beyond noise: it takes at least ${needed}.</li>` : null}
      <li>A click on a metric's name says what it measures; the arrows beside it sort.</li>
    </ul>`;
  }

  /** How every two explainers differ in the chosen metric. */
  function Differences({ run, metric }) {
    const [shown, setShown] = preactHooks.useState(STEP);
    const { higher_is_better: higher, name } = run.metrics[metric];
    const pairs = run.summary.rankings[metric].differences.slice().sort(byChance);
    if (!pairs.length) return html`<p>There are no two explainers with scores in ${name}.</p>`;
    const ends = extent([0, ...pairs.flatMap(({ mean, low, high }) => [mean, low, high])]);
    const columns = ["Pair", "Difference of means", "p", "Questions", "Better beyond noise"];
    const rows = pairs.slice(0, shown).map((pair) => pairRow(pair, ends, higher));
    const csv = [["first", "second", "mean", "low", "high", "p (Holm)", "questions", "better"], ...pairs.map((pair) => [pair.first, pair.second, pair.mean, pair.low, pair.high, pair.p_value, pair.questions, ER.scores.better(pair, higher) ?? "tie"])];
    return html`<${Table} name="differences" caption=${`${name}: every two explainers, the clearest differences first`} columns=${columns} rows=${rows} csv=${csv} />
      <${More} shown=${shown} count=${pairs.length} what="pairs" onMore=${() => setShown(shown + STEP)} />
      <p class="soft">First minus second, over the questions that both have scores of, with its 95 % interval by bootstrap over samples. p is of a paired permutation test over samples, after Holm's correction over all pairs; above 0.05 the pair is a tie.</p>`;
  }

  const byChance = (one, two) => (one.p_value ?? 2) - (two.p_value ?? 2) || Math.abs(two.mean ?? 0) - Math.abs(one.mean ?? 0);

  function pairRow(pair, ends, higher) {
    const span = ends[1] - ends[0];
    const words = known(pair.low) ? ` [${signed(pair.low, span)}, ${signed(pair.high, span)}]` : "";
    const difference = html`<span class="difference"><${Interval} found=${pair} ends=${ends} zero=${true} /><span>${signed(pair.mean, span, 1)}<span class="soft">${words}</span></span></span>`;
    const winner = ER.scores.better(pair, higher);
    return [
      { text: `${pair.first} - ${pair.second}`, shown: `${pair.first} − ${pair.second}` },
      { text: pair.mean, shown: difference },
      { text: pair.p_value, shown: ER.parts.shown(pair.p_value, 4) },
      pair.questions,
      { text: winner ?? "tie", shown: winner ? html`<b>${winner}</b>` : html`<span class="soft">tie</span>` },
    ];
  }

  Object.assign(ER.scores, { ScoreTable, Differences, nameCell });
})();
