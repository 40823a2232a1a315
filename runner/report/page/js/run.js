// The run itself: what it was asked to do, with what, how long it took, what is missing and what is wrong.
"use strict";

(() => {
  const { html, Table, CopyButton } = ER.parts;
  const { Passes, Seconds, NotComputed, Faults } = ER.runTables;

  function RunView({ run }) {
    const { summary } = run;
    return html`<section aria-labelledby="run-title" class="run">
      <h1 id="run-title">Run ${summary.folder}</h1>
      ${summary.progress ? html`<${Progress} progress=${summary.progress} running=${summary.running} />` : null}
      <${Pairs} pairs=${facts(summary)} />
      ${summary.faults.length ? html`<h2>What is wrong</h2><${Faults} faults=${summary.faults} />` : null}
      <h2>What was not computed</h2>
      <${NotComputed} summary=${summary} />
      ${summary.plan ? html`<${Planned} summary=${summary} />` : html`<p class="empty">What the run was asked to do could not be read.</p>`}
    </section>`;
  }

  /** All that needs a plan. */
  function Planned({ summary }) {
    return html`<h2>Explainers and metrics</h2>
      <${Explainers} explainers=${summary.explainers} />
      <${Metrics} metrics=${summary.metrics} />
      <div class="costs">
        <div>
          <h2>Passes</h2>
          <${Passes} costs=${summary.costs} />
        </div>
        <div>
          <h2>Time</h2>
          <${Seconds} costs=${summary.costs} />
        </div>
      </div>
      <${Configuration} plan=${summary.plan} />`;
  }

  function Progress({ progress: [done, total], running }) {
    const next = running ? "It was being worked on when this page was made." : "Start the same run again to resume it.";
    return html`<div class="far">
      ${total ? html`<progress value=${done} max=${total} aria-label="Samples complete"></progress>` : null}
      <p>${done} of ${total ?? "an unknown number of"} samples are complete. ${next}</p>
    </div>`;
  }

  function Pairs({ pairs }) {
    return html`<dl class="pairs">
      ${pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
    </dl>`;
  }

  // -- in a few words ---------------------------------------------------------------------------------------------------

  function facts(summary) {
    const { plan } = summary;
    const words = [summary.state, summary.running && "being worked on", summary.faults.length > 0 && summary.state !== "damaged" && "damaged"];
    const spent = summary.seconds ? duration(summary.seconds) : null;
    const state = [["State", words.filter(Boolean).join(", ")], ["Ended", moment(summary.ended)], ["Time of work", spent]];
    return plan ? [...state, ...planned(summary, plan), ["Digest", summary.digest && html`<code>${summary.digest}</code>`]] : state;
  }

  function planned(summary, plan) {
    const { samples_total: samples, questions_total: questions } = summary;
    return [
      ["Samples", `${samples}${plan.limit ? `, limited to ${plan.limit}` : ""}${plan.samples && plan.samples !== samples ? `, of ${plan.samples} in the dataset` : ""}`],
      ["Questions", `${questions} (a question is a label of a sample)`],
      ["Classes", summary.class_names.length],
      ["Network", network(plan)],
      ["Activation", optionText(plan.activation_fn)],
      ["Data", data(plan)],
      ["Pixels", plan.mean === null || plan.mean === undefined ? null : `normalised with mean ${optionText(plan.mean)}, standard deviation ${optionText(plan.std)}`],
      ["Labels asked about", plan.labels],
      ["Uncertainty", summary.uncertainty ? `${summary.uncertainty} dropout masks` : "not estimated"],
      ["Hierarchical occlusion", askedFor(plan.hierarchical_occlusion)],
      ["Nearest samples", askedFor(plan.nearest_samples)],
      ["Seed", plan.seed],
      ["Images in a pass", plan.pass_size],
      ["Device", plan.device && `${plan.device}${plan.graph_mode ? ", graph mode" : ""}`],
      ["Versions", Object.entries(plan.versions ?? {}).map(([name, version]) => `${name} ${version}`).join(", ")],
      ["Folder, as it was named", plan.summary_dir],
    ];
  }

  const askedFor = (options) => (options ? optionsText(options) || "with its defaults" : "not asked for");

  function network({ network: of, config }) {
    const given = config?.network ?? {};
    const sums = ["parameters", "structure", "weights and layers"].filter((key) => of?.[key]).map((key) => html`, ${key} <code>${of[key]}</code>`);
    const from = [given.factory, given.checkpoint].filter(Boolean).join(", ");
    return html`${of?.class ?? "unknown"}${from ? ` (${from})` : ""}${sums}`;
  }

  const SOURCES = ["factory", "hdf5", "npz", "csv", "image_folder", "mindrecord", "folder"];

  function data({ config, columns }) {
    const given = config?.data ?? {};
    const source = SOURCES.map((key) => given[key]).find(Boolean);
    const options = optionsText(given.options ?? {});
    const named = columns ? `columns ${columns.join(", ")}` : "";
    return [source && optionText(source), options, named].filter(Boolean).join("; ");
  }

  /** Seconds since 1970 as the reader's own clock has them. */
  function moment(seconds) {
    if (!seconds) return null;
    const date = new Date(1000 * seconds);
    if (Number.isNaN(date.getTime())) return `${seconds} s after 1970`;
    return html`<time datetime=${date.toISOString()}>${date.toLocaleString(undefined, { dateStyle: "long", timeStyle: "long" })}</time>`;
  }

  function duration(seconds) {
    const whole = Math.round(seconds);
    if (seconds < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
    const minutes = Math.round(seconds / 60);
    return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  }

  // -- options ----------------------------------------------------------------------------------------------------------

  const UNSHOWN = new Set(["class", "resolved"]);

  function optionText(value) {
    if (value === null || value === undefined) return "none";
    if (Array.isArray(value)) return `(${value.map(optionText).join(", ")})`;
    if (typeof value === "object") return value.cell ?? optionsText(value);
    return String(value);
  }

  /** Options in a line; those without a value are the defaults of their class, so they are left out. */
  function optionsText(options) {
    const all = { ...options, ...(options.resolved ?? {}) };
    const given = Object.entries(all).filter(([key, value]) => !UNSHOWN.has(key) && value !== null);
    return given.map(([key, value]) => `${key} = ${optionText(value)}`).join(", ");
  }

  function Explainers({ explainers }) {
    if (!explainers.length) return html`<p>No explainer.</p>`;
    const rows = explainers.map(({ name, options, layer, control }) => [
      name,
      options.class ?? "",
      [optionsText(options), layer && `layer ${layer}, chosen automatically`, control && "a control, which knows nothing of the network"].filter(Boolean).join("; "),
    ]);
    return html`<${Table} name="explainers" caption="Explainers" columns=${["name", "class", "options"]} rows=${rows} />`;
  }

  function Metrics({ metrics }) {
    if (!metrics.length) return html`<p>No metric.</p>`;
    const rows = metrics.map(({ name, options, higher_is_better: higher }) => [name, options.class ?? "", optionsText(options), higher ? "higher is better" : "lower is better"]);
    return html`<${Table} name="metrics" caption="Metrics" columns=${["name", "class", "options", "direction"]} rows=${rows} />`;
  }

  // -- the configuration as it was given --------------------------------------------------------------------------------

  function Configuration({ plan }) {
    const given = plan.config ?? plan;
    const [yaml, json] = [() => yamlOf(given), () => JSON.stringify(given, null, 1)];
    const words = plan.config
      ? "What the run was configured with, defaults filled in. As a file, it starts the same run: explainrun run FILE."
      : "The run was started from Python, so it has no configuration file. This is its plan, without class names.";
    return html`<h2>${plan.config ? "Configuration" : "Plan"}</h2>
      <p>${words}</p>
      <p class="copies"><${CopyButton} text=${yaml}>Copy as YAML<//> <${CopyButton} text=${json}>Copy as JSON<//></p>
      <div class="wide tree" tabindex="0" role="region" aria-label="Configuration"><${Tree} value=${given} /></div>`;
  }

  const isInner = (value) => value !== null && typeof value === "object" && (Array.isArray(value) ? value : Object.keys(value)).length > 0;
  const LONG = 12; // entries of a list above which it is folded

  /** A mapping or list, with those inside it. */
  function Tree({ value }) {
    const entries = Array.isArray(value) ? value.map((one, place) => [place + 1, one]) : Object.entries(value);
    return html`<ul class="tree-part">
      ${entries.map(([key, inner]) => html`<li>${isInner(inner) ? html`<${Branch} name=${key} value=${inner} />` : html`<span class="key">${key}</span> <code>${scalarOf(inner)}</code>`}</li>`)}
    </ul>`;
  }

  function Branch({ name, value }) {
    const count = Array.isArray(value) ? value.length : Object.keys(value).length;
    return html`<details open=${count <= LONG}><summary><span class="key">${name}</span>${Array.isArray(value) ? ` (${count})` : ""}</summary><${Tree} value=${value} /></details>`;
  }

  /** A value as YAML 1.1 and 1.2 read it back. */
  function scalarOf(value) {
    if (typeof value === "string") return plain(value) ? value : JSON.stringify(value);
    if (typeof value !== "number") return value === null ? "null" : typeof value === "object" ? (Array.isArray(value) ? "[]" : "{}") : String(value);
    const text = String(value);
    return text.includes("e") && !text.includes(".") ? text.replace("e", ".0e") : text;
  }

  const RESERVED = /^(true|false|null|yes|no|on|off|y|n)$/i;
  const plain = (text) => /^[A-Za-z_]([\w ./-]*[\w./-])?$/.test(text) && !RESERVED.test(text);

  function yamlOf(value, indent = "") {
    if (!isInner(value)) return `${indent}${scalarOf(value)}\n`;
    const entries = Array.isArray(value) ? value.map((one) => ["-", one]) : Object.entries(value).map(([key, one]) => [`${scalarOf(key)}:`, one]);
    return entries.map(([lead, one]) => `${indent}${lead}${isInner(one) ? `\n${yamlOf(one, `${indent}  `)}` : ` ${scalarOf(one)}\n`}`).join("");
  }

  ER.run = { RunView, yamlOf, duration };
})();
