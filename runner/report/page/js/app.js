// The page: its head, the view that is chosen, the sample that is enlarged, its foot.
"use strict";

(() => {
  const { html } = ER.parts;
  const { useEffect, useState } = preactHooks;

  /** The views that this page's data have something for: [key, title, component]. */
  function viewsOf(page) {
    const { runs, comparison } = page;
    const run = runs[0];
    if (!run) return [["comparison", "Comparison", ER.comparison.ComparisonView]];
    if (run.unreadable !== undefined) return [["run", "Run", ER.run.RunView]];
    const views = [["samples", "Samples", ER.samples.Samples]];
    if (ER.scores.parts(run).length) views.push(["scores", "Scores", ER.scores.ScoresView]);
    if (run.occlusion) views.push(["counterfactual", "Counterfactual", ER.occlusion.OcclusionView]);
    views.push(["run", "Run", ER.run.RunView]);
    if (comparison) views.unshift(["comparison", "Comparison", ER.comparison.ComparisonView]);
    return views;
  }

  function App({ page }) {
    const [state, setState] = useState(ER.state.get());
    useEffect(() => ER.state.listen(setState), []);
    const views = viewsOf(page);
    const [key, title, View] = views.find(([name]) => name === state.view) ?? views[0];
    const run = page.runs.find((one) => one.name === state.run) ?? page.runs[0]; // none of two files
    const isOfBoth = key === "comparison";
    const stepping = key === "counterfactual" && state.layer !== null; // whose view enlarges the sample itself
    useEffect(() => {
      document.title = `${title}: ${subject(page, run, isOfBoth)} - Explainrun`;
    }, [key, run]);
    useEffect(() => ER.keys.listen(page, views), [page]);
    return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
      <${Head} page=${page} run=${run} views=${views} current=${key} isOfBoth=${isOfBoth} />
      <main id="main" tabindex="-1">
        ${(isOfBoth ? page.runs : [run]).map((one, place) => html`<${Notices} run=${one} isSecond=${place > 0} key=${one.name} />`)}
        <${View} page=${page} run=${run} state=${state} key=${`${key} ${run?.name}`} />
      </main>
      ${state.sample !== null && !stepping && run?.places?.has(state.sample) ? html`<${ER.sample.SampleDialog} run=${run} state=${state} />` : null}
      ${state.help ? html`<${ER.keys.HelpDialog} views=${views} />` : null}
      <${Foot} page=${page} />`;
  }

  /** What the page, or this view of it, is about. */
  function subject({ comparison }, run, isOfBoth) {
    const last = (path) => path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
    if (!isOfBoth) return run.summary.folder;
    return `${last(comparison.candidate)} ${comparison.problems.length ? "and" : "compared with"} ${last(comparison.baseline)}`;
  }

  function skip(event) {
    event.preventDefault();
    document.getElementById("main").focus();
  }

  function Head({ page, run, views, current, isOfBoth }) {
    return html`<header class="head">
      <p class="brand">Explainrun<span class="folder">${subject(page, run, isOfBoth)}</span></p>
      <nav aria-label="Views">
        <ul>
          ${views.map(([key, title]) => html`<li><a href=${ER.state.address({ view: key, sample: null, top: 0 })} aria-current=${key === current ? "page" : null} onClick=${(event) => go(event, key)}>${title}</a></li>`)}
        </ul>
      </nav>
      ${page.runs.length > 1 && !isOfBoth ? html`<${RunChoice} page=${page} run=${run} />` : null}
      <button type="button" class="quiet help" onClick=${() => ER.state.set({ help: true })} aria-label="Help with keys">?</button>
    </header>`;
  }

  function go(event, view) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    ER.state.set({ view, sample: null, top: 0 }, { step: true });
    scrollTo(0, 0);
  }

  function RunChoice({ page, run }) {
    const options = page.runs.map((one) => [one.name, `${one.name}: ${one.summary.folder}`]);
    return html`<${ER.parts.Choice} label="Run" name="run" value=${run.name} options=${options} onChange=${(name) => ER.state.set({ run: name, sample: null, top: 0 })} />`;
  }

  /** What a reader must know before anything else: that the run is unfinished, or damaged. */
  function Notices({ run, isSecond }) {
    const { state, progress, faults, samples, samples_total } = run.summary;
    const far = progress ? `${progress[0]} of ${progress[1] ?? "an unknown number of"} samples are complete` : "";
    return html`${state === "unfinished" ? html`<p class="notice" role="note"><b>This run is not finished.</b> ${far}. The page shows those.</p>` : null}
    ${run.unreadable !== undefined ? html`<p class="notice bad" role="note"><b>This run cannot be read.</b> ${run.unreadable}</p>` : null}
    ${faults.length ? html`<p class="notice bad" role="note"><b>Something is wrong with ${run.name === "run" ? "this run" : `the ${run.name}`}'s files.</b> ${faults.length === 1 ? `${faults[0].file}: ${faults[0].what}.` : `${faults.length} of them are damaged or missing; the view Run lists them.`} The page shows what is sound.</p>` : null}
    ${samples < samples_total && !isSecond ? html`<p class="notice" role="note">This page shows ${samples} of the ${run.name}'s ${samples_total} samples. Scores in tables are those of all samples.</p>` : null}`;
  }

  function Foot({ page }) {
    const { runs, comparison } = page;
    const made = runs.map((run) => run.summary.plan?.versions?.explainrun).find(Boolean);
    const digests = runs.filter((run) => run.summary.digest).map((run) => html`; ${run.name} <code>${run.summary.digest}</code>`);
    return html`<footer>
      Explainrun report, format ${runs[0]?.summary.version ?? comparison.report_version}${digests}${made ? `, made with Explainrun ${made}` : ""}
    </footer>`;
  }

  async function start() {
    const page = document.getElementById("page");
    try {
      const { runs, comparison } = await ER.data.load("contents");
      const loaded = await Promise.all(runs.map(ER.model.loadRun));
      const found = comparison ? await ER.data.load("comparison") : null;
      page.replaceChildren();
      preact.render(html`<${App} page=${{ runs: loaded, comparison: found }} />`, page);
    } catch (error) {
      page.textContent = `The report cannot be opened: ${error.message}. Copy the whole folder, not index.html alone.`;
      throw error;
    }
  }

  start();
})();
