"use strict";

(() => {
  const { html } = ER.parts;
  ER.comparison = { ComparisonView: () => html`<p>...</p>` };
})();
