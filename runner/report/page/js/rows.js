// Going through the list of samples from row to row, of which only those in sight are in the page.
"use strict";

(() => {
  const FRAMES = 60; // that something is waited for to be drawn

  /** The row that has the focus, else the first that is wholly in sight; null without a list. */
  function current() {
    const focused = document.activeElement.closest(".rows .row");
    if (focused) return { row: focused, focused: true };
    const edge = headHeight();
    const row = [...document.querySelectorAll(".rows .row")].find((one) => one.getBoundingClientRect().top >= edge - 1);
    return row ? { row, focused: false } : null;
  }

  const headHeight = () => document.querySelector(".head").offsetHeight;
  const placeOf = (row) => Number(row.ariaPosInSet) - 1;

  /** Focus the next row, or the one before. */
  function step(by) {
    const found = current();
    if (found) focusPlace(placeOf(found.row) + (found.focused ? by : 0));
  }

  /** Focus a row by its place in the list, once it is scrolled to and drawn. */
  function focusPlace(place) {
    const list = document.querySelector(".rows");
    const drawn = list?.querySelector(".row");
    if (!drawn || place < 0 || place >= Number(drawn.ariaSetSize)) return;
    const height = drawn.offsetHeight;
    const top = list.getBoundingClientRect().top + scrollY + place * height;
    if (top < scrollY + headHeight()) scrollTo(0, top - headHeight());
    else if (top + height > scrollY + innerHeight) scrollTo(0, top + height - innerHeight);
    whenThere(`.rows .row[aria-posinset="${place + 1}"] :is(.original, .step)`, (button) => button.focus({ preventScroll: true }));
  }

  /** Focus a sample's row, where the list has it. */
  function focusSample(run, id) {
    const place = ER.selection.chosen(run, ER.state.get()).indexOf(run.places.get(id));
    if (place >= 0) focusPlace(place);
  }

  /** Do something with an element as soon as it is in the page; nothing if it does not come. */
  function whenThere(selector, act, frames = FRAMES) {
    const element = document.querySelector(selector);
    if (element) act(element);
    else if (frames > 0) requestAnimationFrame(() => whenThere(selector, act, frames - 1));
  }

  /** Open the sample of the row that has the focus. */
  function open() {
    document.activeElement.closest(".rows .row")?.querySelector(".original, .step")?.click();
  }

  /** Choose the next label that has maps: of the enlarged sample, else of the row that `current` gives. */
  function nextLabel() {
    const place = document.querySelector("dialog.enlarged") ?? current()?.row;
    const labels = [...(place?.querySelectorAll("button.label") ?? [])];
    const pressed = labels.findIndex((one) => one.ariaPressed === "true");
    labels[(pressed + 1) % labels.length]?.click();
  }

  ER.rows = { step, focusSample, whenThere, open, nextLabel };
})();
