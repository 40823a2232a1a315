// Maps and pictures on canvases. A map's code is 127 times the root of its value's share of the largest, with its sign.
"use strict";

(() => {
  const LEVELS = 127;
  const share = (code) => Math.sign(code) * (code / LEVELS) ** 2;

  /** Where the colours of a map begin and end, as shares of its largest value.
   *
   * Signed maps have zero in the middle. Of others the lowest value is the first colour. Of either, the given per cent of
   * the pixels lie within; the others have the last colour, so that single pixels do not leave all others pale.
   */
  function limits(map, { sign, clip }, signed) {
    const counts = new Uint32Array(256);
    for (const code of map.codes) counts[code + 128]++;
    const values = [];
    for (let code = -LEVELS; code <= LEVELS; code++) {
      if (counts[code + 128]) values.push([seen(code, sign, signed), counts[code + 128]]);
    }
    values.sort((one, two) => (signed ? Math.abs(one[0]) - Math.abs(two[0]) : one[0] - two[0]));
    const high = Math.abs(quantile(values, (clip / 100) * map.codes.length)) || Math.abs(values.at(-1)[0]);
    if (signed && sign === "both") return { low: -high, high };
    return { low: signed ? 0 : Math.min(values[0][0], high), high };
  }

  /** What is shown of a code: of signed maps the part of one sign, or the size. */
  function seen(code, sign, signed) {
    const value = share(code);
    if (!signed || sign === "both") return value;
    if (sign === "absolute") return Math.abs(value);
    return Math.max(sign === "positive" ? value : -value, 0);
  }

  function quantile(values, wanted) {
    let count = 0;
    for (const [value, times] of values) {
      count += times;
      if (count >= wanted) return value;
    }
    return values.length ? values.at(-1)[0] : 0;
  }

  /** Limits that several maps share, each as shares of its own largest value: a colour is then the same value in all. */
  function sharedLimits(maps, view, signed) {
    const known = maps.filter((map) => map && map.scale !== null);
    const own = known.map((map) => ({ ...limits(map, view, signed), scale: map.scale }));
    const low = Math.min(...own.map((one) => one.low * one.scale));
    const high = Math.max(...own.map((one) => one.high * one.scale));
    return (map) => (map.scale > 0 ? { low: low / map.scale, high: high / map.scale } : { low, high });
  }

  /** The 256 colours of a map's codes, as little-endian RGBA; between the map's own limits, or others. */
  function coloursOf(map, view, signed, { low, high } = limits(map, view, signed)) {
    const table = signed && view.sign === "both" ? view.diverging : view.table;
    const colours = new Uint32Array(256);
    for (let code = -LEVELS; code <= LEVELS; code++) {
      const value = seen(code, view.sign, signed);
      const place = high > low ? (value - low) / (high - low) : signed && view.sign === "both" ? 0.5 : 0;
      const [red, green, blue] = ER.colours.colourAt(table, place);
      colours[code + 128] = 0xff000000 | (blue << 16) | (green << 8) | red;
    }
    return colours;
  }

  /** Give a canvas so many pixels; styles fit it into a place by its ratio. */
  function resize(canvas, width, height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.setProperty("--ratio", width / height);
  }

  /** Draw a map onto a canvas, a pixel for each of its own. */
  function drawMap(canvas, map, view, signed, between) {
    resize(canvas, map.width, map.height);
    const colours = coloursOf(map, view, signed, between);
    const image = new ImageData(map.width, map.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let place = 0; place < pixels.length; place++) pixels[place] = colours[map.codes[place] + 128];
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** Draw a picture from the bytes of its file, if it is still wanted once it is decoded. */
  async function drawPicture(canvas, file, wanted = () => true) {
    const picture = await createImageBitmap(new Blob([file]));
    if (!wanted()) return picture.close();
    resize(canvas, picture.width, picture.height);
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
  }

  /** Draw a table's colours from left to right. */
  function drawTable(canvas, table) {
    canvas.width = 64;
    canvas.height = 1;
    const context = canvas.getContext("2d");
    for (let place = 0; place < 64; place++) {
      context.fillStyle = `rgb(${ER.colours.colourAt(table, place / 63).join(" ")})`;
      context.fillRect(place, 0, 1, 1);
    }
  }

  ER.maps = { limits, sharedLimits, drawMap, drawPicture, drawTable };
})();
