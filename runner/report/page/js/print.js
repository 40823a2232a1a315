// Printing the list: the chosen samples, and not only those that are in sight.
"use strict";

(() => {
  const { html } = ER.parts;
  const MOST = 50; // samples
  const LONGEST = 10000; // milliseconds that pictures and maps are waited for

  /** Whether a key asks for the list to be printed. */
  function wanted({ key, ctrlKey, metaKey, shiftKey, altKey }) {
    const asked = key.toLowerCase() === "p" && (ctrlKey || metaKey) && !shiftKey && !altKey;
    return asked && Boolean(document.querySelector(".samples .rows")) && !document.querySelector("dialog[open]");
  }

  /** Draw the chosen samples for paper alone, then print. */
  async function list(event, { run, state }) {
    event.preventDefault();
    document.querySelector(".printed")?.remove();
    const paper = Object.assign(document.createElement("div"), { className: "printed" });
    document.querySelector(".samples").append(paper);
    preact.render(html`<${Printed} run=${run} state=${state} />`, paper);
    await drawn(paper);
    addEventListener("afterprint", () => (preact.render(null, paper), paper.remove()), { once: true });
    print();
  }

  function Printed({ run, state }) {
    const places = ER.selection.chosen(run, state);
    const sight = places.slice(0, MOST);
    return html`${sight.length < places.length ? html`<p>The first ${MOST} of ${places.length} samples.</p>` : null}
      <ol class="rows">
        ${sight.map((sample) => html`<li key=${sample} class="row"><${ER.samples.Row} run=${run} sample=${sample} state=${state} /></li>`)}
      </ol>`;
  }

  /** Resolves once all pictures and maps are drawn, or cannot be, or take too long. */
  async function drawn(paper) {
    const end = performance.now() + LONGEST;
    const ready = (one) => one.dataset.ready === "1" || one.querySelector(":scope > .missing");
    const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
    do await pause();
    while (performance.now() < end && ![...paper.querySelectorAll(".picture, .map")].every(ready));
  }

  ER.print = { wanted, list };
})();
