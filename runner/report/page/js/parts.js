// Parts that several views have.
"use strict";

(() => {
  const html = htm.bind(preact.h);
  const { useEffect, useLayoutEffect, useRef, useState } = preactHooks;

  /** A number in few digits; a dash for what is not known. */
  function shown(value, digits = 3) {
    return value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits);
  }

  const percent = (value) => (Number.isNaN(value) ? "–" : `${(100 * value).toFixed(value > 0.0995 ? 0 : 1)} %`);

  const NOTHING = { value: null, error: null, lacking: false, needs: null };

  /** What `start` gives in the end, or why it failed; nothing until then, also after `needs` have changed. */
  function useAsync(start, needs) {
    const [result, setResult] = useState(NOTHING);
    useEffect(() => {
      let current = true;
      start().then(
        (value) => current && setResult({ value, error: null, lacking: value === null, needs }),
        (error) => current && setResult({ value: null, error, lacking: false, needs }),
      );
      return () => (current = false);
    }, needs);
    return result.needs?.every((need, place) => need === needs[place]) ? result : NOTHING;
  }

  /** Draw a sample's original; gives whether it is drawn, and whether there is none that can be. */
  function useDrawn(canvas, run, sample, full) {
    const file = useAsync(() => run.picture(sample, full), [run, sample, full]);
    const [last, setLast] = useState(null); // file that was drawn, or could not be
    useEffect(() => {
      if (!file.value) return;
      let current = true;
      const done = (broken) => current && setLast({ file: file.value, broken });
      ER.maps.drawPicture(canvas.current, file.value, () => current).then(() => done(false), () => done(true));
      return () => (current = false);
    }, [file.value]);
    const ended = file.value && last?.file === file.value ? last : null;
    return { drawn: ended?.broken === false, missing: Boolean(file.error || file.lacking || ended?.broken) };
  }

  /** A sample's original. `full` for its own size; an empty `alt` where another part says what is shown. */
  function Picture({ run, sample, full = false, alt }) {
    const canvas = useRef(null);
    const { drawn, missing } = useDrawn(canvas, run, sample, full);
    return html`<span class="picture" data-ready=${drawn || missing ? "1" : "0"} data-missing=${missing ? "1" : null}>
      <canvas ref=${canvas} role="img" aria-label=${alt} aria-hidden=${alt === "" ? "true" : null} hidden=${!drawn}></canvas>
      ${missing && alt !== "" ? html`<span class="missing">no picture</span>` : null}
    </span>`;
  }

  /** A map over its sample's picture, or alone. `between` gives it other limits of its colours than its own. */
  function SaliencyMap({ run, explainer, question, view, full = false, between, signed = run.summary.signed.includes(explainer) }) {
    const canvas = useRef(null);
    const map = useAsync(() => run.map(explainer, question, full), [run, explainer, question, full]);
    const known = map.value !== null && map.value.scale !== null;
    const looks = [map.value, view.table, view.diverging, view.sign, view.clip, between, signed];
    useEffect(() => {
      if (known) ER.maps.drawMap(canvas.current, map.value, view, signed, between?.(map.value));
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

  const collator = new Intl.Collator(undefined, { numeric: true });
  /** Orders options, [key, name], by name as people do: 2 before 10. */
  const byName = (one, two) => collator.compare(one[1], two[1]);

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
    const plain = (cell) => (cell !== null && typeof cell === "object" ? cell.text : cell);
    const text = () => (csv ?? [columns, ...rows]).map((row) => row.map((cell) => quoted(plain(cell))).join(",")).join("\n");
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
      <${CopyButton} text=${text}>Copy as CSV<//>
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
      const focused = document.activeElement;
      const area = Object.assign(document.createElement("textarea"), { value: text });
      (focused?.closest("dialog") ?? document.body).append(area); // what is outside an open dialog cannot be selected
      area.select();
      document.execCommand("copy");
      area.remove();
      focused?.focus();
    }
  }

  /** A button that copies what `text` gives, and says so. */
  function CopyButton({ text, children }) {
    const [copied, setCopied] = useState(false);
    const copy = async () => {
      await copyText(text());
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    };
    return html`<button type="button" class="quiet" onClick=${copy}>${copied ? "Copied" : children}</button>`;
  }

  /** A dialog that holds the focus while it is open; Escape, its button and a click beside it close it. */
  function Modal({ title, name, onClose, actions, children }) {
    const dialog = useRef(null);
    const heading = useRef(null);
    const pressed = useRef(false);
    useLayoutEffect(() => {
      const element = dialog.current;
      element.showModal();
      heading.current.focus();
      return () => element.close(); // this gives the focus back
    }, []);
    const beside = ({ target, clientX, clientY }) => {
      const { left, right, top, bottom } = dialog.current.getBoundingClientRect();
      return target === dialog.current && (clientX < left || clientX > right || clientY < top || clientY > bottom);
    };
    const close = () => dialog.current.close();
    // Of dialogs that a link opened together, browsers would close all at once. A list that is open closes first.
    const escape = (event) => {
      if (event.key !== "Escape" || event.target.localName === "select") return;
      event.preventDefault();
      close();
    };
    return html`<dialog
      ref=${dialog}
      class=${name}
      aria-labelledby=${`${name}-title`}
      onClose=${onClose}
      onKeyDown=${escape}
      onPointerDown=${(event) => (pressed.current = beside(event))}
      onClick=${(event) => pressed.current && beside(event) && close()}
    >
      <div class="dialog-head">
        <h2 id=${`${name}-title`} ref=${heading} tabindex="-1">${title}</h2>
        ${actions}
        <button type="button" class="quiet close" title="Close (Escape)" onClick=${close}><span aria-hidden="true">×</span><span class="visually-hidden">Close</span></button>
      </div>
      <div class="dialog-body">${children}</div>
    </dialog>`;
  }

  ER.parts = {
    html,
    shown,
    percent,
    useAsync,
    Picture,
    SaliencyMap,
    Flag,
    FLAG_WORDS,
    byName,
    Choice,
    Slider,
    Table,
    copyText,
    CopyButton,
    Modal,
  };
})();
