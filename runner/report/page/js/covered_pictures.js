// Pictures of which all but some regions are covered: blurred as the network saw them, or grey and dark besides, as the
// viewer MindInsight showed them. Both are worked out here from the stored JPEG.
"use strict";

(() => {
  const DARK = 0.7; // what MindInsight leaves of the brightness
  const KEPT = 24; // samples whose blur is kept, the last used
  const kept = new Map();

  /** The weights of a Gaussian from its middle outwards, cut off at four sigma, as the run's are. */
  function weightsOf(sigma) {
    const weights = Float64Array.from({ length: Math.floor(4 * sigma + 0.5) + 1 }, (_, away) => Math.exp(-0.5 * (away / sigma) ** 2));
    const sum = 2 * weights.reduce((total, weight) => total + weight, 0) - weights[0];
    return weights.map((weight) => weight / sum);
  }

  /** Blur a line of a channel where it stands; its ends are repeated outwards. `line` is room for it. */
  function blurLine(channel, start, step, length, weights, line) {
    const reach = weights.length - 1;
    for (let place = -reach; place < length + reach; place++) {
      line[place + reach] = channel[start + step * (place < 0 ? 0 : place < length ? place : length - 1)];
    }
    for (let place = 0; place < length; place++) {
      const middle = place + reach;
      let sum = weights[0] * line[middle];
      for (let away = 1; away <= reach; away++) sum += weights[away] * (line[middle - away] + line[middle + away]);
      channel[start + step * place] = sum;
    }
  }

  /** Blur a channel (height x width) where it stands, with the weights for each direction. */
  function blur(channel, width, height, across, down) {
    const line = new Float64Array(Math.max(width + 2 * across.length, height + 2 * down.length));
    for (let row = 0; row < height; row++) blurLine(channel, row * width, 1, width, across, line);
    for (let column = 0; column < width; column++) blurLine(channel, column, width, height, down, line);
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

  /** What covers a picture of those channels. Grey and dark is one channel, which is blurred as well after as before. */
  function coverOf([red, green, blue], width, height, sigmas, inColour) {
    const dark = () => red.map((value, place) => DARK * (0.299 * value + 0.587 * green[place] + 0.114 * blue[place]));
    const channels = inColour ? [red, green, blue] : [dark()];
    const weights = sigmas.map(weightsOf);
    channels.forEach((channel) => blur(channel, width, height, ...weights));
    return canvasOf(width, height, inColour ? channels : [channels[0], channels[0], channels[0]]);
  }

  /** Whether a sample is to be read in full where it is drawn small: where else its size is not known. */
  const readsFull = (run, full) => full || (run.summary.larger && !run.summary.map_size);

  async function made(run, sample, full, sigma, inColour) {
    const file = await run.picture(sample, full);
    if (!file) return null;
    const original = document.createElement("canvas");
    const context = original.getContext("2d", { willReadFrequently: true });
    await ER.maps.drawPicture(original, file);
    const { width, height } = original;
    const [fullHeight, fullWidth] = (full ? null : run.summary.map_size) ?? [height, width];
    const found = { original, width, height, fullWidth, fullHeight };
    if (!sigma) return found;
    const channels = channelsOf(context.getImageData(0, 0, width, height));
    const sigmas = [(sigma * width) / fullWidth, (sigma * height) / fullHeight];
    return { ...found, cover: coverOf(channels, width, height, sigmas, inColour) };
  }

  /** A sample's original and what covers it, as canvases, and the size that boxes refer to; null where there is none. */
  function sources(run, sample, full, sigma, inColour) {
    const exact = readsFull(run, full);
    const key = `${run.name} ${sample} ${exact} ${sigma} ${inColour}`;
    const entry = kept.get(key) ?? made(run, sample, exact, sigma, inColour);
    entry.catch(() => kept.delete(key));
    kept.delete(key);
    kept.set(key, entry);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return entry;
  }

  /** Draw the original where the boxes are, and its cover elsewhere; without boxes the original alone. */
  function draw(canvas, found, boxes) {
    Object.assign(canvas, { width: found.width, height: found.height });
    const context = canvas.getContext("2d");
    context.drawImage(boxes ? found.cover : found.original, 0, 0);
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

  ER.covered = { sources, draw, coveredShare };
})();
