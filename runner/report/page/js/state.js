// What is shown, all of it in the address, so that a colleague opens what you see.
"use strict";

(() => {
  // What differs from these stands in the address. A value is a text, a number, true or false, or null for nothing.
  const DEFAULTS = {
    view: null, // the first
    run: null, // of a page of two: "baseline" or "candidate"
    sample: null, // id of the sample that is enlarged
    label: null, // of the enlarged sample
    at: "", // the pixel of it that is read: from the left and from the top, 12,34
    zoom: 0, // pixels of the screen for one of its maps; 0 for what suits
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
    true: null, // labels of which one is true: 3,5
    predicted: null, // and of which one is predicted
    flag: null, // of which a label has one: FN,FP
    cell: null, // true and predicted label: 3,5; the latter -1 where none was predicted
    range: "", // explainer, metric, least and greatest score: 0,1,0.2,0.8
    sort: "id",
    down: false,
    weights: "", // of the metrics, in order: 1,0.5,0
    by: "explainer", // scores by label: one explainer over metrics, or one "metric" over explainers
    explainer: 0,
    metric: 0,
    section: "", // of the view of scores
    scoreSort: null, // the metric by which the table of scores is sorted, the best first
    scoreWorst: false, // or the worst
    labelFind: "", // of the table by label
    labelShow: null, // its columns, by their places: 0,2
    labelSort: "label", // "label", "questions", or a column's place
    labelDown: false,
    outcome: "all", // of hierarchical occlusion: "with" or "without" a result, or one outcome
    asked: null, // the label that it was asked about
    layer: null, // the step of its that is enlarged, 0 for the original
    blur: false, // whether covered parts are blurred in colour, as the network saw them
    swipe: 50,
    changed: null, // samples listed of two runs: "worst" questions, "flips" of predictions, or "all"; the first there are
    listed: 0, // the page of that list
    rows: 0, // the page of the table of changes
    pair: null, // id of the sample whose maps of two runs are shown
    pairLabel: null, // and its label
    pairMode: "beside", // both runs' maps "beside" one another, or "swipe"
    together: true, // one colour scale for both
    help: false,
    keys: true, // whether keys of a single character do something
  };

  const NUMBERS = new Set(["sample", "label", "asked", "layer", "pair", "pairLabel"]); // that may be null
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
    if (step) remember();
    state = { ...state, ...changes };
    if (step) history.pushState(null, "", hashOf(state));
    else if (performance.now() - remembered > OFTEN) remember();
    else rememberSoon();
    listeners.forEach((listener) => listener(state));
  }

  // A slider moves faster than browsers let an address change: 100 times in 30 seconds.
  const OFTEN = 350; // milliseconds
  let remembered = -OFTEN;
  let pending = 0;

  function remember() {
    clearTimeout(pending);
    remembered = performance.now();
    if (location.hash !== hashOf(state)) history.replaceState(null, "", hashOf(state));
  }

  function rememberSoon() {
    clearTimeout(pending);
    pending = setTimeout(remember, OFTEN);
  }

  function setSoon(changes) {
    state = { ...state, ...changes };
    rememberSoon();
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
