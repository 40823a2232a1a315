"use strict";

(() => {
  const { html } = ER.parts;
  ER.occlusion = { OcclusionView: () => html`<p>...</p>` };
})();
