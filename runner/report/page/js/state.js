// What is shown, all of it in the address, so that a colleague opens what you see.
"use strict";

(() => {
  // What differs from these stands in the address. A value is a text, a number, true or false, or null for nothing.
  const DEFAULTS = {
    view: "samples",
    run: null, // of a page of two: "baseline" or "candidate"
    sample: null, // id of the sample that is enlarged
    label: null, // of the enlarged sample
    pick: "", // labels chosen in the list: 12:3,15:0 are label 3 of sample 12 and label 0 of sample 15
    show: null, // explainers shown, by their places: 0,2
    top: 0, // the first row in sight
    mode: "over", // maps "over" the image, or "alone"
    opacity: 0.6,
    table: "viridis",
    diverging: "blue-red",
    sign: "both",
    clip: 99,
    find: "",
    true: null,
    predicted: null,
    flag: null,
    cell: null, // true and predicted label: 3,5; the latter -1 where none was predicted
    range: "", // explainer, metric, least and greatest score: 0,1,0.2,0.8
    sort: "id",
    down: false,
    weights: "", // of the metrics, in order: 1,0.5,0
    by: "explainer", // scores by label: one explainer over metrics, or one "metric" over explainers
    explainer: 0,
    metric: 0,
    section: "", // of the view of scores
    labelFind: "", // of the table by label
    labelSort: "label", // "label", "questions", or a column's place
    labelDown: false,
    outcome: "all",
    layer: null, // of hierarchical occlusion
    blur: false,
    swipe: 50,
    changed: "worst",
    help: false,
  };

  const NUMBERS = new Set(["sample", "label", "true", "predicted", "layer"]);
  const listeners = new Set();
  let state = parsed(location.hash);

  function parsed(hash) {
    const found = { ...DEFAULTS };
    for (const [key, text] of new URLSearchParams(hash.slice(1))) {
      if (key in DEFAULTS) found[key] = typed(key, text);
    }
    return found;
  }

  function typed(key, text) {
    const usual = DEFAULTS[key];
    if (typeof usual === "boolean") return text === "1";
    if (typeof usual === "number" || NUMBERS.has(key)) {
      const number = Number(text);
      return text !== "" && Number.isFinite(number) ? number : usual;
    }
    return text;
  }

  function hashOf(values) {
    const given = Object.entries(values).filter(([key, value]) => value !== DEFAULTS[key] && value !== null);
    const text = given.map(([key, value]) => [key, value === true ? "1" : value === false ? "0" : String(value)]);
    const hash = new URLSearchParams(text).toString();
    return hash ? `#${hash}` : "#";
  }

  /** Change what is shown. What opens something is a step back in the browser; a slider's moves are not. */
  function set(changes, { step = false } = {}) {
    state = { ...state, ...changes };
    if (step) history.pushState(null, "", hashOf(state));
    else history.replaceState(null, "", hashOf(state));
    listeners.forEach((listener) => listener(state));
  }

  // A text may be typed faster than a browser lets its address change.
  let pending = 0;
  function setSoon(changes) {
    state = { ...state, ...changes };
    clearTimeout(pending);
    pending = setTimeout(() => history.replaceState(null, "", hashOf(state)), 250);
  }

  const follow = () => {
    state = parsed(location.hash);
    listeners.forEach((listener) => listener(state));
  };
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);

  /** The address of what is shown with some changes. */
  const address = (changes) => hashOf({ ...state, ...changes });

  ER.state = { DEFAULTS, get: () => state, set, setSoon, address, listen: (listener) => listeners.add(listener) };
})();
