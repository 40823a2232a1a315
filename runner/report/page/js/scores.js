// The view of scores: its parts, as far as the run has something for them.
"use strict";

(() => {
  const { html, Choice } = ER.parts;
  const { useEffect } = preactHooks;

  // What is filtered in the list of samples, when none of it is.
  ER.scores.NO_FILTER = Object.fromEntries(["find", "true", "predicted", "flag", "cell", "range"].map((key) => [key, ER.state.DEFAULTS[key]]));

  /** Go where a link leads without loading the page again, unless it is to open in another window. */
  ER.scores.follow = (event, changes) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    ER.state.set(changes, { step: true });
    scrollTo(0, 0);
  };

  /** The parts that a run has something for: [key, title, component]. */
  function parts(run) {
    const { explainers, metrics, pictured, summary } = run;
    const scored = metrics.length > 0 && explainers.length > 0 && summary.questions_total > 0;
    const all = [
      [scored, "table", "Explainers and metrics", ER.scores.ScoreTable],
      [scored && explainers.length > 1, "combined", "Combined score", ER.scores.Combined],
      [scored, "metric", "One metric", OneMetric],
      [scored, "labels", "By label", ER.scores.LabelScores],
      [pictured.length > 1 && summary.agreement.samples > 0, "agreement", "Agreement of explainers", ER.scores.MapAgreement],
      [scored && metrics.length > 1, "metrics", "Agreement of metrics", ER.scores.MetricAgreement],
      [run.columns.label_flags.some((flags) => flags & 1), "confusions", "What was mistaken for what", ER.scores.Confusions],
    ];
    return all.filter(([has]) => has).map(([, ...part]) => part);
  }

  function OneMetric({ run, state }) {
    const metric = ER.scores.within(state.metric, run.metrics);
    const options = run.metrics.map(({ name }, place) => [place, name]);
    return html`<div class="controls">
        <${Choice} label="Metric" name="metric" value=${metric} options=${options} onChange=${(place) => ER.state.set({ metric: Number(place) })} />
      </div>
      <h3>Distribution</h3>
      <${ER.scores.Distributions} run=${run} metric=${metric} />
      <${ER.scores.MeanCurves} run=${run} metric=${metric} />
      ${run.explainers.length > 1
        ? html`<h3>Differences</h3>
            <${ER.scores.Differences} run=${run} metric=${metric} key=${metric} />`
        : null}`;
  }

  function show(section) {
    const title = document.getElementById(`scores-${section}`);
    title?.scrollIntoView();
    title?.focus({ preventScroll: true });
  }

  function Contents({ parts: shown }) {
    const go = (event, section) => {
      event.preventDefault();
      ER.state.set({ section });
      show(section);
    };
    return html`<nav class="contents" aria-label="Parts of this view">
      <ul>
        ${shown.map(([key, title]) => html`<li><a href=${ER.state.address({ section: key })} onClick=${(event) => go(event, key)}>${title}</a></li>`)}
      </ul>
    </nav>`;
  }

  function ScoresView({ run, state }) {
    const shown = parts(run);
    useEffect(() => {
      if (state.section) show(state.section);
    }, []);
    return html`<div class="scores-view">
      <h1>Scores</h1>
      ${run.metrics.length ? null : html`<p>This run has no metrics, so its explainers have no scores.</p>`}
      ${run.summary.questions_total ? null : html`<p>No label of any sample was explained, so there are no scores.</p>`}
      ${shown.length > 1 ? html`<${Contents} parts=${shown} />` : null}
      ${shown.map(([key, title, Part]) => html`<section aria-labelledby=${`scores-${key}`} key=${key}>
        <h2 id=${`scores-${key}`} tabindex="-1">${title}</h2>
        <${Part} run=${run} state=${state} />
      </section>`)}
    </div>`;
  }

  Object.assign(ER.scores, { ScoresView, parts });
})();
