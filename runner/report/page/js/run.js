"use strict";

(() => {
  const { html } = ER.parts;
  ER.run = { RunView: () => html`<p>...</p>` };
})();
