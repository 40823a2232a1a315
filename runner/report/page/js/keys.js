// What keys do. The help sheet lists the same.
"use strict";

(() => {
  const FILTERS = ["find", "true", "predicted", "flag", "cell", "range"];
  const STEP = 0.1; // of opacity

  const look = (changes) => ER.state.set(changes);
  const round = (share) => Math.round(100 * Math.min(Math.max(share, 0), 1)) / 100;
  const nextOf = (values, value) => values[(values.indexOf(value) + 1) % values.length];
  const ANYWHERE = "anywhere";
  const LIST = "list"; // and the other views, while no sample is enlarged
  const SAMPLE = "sample";

  const inRow = ({ target }) => Boolean(target.closest(".rows .row")) && !target.closest("button, a");
  const outsideParts = ({ target }) => !target.closest(".frame, .wide, details");
  const hasSigned = (_, { run }) => run.summary.signed?.length > 0;

  /** Keys, where they work, what they do, and the doing; some apply only now and then. */
  const KEYS = [
    { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: "1 to 9", where: LIST, words: "the views, in their order", act: toView },
    { keys: ["/"], where: LIST, words: "search for a sample by its id", act: toSearch },
    { keys: ["j", "k"], shown: "j, k", where: LIST, words: "next row, row before", act: ({ key }) => ER.rows.step(key === "j" ? 1 : -1) },
    { keys: ["Enter"], where: LIST, words: "enlarge the sample of the row: all methods side by side", act: ER.rows.open, applies: inRow },
    { keys: ["x"], where: LIST, words: "clear all filters", act: clear },
    { keys: ["j", "k"], shown: "j, k", where: SAMPLE, words: "next sample of those chosen in the list, sample before", act: ({ key }, { run }) => ER.sample.step(run, key === "j" ? 1 : -1) },
    { keys: ["ArrowRight", "ArrowLeft"], shown: "→, ←", where: SAMPLE, words: "the same; on a map they move the crosshair", act: ({ key }, { run }) => ER.sample.step(run, key === "ArrowRight" ? 1 : -1), applies: outsideParts },
    { keys: ["l"], where: ANYWHERE, words: "next label of the row or of the enlarged sample", act: ER.rows.nextLabel },
    { keys: ["m"], where: ANYWHERE, words: "maps over the image, or alone", act: (_, { state }) => look({ mode: state.mode === "over" ? "alone" : "over" }) },
    { keys: ["[", "]"], shown: "[, ]", where: ANYWHERE, words: "maps less, more opaque", act: ({ key }, { state }) => look({ opacity: round(state.opacity + (key === "]" ? STEP : -STEP)) }) },
    { keys: ["c"], where: ANYWHERE, words: "next colour table", act: (_, { state }) => look({ table: nextOf(ER.colours.sequential, state.table) }) },
    { keys: ["d"], where: ANYWHERE, words: "next colour table of maps with both signs", act: (_, { state }) => look({ diverging: nextOf(ER.colours.diverging, state.diverging) }), applies: hasSigned },
    { keys: ["s"], where: ANYWHERE, words: "of signed maps: both signs, positive part, negative part, size", act: (_, { state }) => look({ sign: nextOf(["both", "positive", "negative", "absolute"], state.sign) }), applies: hasSigned },
    { keys: ["?"], where: ANYWHERE, words: "this sheet", act: () => look({ help: true }) },
  ];

  function toView({ key }, { views }) {
    const view = views[Number(key) - 1]?.[0];
    if (!view) return;
    ER.state.set({ view, sample: null, top: 0 }, { step: true });
    scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  }

  function toSearch(event, { views, view }) {
    if (!views.some(([name]) => name === "samples")) return;
    if (view !== "samples") ER.state.set({ view: "samples", top: 0 }, { step: true });
    ER.rows.whenThere("input[name=find]", (field) => field.select());
  }

  function clear() {
    look({ ...Object.fromEntries(FILTERS.map((name) => [name, ER.state.DEFAULTS[name]])), top: 0 });
  }

  const FIELDS = "select, textarea, [contenteditable], input:not([type=checkbox], [type=radio])";

  /** Whether an event is that of a key alone. Some keyboards have [ and ] on AltGr, which says Ctrl and Alt too. */
  function alone(event) {
    if (event.defaultPrevented || event.isComposing || event.metaKey || event.target.closest(FIELDS)) return false;
    if (event.getModifierState("AltGraph")) return "[]/?".includes(event.key);
    const shifted = event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key));
    return !event.ctrlKey && !event.altKey && !shifted;
  }

  /** Follow keys on the whole page; gives what ends that. */
  function listen(page, views) {
    const follow = (event) => {
      const state = ER.state.get();
      const run = page.runs.find((one) => one.name === state.run) ?? page.runs[0];
      const view = (views.find(([name]) => name === state.view) ?? views[0])[0];
      const context = { page, views, run, state, view };
      if (ER.print.wanted(event)) ER.print.list(event, context);
      else if (alone(event)) keyOf(event, context)?.act(event, context);
    };
    document.addEventListener("keydown", follow);
    return () => document.removeEventListener("keydown", follow);
  }

  /** What a key does here, if anything; the browser then does nothing of its own with it. */
  function keyOf(event, context) {
    const { state } = context;
    if (state.help || (!state.keys && event.key.length === 1)) return null;
    const where = document.querySelector("dialog.enlarged") ? SAMPLE : LIST;
    const found = KEYS.find((one) => one.keys.includes(event.key) && (one.where === ANYWHERE || one.where === where));
    if (!found || (found.applies && !found.applies(event, context))) return null;
    event.preventDefault();
    return found;
  }

  ER.keys = { listen, KEYS, ANYWHERE, LIST, SAMPLE, HelpDialog: (props) => ER.parts.html`<${ER.Help} ...${props} />` };
})();
