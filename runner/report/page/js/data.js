// Data of the page. Each file calls explainrunData(name, value), since a page opened from a file may load scripts but
// not fetch; in a single file the same JSON stands in blocks of the page.
"use strict";

const ER = (window.ER = {});

(() => {
  const MOST_BYTES = 96 * 2 ** 20; // of groups kept, the last used; what goes is loaded again when it is asked for
  const waiting = new Map();
  const kept = new Map();
  let keptBytes = 0;

  window.explainrunData = (name, value) => {
    waiting.get(name)?.resolve(value);
    waiting.delete(name);
  };

  /** What a data file holds; rejects where it is missing. Never asks twice at a time. */
  function load(name) {
    const block = document.querySelector(`script[data-name="${CSS.escape(name)}"]`);
    if (block) return new Promise((resolve) => resolve(JSON.parse(block.textContent)));
    return new Promise((resolve, reject) => {
      waiting.set(name, { resolve, reject });
      const script = document.createElement("script");
      script.src = `data/${name.split("/").map(encodeURIComponent).join("/")}.js`;
      script.onload = () => {
        script.remove();
        if (waiting.delete(name)) reject(new Error(`${script.src} holds something else`));
      };
      script.onerror = () => {
        script.remove();
        waiting.delete(name);
        reject(new Error(`${name} is missing in the report`));
      };
      document.head.append(script);
    });
  }

  /** A group of pictures or maps, decoded; kept while it is among the last used. */
  function group(name, decode) {
    let entry = kept.get(name);
    if (entry) kept.delete(name);
    else {
      entry = { bytes: 0 };
      entry.value = load(name).then((value) => {
        const decoded = decode(value);
        entry.bytes = decoded.bytes;
        keptBytes += kept.has(name) ? entry.bytes : 0;
        forget(name);
        return decoded;
      });
      entry.value.catch(() => kept.delete(name));
    }
    kept.set(name, entry);
    return entry.value;
  }

  function forget(newest) {
    for (const [name, entry] of kept) {
      if (keptBytes <= MOST_BYTES) return;
      if (name === newest || !entry.bytes) continue;
      keptBytes -= entry.bytes;
      kept.delete(name);
    }
  }

  function bytesOf(base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
    return bytes;
  }

  const TYPES = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array, i1: Int8Array };

  /** A typed array from its type, shape and base64. */
  function array({ type, data }) {
    return new TYPES[type](bytesOf(data).buffer);
  }

  /** Maps of a group: codes of all, the scale of each (null where it is unknown) and their size. */
  function maps({ size, scales, codes }) {
    const bytes = bytesOf(codes);
    const [height, width] = size;
    const all = new Int8Array(bytes.buffer);
    const one = (place) => ({
      codes: all.subarray(place * height * width, (place + 1) * height * width),
      scale: scales[place],
      height,
      width,
    });
    return { count: scales.length, one, bytes: bytes.length + 64 * scales.length };
  }

  /** Pictures of a group, as the bytes of their files. */
  function pictures(list) {
    const files = list.map((text) => (text === null ? null : bytesOf(text)));
    return { one: (place) => files[place], bytes: files.reduce((sum, file) => sum + (file?.length ?? 0), 0) };
  }

  ER.data = { load, group, array, maps, pictures, bytesOf };
})();
