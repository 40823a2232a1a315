"use strict";

(() => {
  const { html } = ER.parts;
  ER.sample = { SampleDialog: () => html`<p>...</p>` };
})();
