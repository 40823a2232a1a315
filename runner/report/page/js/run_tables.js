// What a run cost, what it has no numbers for and what is wrong with its files, as tables.
"use strict";

(() => {
  const { html, Table, percent } = ER.parts;

  // What passes of a kind are for; those of other kinds are an explainer's own.
  const KINDS = {
    infer: "predictions",
    activate: "forward passes whose layers explainers read",
    differentiate: "forward and backward passes",
    guided: "backward passes by the guided rule",
    deconvolution: "backward passes by the deconvolution rule",
    loss: "backward passes from a loss",
    integrate: "backward passes along a path of images",
    dropout: "predictions under dropout masks, for uncertainty",
    nearest: "features of samples, for the nearest ones",
    "nearest pool": "features and predictions of what samples are compared with",
    perturb: "covered images that metrics ask about",
    baseline: "the baselines that images are covered with",
    noise: "noisy images of Robustness and metrics like it",
    "random weights": "predictions under random weights",
    "weight order": "the order of the layers with weights",
    shifted: "predictions on shifted images",
    "shift trial": "whether the first layer absorbs a shift",
    uniform: "images of one value",
    search: "hierarchical occlusion",
    occlude: "images with a window covered",
    mask: "images under random masks",
    ood: "images under random masks, for the out-of-distribution network",
    ascend: "images that excite a channel",
    compile: "whether the network compiles",
    "network probe": "the network's fingerprint",
    "dropout trial": "how dropout may run",
    "place trial": "whether an image's place in a pass matters",
    "repeat trial": "whether an image gives the same again",
    "size trial": "how many images a pass takes",
    "layer choice": "the choice of a layer",
    "layer check": "whether a layer is read",
  };

  const cell = (value) => (value === undefined || value === null ? { text: "", shown: "–" } : { text: value, shown: value.toLocaleString("en"), kind: "number" });
  const secondsCell = (value) => (value === undefined ? { text: "", shown: "–" } : { text: value, shown: value.toFixed(2), kind: "number" });

  function Passes({ costs }) {
    const { made = {}, needed = {}, images = {}, pass_seconds: took = {}, compiled, refused = {} } = costs;
    const kinds = Array.from(new Set([...Object.keys(made), ...Object.keys(needed)]));
    if (!kinds.length) return html`<p>No pass is counted.</p>`;
    const total = (of) => kinds.reduce((sum, kind) => sum + (of[kind] ?? 0), 0);
    const graphs = (count) => cell(compiled && count(compiled)); // which earlier versions did not count
    const rows = kinds.map((kind) => [
      kind,
      cell(made[kind]),
      cell(needed[kind]),
      graphs((of) => of[kind] ?? 0),
      cell(images[kind]),
      secondsCell(took[kind]),
      KINDS[kind] ?? "",
    ]);
    rows.push(["all", cell(total(made)), cell(total(needed)), graphs(total), cell(total(images)), secondsCell(total(took)), ""]);
    return html`<${Table}
        name="passes"
        caption="A pass is one call of the network with several images"
        columns=${["kind", "made", "needed", "compiled", "images", "seconds", "for"]}
        rows=${rows}
      />
      <p class="note">
        Needed is what the run would take without interruption. More are made where a run was stopped and resumed, fewer
        where a pass answered several questions.
      </p>
      ${Object.keys(refused).map((what) => html`<p class="note">Not compiled: ${what}</p>`)}`;
  }

  /** Where the time went, the longest first, with a bar for each part. */
  function Seconds({ costs }) {
    const parts = Object.entries(costs.seconds ?? {}).sort((one, two) => two[1] - one[1]);
    const whole = parts.reduce((sum, [, seconds]) => sum + seconds, 0);
    if (!whole) return html`<p>No time is recorded.</p>`;
    const longest = parts[0][1];
    const bar = (seconds) => html`<span class="share-bar"><span style=${{ width: `${(100 * seconds) / longest}%` }}></span></span><span class="share">${percent(seconds / whole)}</span>`;
    const rows = parts.map(([part, seconds]) => [part, secondsCell(seconds), { text: seconds / whole, shown: bar(seconds), kind: "bars" }]);
    return html`<${Table} name="seconds" caption=${`Seconds by part of the run, ${whole.toFixed(1)} together`} columns=${["part", "seconds", "share"]} rows=${rows} />`;
  }

  // -- what was not computed, and why -----------------------------------------------------------------------------------

  const FLAT = "the map is constant, so that no pixel comes before another, or it is not finite";
  const UNSCORED = {
    InsertionAUC: FLAT,
    DeletionAUC: FLAT,
    NaiveFaithfulness: `${FLAT}; or all drops of probability are equal`,
    PixelFlipping: FLAT,
    SRG: FLAT,
    ROAD: FLAT,
    Selectivity: `the map's patches are equal; or ${FLAT}`,
    IROF: `the map's superpixels are equal, or there is one alone; or ${FLAT}`,
    FaithfulnessCorrelation: `${FLAT}; or the answers or the map's sums never change`,
    FaithfulnessEstimate: `${FLAT}; or the answers or the map's sums never change`,
    MonotonicityCorrelation: `${FLAT}; or the answers or the map's sums never change`,
    SensitivityN: `${FLAT}; or the answers or the map's sums never change`,
    Infidelity: FLAT,
    Sufficiency: `no noisy copy of the image has a map like its own; or ${FLAT}`,
    AverageDrop: `${FLAT}; or the label's probability is 0`,
    AverageIncrease: FLAT,
    AverageGain: `${FLAT}; or the label's probability is 1`,
    SIC: `${FLAT}; or blurring the image does not lower the label's probability`,
    AIC: `${FLAT}; or the label is not the likeliest class`,
    PointingGame: `the dataset has no box for the label; or ${FLAT}`,
    IoSR: `the dataset has no box for the label; or ${FLAT}`,
    Robustness: "the map is zero or not finite, with or without noise",
    SensitivityMax: "the map is zero or not finite, with or without noise",
    SensitivityAvg: "the map is zero or not finite, with or without noise",
    LocalLipschitz: "the image holds one value, or the map is not finite, with or without noise",
    Continuity: "the image holds one value, or the map is not finite, with or without noise",
    RelativeInputStability: "all noise changed the predicted class, or the map is not finite",
    RelativeOutputStability: "all noise changed the predicted class, or the map is not finite",
    RelativeRepresentationStability: "all noise changed the predicted class, or the map is not finite",
    RandomLogit: FLAT,
    ModelParameterRandomization: `${FLAT}; or it is not finite under random weights`,
    SmoothMPRT: `${FLAT}; or it is not finite under random weights`,
    EfficientMPRT: `${FLAT}; or it is not finite under random weights`,
    Completeness: "the logit is that of the blank image, or the map is not finite",
    InputInvariance: "the map is zero or not finite",
    NonSensitivity: "the map is not finite",
    ClassSensitivity: "one of the two maps that are compared is constant, as GradCAM's of an unlikely label often is, or not finite",
  };

  /** Counts of what has no numbers, with the reason: [what, how many, why]. */
  function lackingRows(summary) {
    const { outputs, unlabelled, labels_out_of_range: outOfRange, maps } = summary.not_computed;
    const skipped = summary.skipped?.length ?? 0;
    const rows = [
      ["samples left out as broken", skipped, "their data could not be used; see the list below"],
      ["samples without an output", outputs - skipped, "the network's output was not finite"],
      ["samples without a label to explain", unlabelled, "no label was asked about; by default those are the true ones and those predicted with confidence"],
      ["labels out of range", outOfRange, "the dataset has labels that are not among the classes"],
      ...Object.entries(maps).map(([name, count]) => [`maps of ${name}`, count, "they are not finite"]),
    ];
    return rows.filter(([, count]) => count > 0);
  }

  /** Explainers by the metrics that could not score something, and why that may be. */
  function Unscored({ summary }) {
    const { scores } = summary.not_computed;
    const explainers = Object.keys(scores);
    const metrics = Object.keys(scores[explainers[0]] ?? {}).filter((metric) => explainers.some((name) => scores[name][metric]));
    if (!metrics.length) return null;
    const classes = new Map((summary.metrics ?? []).map((metric) => [metric.name, metric.options.class]));
    const of = summary.questions_total === undefined ? "" : `, of ${summary.questions_total}`;
    return html`<${Table} name="unscored" caption=${`Questions without a score${of}`} columns=${["explainer", ...metrics]} rows=${explainers.map((name) => [name, ...metrics.map((metric) => scores[name][metric])])} />
      <dl class="pairs">
        ${metrics.map((metric) => html`<dt>${metric}</dt><dd>${UNSCORED[classes.get(metric)] ?? "the metric gave no number"}.</dd>`)}
      </dl>`;
  }

  function NotComputed({ summary }) {
    if (!summary.not_computed) return html`<p>It is not known what was computed.</p>`;
    const [lacking, skipped] = [lackingRows(summary), summary.skipped ?? []];
    const unscored = Object.values(summary.not_computed.scores).some((of) => Object.values(of).some((count) => count > 0));
    if (!lacking.length && !unscored) return html`<p>Nothing: all that was asked for has been computed${summary.progress ? " so far" : ""}.</p>`;
    return html`${lacking.length ? html`<${Table} name="lacking" caption="What has no numbers" columns=${["what", "how many", "why"]} rows=${lacking} />` : null}
      <${Unscored} summary=${summary} />
      ${skipped.length ? html`<${Table} name="skipped" caption="Samples left out as broken" columns=${["sample id", "why"]} rows=${skipped} />` : null}`;
  }

  function Faults({ faults }) {
    const rows = faults.map(({ file, what, remedy }) => [file, what, remedy]);
    return html`<${Table} name="faults" caption="Files that are damaged or missing" columns=${["file", "what is wrong", "what to do"]} rows=${rows} />`;
  }

  ER.runTables = { Passes, Seconds, NotComputed, Faults };
})();
