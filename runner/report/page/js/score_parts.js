// Parts of the view of scores: intervals, headings that explain themselves or sort, shaded cells, long lists.
"use strict";

(() => {
  const { html } = ER.parts;
  const { known } = ER.scores;
  const MARGIN = 4; // percent of an interval's width that stays free at each end, for the dot

  /** A number with as many digits as tell values apart that span so much, and so many more; a dash for what is not known. */
  function number(value, span, more = 0) {
    const digits = Math.max(ER.scores.digitsFor(span), span < 5 ? 3 : 0) + more;
    return ER.parts.shown(known(value) ? value : null, digits).replace("-", "−");
  }

  /** A number with its sign, but for what is rounded to 0. */
  function signed(value, span, more = 0) {
    const text = number(value, span, more);
    if (!/[1-9]/.test(text)) return text.replace("−", "");
    return value > 0 ? `+${text}` : text;
  }

  /** 1 question, 2 questions. */
  const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

  const position = (value, [low, high]) =>
    low === high ? 50 : MARGIN + ((100 - 2 * MARGIN) * (value - low)) / (high - low);

  /** A mean as a dot and its interval as a line, on a scale with these ends; `zero` draws where zero is. */
  function Interval({ found, ends, zero = false }) {
    if (!known(found.mean)) return null;
    const at = (value) => `${position(value, ends)}%`;
    return html`<svg class="interval" aria-hidden="true" width="100%" height="12">
      <line class="axis" x1=${`${MARGIN}%`} x2=${`${100 - MARGIN}%`} y1="6" y2="6" />
      ${zero ? html`<line class="zero" x1=${at(0)} x2=${at(0)} y1="0" y2="12" />` : null}
      ${known(found.low) ? html`<line class="span" x1=${at(found.low)} x2=${at(found.high)} y1="6" y2="6" />` : null}
      <circle cx=${at(found.mean)} cy="6" r="3.5" />
    </svg>`;
  }

  /** A share of 0 to 1 as a bar, with words beside it; `partly` where not all of it is known. */
  function Bar({ share, words, partly = false }) {
    return html`<span class=${partly ? "share partly" : "share"}
      ><svg aria-hidden="true" height="14"><rect class="axis" width="100%" height="14" /><rect class="fill" width=${`${100 * share}%`} height="14" /></svg
      ><span>${words}</span></span
    >`;
  }

  // A popover stands above everything, at the place that it is given; else in the middle of the window.
  function placed(event) {
    if (event.newState !== "open") return;
    const { style, previousElementSibling: button } = event.currentTarget;
    const { left, bottom } = button.getBoundingClientRect();
    const room = document.documentElement.clientWidth - Math.min(384, 0.94 * innerWidth) - 8;
    style.left = `${Math.max(8, Math.min(left, room)) + scrollX}px`;
    style.top = `${bottom + 4 + scrollY}px`;
  }

  /** A metric's name as a button that shows what it measures. */
  function MetricName({ metric, id }) {
    return html`<button type="button" class="explain" popovertarget=${id} aria-label=${`${metric.name}: what does it measure?`}>${metric.name}<span class="sign" aria-hidden="true">?</span></button>
      <div id=${id} popover="auto" class="about" onBeforeToggle=${placed}><${About} metric=${metric} /></div>`;
  }

  function About({ metric }) {
    const { text, options, higher_is_better: higher } = metric;
    const plain = Object.entries(options ?? {}).filter(([key, value]) => key !== "class" && typeof value !== "object");
    return html`<p><b>${metric.name}</b>: ${higher ? "higher is better" : "lower is better"}.</p>
      ${text
        ? html`<p>${text.sentence}</p>
            <p><b>Formula</b>: ${text.formula}.</p>
            <p><b>Source</b>: ${text.source}.</p>`
        : html`<p>Explainrun does not have this metric (class ${options?.class ?? "unknown"}), so this page cannot say what it measures. The package that it comes from may.</p>`}
      ${plain.length ? html`<p><b>In this run</b>: ${plain.map(([key, value]) => `${key} ${value}`).join(", ")}.</p>` : null}
      ${metric.control_sensitive ? null : html`<p>A map that ignores the image does best here, so not to beat a control says nothing.</p>`}`;
  }

  /** A heading that sorts by its column, as a column of ER.parts.Table. */
  function sortHead(text, { key, sort, down, onSort, title }) {
    const active = sort === key;
    const mark = active ? (down ? "▼" : "▲") : "↕";
    const shown = html`<button type="button" class="sort" title=${title ?? null} onClick=${() => onSort(key)}>${text} <span class=${active ? "" : "idle"} aria-hidden="true">${mark}</span></button>`;
    return { text, shown, sort: active ? (down ? "descending" : "ascending") : "none" };
  }

  // The lighter or darker text, whichever is easier to read over a colour.
  function textOver(bytes) {
    const [red, green, blue] = bytes.map((byte) => (byte / 255 <= 0.04045 ? byte / 3294.6 : ((byte / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
  }

  /** A cell of ER.parts.Table with a correlation, coloured from -1 to 1. */
  function correlationCell(value, table) {
    if (!known(value)) return { text: null, shown: html`<span class="shade">–</span>`, kind: "shaded" };
    const bytes = ER.colours.colourAt(table, (value + 1) / 2);
    const style = { background: `rgb(${bytes.join(" ")})`, color: textOver(bytes) };
    return { text: value, shown: html`<span class="shade" style=${style}>${signed(value, 1, -1).replace("+", "")}</span>`, kind: "shaded" };
  }

  /** What to show of a long list: `shown` rows, and below them a button for more. */
  function More({ shown, count, what, onMore }) {
    if (shown >= count) return null;
    return html`<p class="more">${shown} of ${count} ${what} are shown. <button type="button" onClick=${onMore}>Show more</button></p>`;
  }

  /** Said where something is computed from the samples of the page, which are not all of the run. */
  function OfThisPage({ run }) {
    const { samples, samples_total } = run.summary;
    return samples < samples_total ? html` Only the ${counted(samples, "sample")} of this page ${samples === 1 ? "counts" : "count"} here.` : null;
  }

  Object.assign(ER.scores, { number, signed, counted, Interval, Bar, MetricName, sortHead, textOver, correlationCell, More, OfThisPage });
})();
