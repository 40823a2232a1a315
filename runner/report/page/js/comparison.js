// Two runs: the verdict, what changed, and the samples in which it did.
"use strict";

(() => {
  const { html, Picture, Table } = ER.parts;
  const ROWS = 40; // of a table
  const ENTRIES = 12; // of the list of samples
  const PLOT = { width: 170, height: 22, middle: 85, reach: 80 };

  /** A score, or a change of one: four decimals between 0.01 and 100,000, else three digits. */
  function number(value, scale, sign = false) {
    if (value === null) return "–";
    const text = scale >= 0.01 && scale < 1e5 ? value.toFixed(4) : String(Number(value.toPrecision(3)));
    if (Number(text) === 0) return text.replace("-", "");
    return (sign && value > 0 ? `+${text}` : text).replace("-", "−");
  }

  const scaleOf = ({ baseline, candidate }) => Math.max(Math.abs(baseline ?? 0), Math.abs(candidate ?? 0)) || 1;

  const count = (many, word) => `${many.toLocaleString("en")} ${word}${many === 1 ? "" : "s"}`;

  /** The two runs of a page; undefined where one was a file. */
  const runsOf = (page) => Object.fromEntries(page.runs.map((run) => [run.name, run]));

  function ComparisonView({ page, state }) {
    const found = page.comparison;
    if (found.problems.length) return html`<${Refused} found=${found} />`;
    return html`<div class="comparison">
      <${Verdict} found=${found} />
      <${Changes} found=${found} state=${state} />
      <${Floors} found=${found} />
      <${Slices} found=${found} />
      <${Changed} page=${page} state=${state} />
      <${Similarities} found=${found} />
      <${Differences} found=${found} />
    </div>`;
  }

  function Named({ found }) {
    return html`<dl class="named">
      <div><dt>Candidate</dt><dd><code>${found.candidate}</code></dd></div>
      <div><dt>Baseline</dt><dd><code>${found.baseline}</code></dd></div>
    </dl>`;
  }

  function Refused({ found }) {
    return html`<section class="comparison" aria-labelledby="verdict">
      <h1 id="verdict" class="verdict failed">Not compared</h1>
      <${Named} found=${found} />
      <p>${found.problems.length === 1 ? "The two runs cannot be compared, for this reason:" : `The two runs cannot be compared, for ${found.problems.length} reasons:`}</p>
      <ul class="problems">
        ${found.problems.map((problem) => html`<li>${problem}</li>`)}
      </ul>
    </section>`;
  }

  function Verdict({ found }) {
    const which = found.without_maps.join(" and the ");
    return html`<section aria-labelledby="verdict">
      <h1 id="verdict" class=${`verdict ${found.passed ? "passed" : "failed"}`}>${title(found)}</h1>
      <p class="headline">${found.headline[0].toUpperCase() + found.headline.slice(1)}.</p>
      <${Named} found=${found} />
      <p class="basis">
        Compared on ${count(found.samples, "sample")} and ${count(found.questions, "question")} about their true labels. The chance of a
        false alarm anywhere in the table is at most ${found.alpha * 100} %.
      </p>
      ${which ? html`<p class="notice" role="note"><b>Verdicts only.</b> The ${which} ${found.without_maps.length === 1 ? "was" : "were"} given as a file, not as a run's folder, so there are no maps to put side by side.</p>` : null}
    </section>`;
  }

  /** The verdict in a few words: nothing is called worse where something is only not shown. */
  function title(found) {
    if (found.passed) return "No regression";
    const judged = [...found.changes, ...found.slices, ...found.floors];
    return judged.some((one) => FAILURES.includes(one.verdict)) ? "The candidate is worse" : "Not shown to be as good";
  }

  const isPerhaps = (row) => row.verdict === "inconclusive" && row.fall > row.tolerance;

  const FAILURES = ["regression", "scores lost", "floor missed"];
  const UNDECIDED = ["inconclusive", "too few samples"];
  // What fails comes first, then what may have changed, what changed for the better, and the rest.
  const RANKS = ["regression", "scores lost", "worse, within noise", "inconclusive", "too few samples", "better", "non-inferior"];
  const verdictOf = (row) => (isPerhaps(row) ? "worse, within noise" : row.verdict);

  /** By metric, the largest change that its rows show: metrics have units of their own. */
  function extents(changes) {
    const found = new Map();
    for (const { metric, low, high, change, tolerance } of changes) {
      const sizes = [low, high, change, tolerance].map((value) => Math.abs(value ?? 0));
      found.set(metric, Math.max(found.get(metric) ?? 0, ...sizes));
    }
    return found;
  }

  function inOrder(changes, extent) {
    const rank = (row) => RANKS.indexOf(verdictOf(row));
    const size = (row) => Math.abs(row.change ?? 0) / (extent.get(row.metric) || 1);
    return [...changes].sort((one, two) => rank(one) - rank(two) || size(two) - size(one));
  }

  const COLUMNS = ["explainer", "metric", "verdict", "baseline", "candidate", "change", "95 % interval of the change", "tolerance", "p of the fall", "fall at most", "detects falls of", "samples needed", "questions"];

  function Changes({ found, state }) {
    const extent = extents(found.changes);
    const rows = inOrder(found.changes, extent).map((row) => changeCells(row, extent.get(row.metric)));
    const page = Math.min(state.rows, Math.floor((rows.length - 1) / ROWS));
    return html`<section aria-labelledby="changes-title">
      <h2 id="changes-title">What changed</h2>
      <p class="key">
        <${Key} /> In the drawings, <b>right is better</b> and left is worse, whichever way a metric goes; each metric has a scale of its own.
      </p>
      <${Table} name="changes" caption=${`Mean scores, ${found.passed ? "largest changes" : "what failed"} first`} columns=${COLUMNS} rows=${rows.slice(page * ROWS, (page + 1) * ROWS)} csv=${[COLUMNS, ...rows]} />
      <${Pages} label="rows" page=${page} size=${ROWS} total=${rows.length} onChange=${(next) => ER.state.set({ rows: next })} />
      ${READING}
    </section>`;
  }

  function changeCells(row, extent) {
    const scale = scaleOf(row);
    const counts = [row.lost && `${row.lost} lost`, row.gained && `${row.gained} gained`, row.unscored && `${row.unscored} unscored`];
    const questions = [row.questions, ...counts.filter(Boolean)].join(", ");
    const words = verdictOf(row);
    const kind = row.failing ? "bad" : words === "better" ? "good" : "";
    const p = row.p_value === null ? "–" : row.p_value < 1e-4 ? "< 0.0001" : row.p_value.toFixed(4);
    return [
      row.explainer,
      { text: row.metric, shown: html`${row.metric}<span class="direction">${row.higher_is_better ? "higher" : "lower"} is better</span>` },
      { text: words, shown: html`<span class=${`outcome ${kind}`}>${words}</span>` },
      { text: row.baseline, shown: number(row.baseline, scale), kind: "number" },
      { text: row.candidate, shown: number(row.candidate, scale), kind: "number" },
      { text: row.change, shown: number(row.change, scale, true), kind: "number" },
      { text: row.low === null ? "" : `${row.low} to ${row.high}`, shown: html`<${Interval} row=${row} extent=${extent} scale=${scale} kind=${kind} />` },
      { text: row.tolerance, shown: row.tolerance === null ? "–" : String(Number(row.tolerance.toPrecision(4))), kind: "number" },
      { text: row.p_value, shown: p, kind: "number" },
      ...powerCells(row, scale),
      { text: questions, shown: questions, kind: "number" },
    ];
  }

  /** What the samples can show, where that matters for the verdict. */
  function powerCells(row, scale) {
    const undecided = UNDECIDED.includes(row.verdict);
    const atMost = ["inconclusive", "non-inferior"].includes(row.verdict) ? row.fall_at_most : null;
    const detects = undecided ? row.detectable_fall : null;
    const needed = undecided && row.samples_needed !== null ? `${row.samples_needed.toLocaleString("en")} (has ${row.samples})` : "–";
    return [
      { text: row.fall_at_most, shown: number(atMost, scale), kind: "number" },
      { text: row.detectable_fall, shown: number(detects, scale), kind: "number" },
      { text: row.samples_needed, shown: needed, kind: "number" },
    ];
  }

  /** Each label by itself, the worst first as they come. */
  function Slices({ found }) {
    if (!found.slices.length) return null;
    const extent = extents(found.slices);
    const rows = found.slices.map((row) => [row.class_name ?? String(row.label), ...changeCells(row, extent.get(row.metric))]);
    const columns = ["label", ...COLUMNS];
    return html`<section aria-labelledby="slices-title">
      <h2 id="slices-title">Label by label</h2>
      <p class="key">The same rows on the questions about one true label each, corrected for their number. A label of few samples can show little.</p>
      <${Table} name="slices" caption=${`The worst first, ${Math.min(ROWS, rows.length)} of ${count(rows.length, "slice")}`} columns=${columns} rows=${rows.slice(0, ROWS)} csv=${[columns, ...rows]} />
    </section>`;
  }

  function Floors({ found }) {
    if (!found.floors.length) return null;
    const rows = found.floors.map((check) => {
      const scale = Math.abs(check.candidate ?? 0) || 1;
      const kind = check.failing ? "bad" : check.shown ? "good" : "";
      const ends = check.low === null ? "–" : `${number(check.low, scale)} to ${number(check.high, scale)}`;
      return [
        check.explainer,
        check.metric,
        { text: check.verdict, shown: html`<span class=${`outcome ${kind}`}>${check.verdict}</span>` },
        { text: check.floor, shown: `at ${check.higher_is_better ? "least" : "most"} ${check.floor}`, kind: "number" },
        { text: check.candidate, shown: number(check.candidate, scale), kind: "number" },
        { text: ends, shown: ends, kind: "number" },
        { text: check.questions, shown: String(check.questions), kind: "number" },
      ];
    });
    return html`<section aria-labelledby="floors-title">
      <h2 id="floors-title">Floors</h2>
      <p class="key">What the candidate's own means must reach, whatever the baseline's were.</p>
      <${Table} name="floors" caption="Means and their floors" columns=${["explainer", "metric", "verdict", "floor", "candidate", "95 % interval of the mean", "questions"]} rows=${rows} />
    </section>`;
  }

  /** The change, its interval and what is tolerated, drawn with better to the right. */
  function Interval({ row, extent, scale, kind }) {
    if (row.low === null) return "–";
    const direction = row.higher_is_better ? 1 : -1;
    const at = (value) => PLOT.middle + (direction * value * PLOT.reach) / (extent || 1);
    const [left, right] = [at(row.low), at(row.high)].sort((one, two) => one - two);
    const numbers = `${number(row.low, scale, true)} to ${number(row.high, scale, true)}`;
    const tolerated = ((row.tolerance ?? 0) * PLOT.reach) / (extent || 1);
    return html`<span class="interval"
      ><svg viewBox=${`0 0 ${PLOT.width} ${PLOT.height}`} width=${PLOT.width} height=${PLOT.height} class=${kind} aria-hidden="true">
        <rect class="tolerated" x=${PLOT.middle - tolerated} y="3" width=${tolerated} height="16" />
        <path class="zero" d=${`M${PLOT.middle} 0V${PLOT.height}`} />
        <path class="range" d=${`M${left} 11H${right}M${left} 7V15M${right} 7V15`} />
        <circle cx=${at(row.change)} cy="11" r="4" />
      </svg>
      <span class="ends">${numbers}</span></span
    >`;
  }

  function Key() {
    return html`<svg viewBox="0 0 26 22" width="26" height="22" aria-hidden="true" class="keyed"><path class="range" d="M2 11H24M2 7V15M24 7V15" /><circle cx="13" cy="11" r="4" /></svg>
      a change and its 95 % interval;
      <svg viewBox="0 0 26 22" width="26" height="22" aria-hidden="true" class="keyed"><rect class="tolerated" x="4" y="3" width="18" height="16" /><path class="zero" d="M22 0V22" /></svg>
      no change, and the fall that is tolerated.`;
  }

  const READING = html`<details class="words"
    ><summary>How is the verdict reached?</summary>
    <dl>
      <dt>change</dt><dd>The candidate's mean score minus the baseline's, over the questions that both scored.</dd>
      <dt>tolerance</dt><dd>How much worse a mean may get, in the metric's unit.</dd>
      <dt>p of the fall</dt><dd>How likely such a fall is by chance: a one-sided sign flip test over samples, with Holm's correction over all rows.</dd>
      <dt>regression</dt><dd>Worse by more than the tolerance, and too much for chance.</dd>
      <dt>scores lost</dt><dd>The baseline scored questions that have no score now.</dd>
      <dt>non-inferior</dt><dd>Shown not to be worse by more than the tolerance: the largest fall that the samples do not rule out ("fall at most") is within it.</dd>
      <dt>inconclusive</dt><dd>The samples show neither. They would find the falls under "detects falls of" 4 times of 5, and as many samples as are needed would find a fall of the tolerance as often.</dd>
      <dt>worse, within noise</dt><dd>Inconclusive, with a mean that is worse by more than the tolerance: so few or such uneven changes may be chance.</dd>
      <dt>better</dt><dd>Better by more than the tolerance, and too much for chance.</dd>
      <dt>too few samples</dt><dd>Not even a fall of all samples could be distinguished from chance.</dd>
    </dl>
  </details>`;

  /** Turns the pages of a list or table, where it has more than one. */
  function Pages({ label, page, size, total, onChange }) {
    const last = Math.ceil(total / size) - 1;
    if (last < 1) return null;
    const end = Math.min((page + 1) * size, total);
    return html`<div class="pages" role="group" aria-label=${`Pages of ${label}`}>
      <button type="button" class="quiet" disabled=${page === 0} onClick=${() => onChange(page - 1)}>Previous ${label}</button>
      <span role="status">${page * size + 1} to ${end} of ${total.toLocaleString("en")}</span>
      <button type="button" class="quiet" disabled=${page >= last} onClick=${() => onChange(page + 1)}>Next ${label}</button>
    </div>`;
  }

  const nameOf = (found, label) => found.class_names[label] ?? String(label);
  const named = (found, labels) => labels.map((label) => nameOf(found, label)).join(", ") || "none";

  /** A list that is open to choice: how many entries it has, and each by its place: {sample, label, ...}. */
  function listOf(page, changed) {
    const { comparison: found, runs } = page;
    const lists = {
      worst: { total: found.worst.length, at: (place) => found.worst[place] },
      flips: { total: found.flips.length, at: (place) => ({ sample: found.flips[place].sample, label: null, flip: found.flips[place] }) },
      all: { total: runs[0]?.count ?? 0, at: (place) => ({ sample: runs[0].ids[place], label: null }) },
    };
    const key = changed in lists ? changed : ["worst", "flips", "all"].find((one) => lists[one].total) ?? "worst";
    return { key, ...lists[key] };
  }

  function Changed({ page, state }) {
    const both = runsOf(page);
    const isPair = Boolean(both.baseline && both.candidate);
    const list = listOf(page, state.changed);
    const chosen = state.pair === null ? (list.total ? list.at(0) : null) : { sample: state.pair, label: state.pairLabel };
    return html`<section aria-labelledby="changed-title">
      <h2 id="changed-title">${isPair ? "Samples, and maps of both runs" : "Samples"}</h2>
      <div class=${isPair ? "split" : ""}>
        <${List} page=${page} state=${state} list=${list} chosen=${isPair ? chosen : null} />
        ${isPair && chosen ? html`<${ER.comparisonPair.Pair} both=${both} found=${page.comparison} chosen=${chosen} state=${state} step=${stepIn(list, chosen)} />` : null}
      </div>
    </section>`;
  }

  /** Opens the next or the one before in a list; null where there is none. */
  function stepIn(list, chosen) {
    const same = (one) => one.sample === chosen.sample && (one.label === null || chosen.label === null || one.label === chosen.label);
    let place = -1;
    for (let at = 0; at < list.total && place < 0; at++) if (same(list.at(at))) place = at;
    return (by) => {
      const to = place + by;
      if (place < 0 || to < 0 || to >= list.total) return null;
      return () => ER.state.set({ ...pairOf(list.at(to)), listed: Math.floor(to / ENTRIES) }, { step: true });
    };
  }

  const EMPTY = { worst: "No score fell.", flips: "No prediction changed.", all: "This page shows no samples." };

  const pairOf = ({ sample, label }) => ({ pair: sample, pairLabel: label });

  function List({ page, state, list, chosen }) {
    const { comparison: found } = page;
    const options = [
      ["worst", `scores that fell most (${found.worst.length})`],
      ["flips", `predictions that changed (${found.flips.length})`],
      ...(page.runs.length ? [["all", `all samples shown (${page.runs[0].count})`]] : []),
    ];
    const size = Math.max(0, Math.min(state.listed, Math.ceil(list.total / ENTRIES) - 1));
    const places = Array.from({ length: Math.min(ENTRIES, list.total - size * ENTRIES) }, (_, place) => size * ENTRIES + place);
    const choose = (changed) => ER.state.set({ changed, listed: 0, pair: null, pairLabel: null });
    return html`<div class="changed">
      <${ER.parts.Choice} label="Listed" name="changed" value=${list.key} options=${options} onChange=${choose} />
      ${chosen ? html`<${Find} page=${page} />` : null}
      ${list.total ? null : html`<p class="empty">${EMPTY[list.key]}</p>`}
      <ol class="entries" start=${size * ENTRIES + 1} aria-label=${options.find(([key]) => key === list.key)?.[1]}>
        ${places.map((place) => html`<${Entry} page=${page} entry=${list.at(place)} chosen=${chosen} key=${`${list.key} ${place}`} />`)}
      </ol>
      <${Pages} label="samples" page=${size} size=${ENTRIES} total=${list.total} onChange=${(listed) => ER.state.set({ listed })} />
    </div>`;
  }

  /** Any sample by its id. */
  function Find({ page }) {
    const [unknown, setUnknown] = preactHooks.useState("");
    const find = (event) => {
      event.preventDefault();
      const text = event.currentTarget.elements.pair.value.trim();
      const known = text !== "" && page.runs[0].places.has(Number(text));
      setUnknown(known || text === "" ? "" : `No sample ${text} is shown here.`);
      if (known) ER.state.set({ pair: Number(text), pairLabel: null }, { step: true });
    };
    return html`<form class="find" onSubmit=${find}>
      <label class="control"><span>Sample id</span><input type="search" name="pair" size="8" inputmode="numeric" /></label>
      <button type="submit">Open</button>
      <span role="status" class="missing">${unknown}</span>
    </form>`;
  }

  function Entry({ page, entry, chosen }) {
    const { comparison: found, runs } = page;
    const run = runs.find((one) => one.places.has(entry.sample));
    const words = html`<b>Sample ${entry.sample}</b><span>${entryWords(found, entry)}</span>`;
    if (!run) return html`<li class="entry">${words}${runs.length ? html`<span class="missing">not among the samples of this page</span>` : null}</li>`;
    const open = () => {
      if (chosen) ER.comparisonPair.open(pairOf(entry));
      else ER.state.set({ run: run.name, sample: entry.sample, label: entry.label }, { step: true });
    };
    const current = chosen?.sample === entry.sample && (entry.label === null || chosen.label === null || chosen.label === entry.label);
    return html`<li>
      <button type="button" class="entry" aria-current=${current ? "true" : null} onClick=${open}>
        <${Picture} run=${run} sample=${run.places.get(entry.sample)} alt="" />${words}
      </button>
    </li>`;
  }

  function entryWords(found, { label, explainer, metric, flip, ...score }) {
    if (flip) return html`<bdi>${named(found, flip.baseline)}</bdi> → <bdi>${named(found, flip.candidate)}</bdi>`;
    if (!explainer) return "";
    const scale = scaleOf(score);
    const after = score.candidate === null ? "lost" : number(score.candidate, scale);
    return html`label <bdi>${nameOf(found, label)}</bdi>: ${metric} of ${explainer} ${number(score.baseline, scale)} → ${after}`;
  }

  function Similarities({ found }) {
    if (!found.similarities.length) return null;
    const rows = found.similarities.map((one) => [
      one.explainer,
      { text: one.spearman, shown: number(one.spearman, 1), kind: "number" },
      { text: one.top_intersection, shown: one.top_intersection === null ? "–" : `${(100 * one.top_intersection).toFixed(1)} %`, kind: "number" },
      one.compared,
      one.not_compared,
    ]);
    return html`<section aria-labelledby="alike-title">
      <h2 id="alike-title">How alike the maps are</h2>
      <p class="key">Of the same questions in both runs; no verdict follows from it. 1 and 100 % are the same order of pixels, 0 and about 10 % what chance gives.</p>
      <${Table} name="similarities" caption="Means over the maps of true labels" columns=${["explainer", "rank correlation of pixels", "shared of the most salient 10 %", "pairs of maps", "not compared"]} rows=${rows} />
    </section>`;
  }

  function Differences({ found }) {
    const { notes, new: added, left_out: leftOut, only_baseline: before, only_candidate: now } = found;
    const asked = [[before, "baseline"], [now, "candidate"]].filter(([many]) => many);
    const lines = [
      ...added.map((what) => `only the candidate has the ${what}, which is not compared`),
      ...leftOut.map((what) => `not compared: ${what}`),
      ...asked.map(([many, which]) => `${count(many, "question")} about predicted labels that are not true, which only the ${which} asked`),
    ];
    return html`<section aria-labelledby="differ-title">
      <h2 id="differ-title">What else differs</h2>
      ${notes.length || lines.length ? null : html`<p>Nothing: network, versions, options and seeds are the same in both.</p>`}
      ${notes.length ? html`<p class="key">What made the two runs:</p><ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>` : null}
      ${lines.length ? html`<p class="key">What the table leaves out:</p><ul class="notes">${lines.map((line) => html`<li>${line}</li>`)}</ul>` : null}
    </section>`;
  }

  ER.comparison = { ComparisonView, number, scaleOf };
})();
