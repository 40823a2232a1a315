"use strict";

(() => {
  const { html } = ER.parts;
  ER.scores = { ScoresView: () => html`<p>...</p>` };
})();
