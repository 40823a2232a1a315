// A list of any length, of which only the rows in sight, and a few around them, are in the page.
"use strict";

(() => {
  const { html } = ER.parts;
  const { useEffect, useLayoutEffect, useRef, useState } = preactHooks;
  const AROUND = 3; // rows beyond the edges that are drawn too

  /** A row for each of the places, at its place in a list as high as all rows.
   *
   * `height` gives a row's pixels, which may change with the window; `row` what is in the row of a place. The first row
   * in sight is kept in the state.
   */
  function LongList({ places, height, row, label, kind = "" }) {
    const list = useRef(null);
    const [span, setSpan] = useState([0, 8]);
    const [high, setHigh] = useState(height());
    useEffect(() => {
      const look = () => {
        setHigh(height());
        const first = Math.max(0, Math.floor(-list.current.getBoundingClientRect().top / height()));
        const last = first + Math.ceil(innerHeight / height());
        setSpan((old) => (old[0] === first && old[1] === last ? old : [first, last]));
        if (ER.state.get().top !== first) ER.state.setSoon({ top: first });
      };
      look();
      addEventListener("scroll", look, { passive: true });
      addEventListener("resize", look);
      return () => {
        removeEventListener("scroll", look);
        removeEventListener("resize", look);
      };
    }, []);
    useLayoutEffect(() => {
      const { top } = ER.state.get();
      if (top > 0) scrollTo(0, list.current.offsetTop + top * height());
    }, []);
    const first = Math.max(0, Math.min(span[0], places.length - 1) - AROUND);
    const sight = places.slice(first, span[1] + 1 + AROUND);
    return html`<ol class="rows" ref=${list} style=${{ height: `${places.length * high}px` }} aria-label=${label}>
      ${sight.map((place, at) => {
        const top = `${(first + at) * high}px`;
        return html`<li key=${place} class=${`row ${kind}`} style=${{ top, height: `${high}px` }} aria-setsize=${places.length} aria-posinset=${first + at + 1}>
          ${row(place)}
        </li>`;
      })}
    </ol>`;
  }

  ER.LongList = LongList;
})();
