// Parts that several views have.
"use strict";

(() => {
  const html = htm.bind(preact.h);
  const { useEffect, useRef, useState } = preactHooks;

  /** A number in few digits; a dash for what is not known. */
  function shown(value, digits = 3) {
    return value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits);
  }

  const percent = (value) => (Number.isNaN(value) ? "–" : `${(100 * value).toFixed(value > 0.0995 ? 0 : 1)} %`);

  /** Runs an effect that awaits; its result is dropped where the part has changed or gone meanwhile. */
  function useAsync(start, needs) {
    const [result, setResult] = useState({ value: null, error: null, lacking: false });
    useEffect(() => {
      let current = true;
      start().then(
        (value) => current && setResult({ value, error: null, lacking: value === null }),
        (error) => current && setResult({ value: null, error, lacking: false }),
      );
      return () => (current = false);
    }, needs);
    return result;
  }

  /** A sample's original. `full` for its own size; an empty `alt` where another part says what is shown. */
  function Picture({ run, sample, full = false, alt }) {
    const canvas = useRef(null);
    const file = useAsync(() => run.picture(sample, full), [run, sample, full]);
    const [drawn, setDrawn] = useState(null); // the file that the canvas shows, or "broken"
    useEffect(() => {
      if (!file.value) return;
      const show = () => setDrawn(file.value);
      ER.maps.drawPicture(canvas.current, file.value).then(show, () => setDrawn("broken"));
    }, [file.value]);
    const missing = file.error || drawn === "broken" || file.lacking;
    return html`<span class="picture" data-ready=${(file.value && drawn === file.value) || missing ? "1" : "0"}>
      <canvas ref=${canvas} role="img" aria-label=${alt} aria-hidden=${alt === "" ? "true" : null} hidden=${!file.value || missing}></canvas>
      ${missing ? html`<span class="missing">no picture</span>` : null}
    </span>`;
  }

  /** A map over its sample's picture, or alone. */
  function SaliencyMap({ run, explainer, question, view, full = false }) {
    const canvas = useRef(null);
    const map = useAsync(() => run.map(explainer, question, full), [run, explainer, question, full]);
    const signed = run.summary.signed.includes(explainer);
    const known = map.value !== null && map.value.scale !== null;
    const looks = [map.value, view.table, view.diverging, view.sign, view.clip];
    useEffect(() => {
      if (known) ER.maps.drawMap(canvas.current, map.value, view, signed);
    }, looks);
    const name = run.explainers[explainer].name;
    const sample = run.sampleOf(question);
    const label = run.classes[run.labelOfQuestion[question]];
    const alt = `${name}: map of sample ${run.ids[sample]} for ${label}`;
    const opacity = view.mode === "alone" ? 1 : view.opacity;
    return html`<span class="map" data-explainer=${explainer} data-question=${question} data-ready=${known ? "1" : "0"}>
      ${view.mode === "alone" ? null : html`<${Picture} run=${run} sample=${sample} full=${full} alt="" />`}
      <canvas ref=${canvas} class="heat" role="img" aria-label=${alt} style=${{ opacity }} hidden=${!known}></canvas>
      ${map.error ? html`<span class="missing">not in this report</span>` : null}
      ${map.value && !known ? html`<span class="missing">not computed</span>` : null}
    </span>`;
  }

  const FLAG_WORDS = {
    TP: "true positive: the label is true, and predicted",
    FN: "false negative: the label is true, and was not predicted",
    FP: "false positive: the label was predicted, and is not true",
  };

  /** TP, FN or FP, with what that means. */
  function Flag({ flag }) {
    return flag ? html`<abbr class=${`flag ${flag}`} title=${FLAG_WORDS[flag]}>${flag}</abbr>` : null;
  }

  /** A choice among a few, of which one is taken. */
  function Choice({ label, value, options, onChange, name }) {
    return html`<label class="control"
      ><span>${label}</span>
      <select name=${name} value=${value} onChange=${(event) => onChange(event.currentTarget.value)}>
        ${options.map(([key, words]) => html`<option value=${key} selected=${String(key) === String(value)}>${words}</option>`)}
      </select>
    </label>`;
  }

  function Slider({ label, value, least = 0, most = 1, step = 0.01, onInput, name, words }) {
    return html`<label class="control"
      ><span>${label} <b>${words ?? value}</b></span>
      <input
        type="range"
        name=${name}
        min=${least}
        max=${most}
        step=${step}
        value=${value}
        onInput=${(event) => onInput(Number(event.currentTarget.value))}
      />
    </label>`;
  }

  /** A table with a button that copies it as CSV. `rows` are lists of cells: texts, numbers, or {text, shown, kind};
   * a column may be {text, shown, sort}. `csv` are all rows, heads included, where the page shows less or otherwise. */
  function Table({ caption, columns, rows, name, csv }) {
    const [copied, setCopied] = useState(false);
    const plain = (cell) => (cell !== null && typeof cell === "object" ? cell.text : cell);
    const copy = async () => {
      await copyText((csv ?? [columns, ...rows]).map((row) => row.map((cell) => quoted(plain(cell))).join(",")).join("\n"));
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    };
    const head = (cell) =>
      html`<th scope="col" aria-sort=${cell?.sort ?? null}>${cell !== null && typeof cell === "object" ? cell.shown : cell}</th>`;
    return html`<figure class="table" data-name=${name}>
      <div class="wide" tabindex="0" role="region" aria-label=${caption}>
        <table>
          <caption>
            <span>${caption}</span>
          </caption>
          <thead>
            <tr>
              ${columns.map(head)}
            </tr>
          </thead>
          <tbody>
            ${rows.map((row) => html`<tr>${row.map(tableCell)}</tr>`)}
          </tbody>
        </table>
      </div>
      <button type="button" class="quiet" onClick=${copy}>${copied ? "Copied" : "Copy as CSV"}</button>
    </figure>`;
  }

  function tableCell(cell, place) {
    const content = cell !== null && typeof cell === "object" ? cell.shown : cell;
    const kind = typeof (cell?.text ?? cell) === "number" ? "number" : "";
    return place === 0 ? html`<th scope="row">${content}</th>` : html`<td class=${`${kind} ${cell?.kind ?? ""}`}>${content}</td>`;
  }

  // A text that begins with = + - or @ would be a formula in a spreadsheet.
  function quoted(cell) {
    if (cell === null || cell === undefined || Number.isNaN(cell)) return "";
    if (typeof cell === "number") return String(cell);
    const text = /^[=+\-@]/.test(cell) ? `'${cell}` : cell;
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** Copy a text; pages that were opened from a file may have no clipboard but by the old command. */
  async function copyText(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  ER.parts = { html, shown, percent, useAsync, Picture, SaliencyMap, Flag, FLAG_WORDS, Choice, Slider, Table, copyText };
})();
