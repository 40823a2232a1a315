// Pictures of which all but some regions are covered: blurred as the network saw them, or grey and dark besides, as the
// viewer MindInsight showed them. Both are worked out here from the stored JPEG.
"use strict";

(() => {
  const PASSES = 3; // of a box; together they come close to a Gaussian
  const DARK = 0.7; // what MindInsight leaves of the brightness
  const KEPT = 24; // samples whose blur is kept, the last used
  const kept = new Map();

  /** A box of a length that need not be whole: so many pixels to either side, and the weight of one more. */
  function boxOf(sigma) {
    const variance = sigma ** 2 / PASSES;
    const reach = Math.floor((Math.sqrt(12 * variance + 1) - 1) / 2);
    const edge = ((2 * reach + 1) * (3 * variance - reach * (reach + 1))) / (6 * ((reach + 1) ** 2 - variance));
    return { reach, edge, weight: 1 / (2 * reach + 1 + 2 * edge) };
  }

  /** The mean over a box around each pixel of a line; the line's ends are repeated outwards. */
  function boxMeans(from, to, start, step, length, { reach, edge, weight }) {
    const at = (place) => from[start + step * (place < 0 ? 0 : place < length ? place : length - 1)];
    let sum = 0;
    for (let place = -reach; place <= reach; place++) sum += at(place);
    for (let place = 0; place < length; place++) {
      const after = at(place + reach + 1);
      to[start + step * place] = weight * (sum + edge * (at(place - reach - 1) + after));
      sum += after - at(place - reach);
    }
  }

  /** A channel (height x width) blurred, by a sigma for each direction. */
  function blurred(channel, width, height, across, down) {
    let [from, to] = [channel, new Float32Array(channel.length)];
    for (let pass = 0; pass < PASSES; pass++) {
      for (let row = 0; row < height; row++) boxMeans(from, to, row * width, 1, width, across);
      [from, to] = [to, from];
    }
    for (let pass = 0; pass < PASSES; pass++) {
      for (let column = 0; column < width; column++) boxMeans(from, to, column, width, height, down);
      [from, to] = [to, from];
    }
    return from;
  }

  function channelsOf({ data }) {
    return [0, 1, 2].map((channel) => {
      const values = new Float32Array(data.length / 4);
      for (let place = 0; place < values.length; place++) values[place] = data[4 * place + channel];
      return values;
    });
  }

  /** A canvas of red, green and blue. */
  function canvasOf(width, height, channels) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const image = new ImageData(width, height);
    image.data.fill(255);
    channels.forEach((values, channel) => {
      for (let place = 0; place < values.length; place++) image.data[4 * place + channel] = values[place];
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /** Grey and dark. */
  const darkened = ([red, green, blue]) => {
    const grey = red.map((value, place) => DARK * (0.299 * value + 0.587 * green[place] + 0.114 * blue[place]));
    return [grey, grey, grey];
  };

  /** Whether a sample is to be read in full where it is drawn small: where else its size is not known. */
  const readsFull = (run, full) => full || (run.summary.larger && !run.summary.map_size);

  async function made(run, sample, full, sigma) {
    const file = await run.picture(sample, full);
    if (!file) return null;
    const original = document.createElement("canvas");
    await ER.maps.drawPicture(original, file);
    const { width, height } = original;
    const [fullHeight, fullWidth] = (full ? null : run.summary.map_size) ?? [height, width];
    const found = { original, width, height, fullWidth, fullHeight };
    if (!sigma) return found;
    const channels = channelsOf(original.getContext("2d").getImageData(0, 0, width, height));
    const boxes = [boxOf((sigma * width) / fullWidth), boxOf((sigma * height) / fullHeight)];
    const soft = channels.map((channel) => blurred(channel, width, height, ...boxes));
    return { ...found, blur: canvasOf(width, height, soft), dark: canvasOf(width, height, darkened(soft)) };
  }

  /** A sample's original with its blur, as canvases, and the size that boxes refer to; null where there is none. */
  function sources(run, sample, full, sigma) {
    const exact = readsFull(run, full);
    const key = `${run.name} ${sample} ${exact} ${sigma}`;
    const entry = kept.get(key) ?? made(run, sample, exact, sigma);
    entry.catch(() => kept.delete(key));
    kept.delete(key);
    kept.set(key, entry);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return entry;
  }

  /** Draw the original where the boxes are, and what covers it elsewhere; without boxes the original alone. */
  function draw(canvas, found, boxes, blur) {
    Object.assign(canvas, { width: found.width, height: found.height });
    const context = canvas.getContext("2d");
    context.drawImage(boxes ? (blur ? found.blur : found.dark) : found.original, 0, 0);
    for (const [x, y, width, height] of boxes ?? []) {
      const [left, right] = [x, x + width].map((edge) => Math.round((edge * found.width) / found.fullWidth));
      const [top, bottom] = [y, y + height].map((edge) => Math.round((edge * found.height) / found.fullHeight));
      const place = [left, top, right - left, bottom - top];
      context.drawImage(found.original, ...place, ...place);
    }
  }

  /** The share of an image that boxes cover together. */
  function coveredShare(boxes, width, height) {
    const inside = new Uint8Array(width * height);
    for (const [x, y, wide, high] of boxes) {
      for (let row = y; row < Math.min(y + high, height); row++) inside.fill(1, row * width + x, row * width + Math.min(x + wide, width));
    }
    return inside.reduce((sum, one) => sum + one, 0) / inside.length;
  }

  ER.covered = { sources, draw, coveredShare, blurred, boxOf };
})();
