// The help sheet: all keys, and what the page's words mean.
"use strict";

(() => {
  const { html, FLAG_WORDS, Modal } = ER.parts;
  const { KEYS, ANYWHERE, LIST, SAMPLE } = ER.keys;

  const PLACES = [
    [ANYWHERE, "Everywhere"],
    [LIST, "In the list of samples, and in other views"],
    [SAMPLE, "In an enlarged sample"],
  ];

  const ALWAYS = [
    ["Tab, Shift + Tab", "to what can be used next, and back"],
    ["Escape", "close an enlarged sample, or this sheet"],
    ["Ctrl + P, ⌘ P", "print: in the list all chosen samples up to 50, not only those in sight"],
  ];

  const WORDS = [
    ["sample", "An image that the network was given, with its true labels where they are known."],
    ["predicted", "A label is predicted where the network gives it a probability above 50 %."],
    ...Object.entries(FLAG_WORDS).map(([flag, words]) => [flag, `${words[0].toUpperCase()}${words.slice(1)}.`]),
    ["uncertainty, ±", "The standard deviation of a probability when some of the network's units are left out at random, many times over (dropout)."],
    ["explainer, method", "Computes maps: what in the image speaks for a label, for this network."],
    ["map", "A value for each pixel. The larger it is, the more the pixel matters, says the method. Each map is coloured on its own scale, so colours of two maps cannot be compared, only places."],
    ["signed map", "A map with values below zero, of pixels that speak against the label. Zero is the middle of its colours."],
    ["clip outliers", "Leaves so many of a map's largest values in the last colour, so that a few of them do not make all others pale."],
    ["question", "A sample and a label: where does this sample look like this label? Each explainer answers it with a map, and each metric gives that map a score."],
    ["metric, score", "Measures how good a map is. The view Scores says what each metric measures."],
    ["control", "A map that knows nothing of the network, such as noise. Where a method does not score better than a control, its score says nothing about the network."],
    ["disagreement", "1 less the mean rank correlation of the explainers' maps for a question: 0 where all put the pixels in the same order, 1 where their orders have no relation."],
    ["nearest samples", "Of the dataset's first samples those that look most alike to the network: whose features, what one of its layers gives averaged over the image, differ least. A sample of another class among them says what the network may confuse it with."],
    ["how far off", "For methods that estimate: how much a map would change if the method took more time, or what the map misses."],
  ];

  function Help() {
    const close = () => ER.state.get().help && ER.state.set({ help: false });
    const flip = (event) => ER.state.set({ keys: event.currentTarget.checked });
    return html`<${Modal} name="help-sheet" title="Help" onClose=${close}>
      <h3>Keys</h3>
      <label class="chip"><input type="checkbox" name="keys" checked=${ER.state.get().keys} onChange=${flip} />Keys of a single letter, digit or sign do something</label>
      ${PLACES.map(([where, title]) => html`<${KeyTable} title=${title} rows=${KEYS.filter((one) => one.where === where).map((one) => [one.shown ?? one.keys[0], one.words])} key=${where} />`)}
      <${KeyTable} title="With these keys turned off too" rows=${ALWAYS} />
      <h3>Words</h3>
      <dl class="meanings">
        ${WORDS.map(([word, meaning]) => html`<dt>${word}</dt><dd>${meaning}</dd>`)}
      </dl>
    <//>`;
  }

  function KeyTable({ title, rows }) {
    return html`<table class="keys">
      <caption>
        ${title}
      </caption>
      <tbody>
        ${rows.map(([keys, words]) => html`<tr><th scope="row">${keys.split(", ").map((one, place) => html`${place ? ", " : ""}<kbd>${one}</kbd>`)}</th><td>${words}</td></tr>`)}
      </tbody>
    </table>`;
  }

  ER.Help = Help;
})();
