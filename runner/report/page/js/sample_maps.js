// The enlarged sample's maps side by side: their scores, and what each says of the pixel that is pointed at.
"use strict";

(() => {
  const { html, Picture, SaliencyMap, shown, useAsync } = ER.parts;
  const { Strip, standing } = ER.distribution;
  const { useEffect, useMemo, useState } = preactHooks;
  const SUITABLE = 240; // pixels of the screen for a map
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** The pixel that is pointed at, which all maps mark. Apart from the dialog's state, since it follows the mouse. */
  class Probe {
    constructor() {
      Object.assign(this, { point: null, spoken: "", listeners: new Set() });
    }

    move(point, spoken = "") {
      Object.assign(this, { point, spoken });
      this.listeners.forEach((listener) => listener({ point, spoken }));
    }
  }

  function useProbe(probe) {
    const [seen, setSeen] = useState({ point: probe.point, spoken: "" });
    useEffect(() => {
      probe.listeners.add(setSeen);
      return () => probe.listeners.delete(setSeen);
    }, [probe]);
    return seen;
  }

  /** "12,34" as a pixel; null where it is none of these maps. */
  function pinned(at, [height, width]) {
    const [x, y] = at.split(",").map(Number);
    return at && x >= 0 && x < width && y >= 0 && y < height && Number.isInteger(x + y) ? [x, y] : null;
  }

  /** Pixels of the screen for one of a map's, as chosen or so many that it can be seen well. */
  const factorOf = (zoom, width) => (zoom > 0 ? zoom : Math.max(1, Math.round(SUITABLE / width)));

  function Maps({ run, sample, picked, state }) {
    const size = run.summary.map_size;
    const probe = useMemo(() => new Probe(), [run]);
    useEffect(() => probe.move(size && pinned(state.at, size)), [state.at, sample]);
    const width = size ? `${size[1] * factorOf(state.zoom, size[1])}px` : "14rem";
    const shared = { run, sample, state, probe };
    const methods = picked ? run.pictured : [];
    return html`<div class=${state.zoom > 0 ? "tiles" : "tiles suitable"} style=${{ "--tile": width }}>
        <${Original} ...${shared} />
        ${methods.map((explainer) => html`<${Method} ...${shared} explainer=${explainer} question=${picked.question} key=${explainer} />`)}
      </div>
      <${Where} probe=${probe} />`;
  }

  /** What a frame over a map does with the mouse: the pixel under it is shown in all maps, and kept on a click. */
  function pointing(run, probe) {
    const size = run.summary.map_size;
    if (!size) return {};
    const under = (event) => {
      const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
      const x = Math.floor(((event.clientX - left) / width) * size[1]);
      return pinned(`${x},${Math.floor(((event.clientY - top) / height) * size[0])}`, size);
    };
    return {
      onPointerMove: (event) => probe.move(under(event)),
      onPointerLeave: () => probe.move(pinned(ER.state.get().at, size)),
      onClick: (event) => {
        const at = under(event)?.join(",") ?? "";
        ER.state.set({ at: at === ER.state.get().at ? "" : at });
      },
    };
  }

  /** Move the pixel that is read by an arrow, ten at a time with Shift; Home goes to the map's largest value. */
  function moved(event, map, point) {
    const step = event.shiftKey ? 10 : 1;
    const within = (place, end) => Math.min(Math.max(place, 0), end - 1);
    if (event.key === "Home" || (event.key in MOVES && !point)) return hottest(map);
    if (!(event.key in MOVES)) return null;
    const [right, down] = MOVES[event.key];
    return [within(point[0] + step * right, map.width), within(point[1] + step * down, map.height)];
  }

  function hottest({ codes, width }) {
    let best = 0;
    codes.forEach((code, place) => Math.abs(code) > Math.abs(codes[best]) && (best = place));
    return [best % width, Math.floor(best / width)];
  }

  function Original({ run, sample, probe }) {
    const size = run.summary.map_size;
    return html`<figure class="tile">
      <span class=${`frame ${size ? "" : "free"}`} style=${size && { aspectRatio: `${size[1]} / ${size[0]}` }} ...${pointing(run, probe)}>
        <${Picture} run=${run} sample=${sample} full=${true} alt=${`Sample ${run.ids[sample]}`} />
        <${Crosshair} probe=${probe} size=${size} />
      </span>
      <figcaption>
        <h3>Original</h3>
        ${size ? html`<${Place} probe=${probe} size=${size} />` : null}
      </figcaption>
    </figure>`;
  }

  /** Which pixel is read; without one the size of the maps. */
  function Place({ probe, size: [height, width] }) {
    const { point } = useProbe(probe);
    const words = point ? `${point[0]} from the left, ${point[1]} from the top` : `maps have ${width} × ${height} pixels`;
    return html`<p class="reading">${words}</p>`;
  }

  function Method({ run, explainer, question, state, probe }) {
    const { name, control } = run.explainers[explainer];
    const size = run.summary.map_size;
    const { value } = useAsync(() => run.map(explainer, question, true), [run, explainer, question]);
    const map = value?.scale === null ? null : value;
    const press = (event) => {
      const next = map && !event.ctrlKey && !event.metaKey && !event.altKey ? moved(event, map, probe.point) : null;
      if (!next) return;
      event.preventDefault();
      ER.state.setSoon({ at: next.join(",") });
      probe.move(next, `${name} at ${next.join(", ")}: ${reading(map, next)}`);
    };
    return html`<figure class="tile" data-explainer=${explainer}>
      <span
        class="frame"
        role="application"
        aria-roledescription="map"
        aria-label=${`${name}: arrow keys read its pixels`}
        tabindex="0"
        style=${{ aspectRatio: `${size[1]} / ${size[0]}` }}
        onKeyDown=${press}
        ...${pointing(run, probe)}
      >
        <${SaliencyMap} run=${run} explainer=${explainer} question=${question} view=${state} full=${true} />
        <${Crosshair} probe=${probe} size=${size} />
      </span>
      <figcaption>
        <h3>${name} ${control ? html`<span class="control-mark">control</span>` : null}</h3>
        <${Reading} map=${map} probe=${probe} />
        <${Notes} run=${run} explainer=${explainer} question=${question} />
        <${Scores} run=${run} explainer=${explainer} question=${question} />
      </figcaption>
    </figure>`;
  }

  /** A map's value at a pixel, in few digits. */
  function reading({ codes, scale, width }, [x, y]) {
    return inDigits(valueOf(codes[y * width + x], scale));
  }

  const valueOf = (code, scale) => scale * Math.sign(code) * (code / 127) ** 2;

  function inDigits(value) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    return size < 0.001 || size >= 100000 ? value.toExponential(2) : value.toPrecision(3);
  }

  function Reading({ map, probe }) {
    const { point } = useProbe(probe);
    const extent = useMemo(() => map && extentOf(map), [map]);
    if (!map) return html`<p class="reading">${" "}</p>`;
    if (point) return html`<p class="reading">at ${point.join(", ")}: <b>${reading(map, point)}</b></p>`;
    return html`<p class="reading">${extent.map(inDigits).join(" to ")}</p>`;
  }

  function extentOf({ codes, scale }) {
    let [low, high] = [codes[0], codes[0]];
    for (const code of codes) {
      if (code < low) low = code;
      if (code > high) high = code;
    }
    return [valueOf(low, scale), valueOf(high, scale)];
  }

  /** Lines through a pixel, which leave it and those around it free. */
  function Crosshair({ probe, size }) {
    const { point } = useProbe(probe);
    if (!point) return null;
    const [height, width] = size;
    const [x, y] = [point[0] + 0.5, point[1] + 0.5];
    const gap = Math.max(height, width) / 25;
    const lines = `M0 ${y}H${x - gap}M${x + gap} ${y}H${width}M${x} 0V${y - gap}M${x} ${y + gap}V${height}`;
    return html`<svg class="crosshair" viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="under" d=${lines} /><path class="over" d=${lines} />
    </svg>`;
  }

  /** The layer that was read, and how far off the map may be. */
  function Notes({ run, explainer, question }) {
    const { name, layer, options, error_text, control } = run.explainers[explainer];
    const read = layer ?? options.layer;
    const error = run.errors[explainer]?.[question];
    const known = error !== undefined && !Number.isNaN(error);
    return html`<ul class="notes">
      ${control ? html`<li>Knows nothing of the network: a method should score better than this.</li>` : null}
      ${read ? html`<li>Layer <code>${[read].flat().join(", ")}</code>${layer ? ", chosen automatically" : ""}</li>` : null}
      ${known && error_text ? html`<li>How far off: ${ER.pythonFormat(error_text, { name, error: Math.abs(error) })}</li>` : null}
      ${error_text && !known ? html`<li>How far off this map may be is not known.</li>` : null}
    </ul>`;
  }

  function Scores({ run, explainer, question }) {
    if (!run.metrics.length) return null;
    return html`<table class="scores">
      <caption class="visually-hidden">
        Scores of ${run.explainers[explainer].name}
      </caption>
      <tbody>
        ${run.metrics.map((metric, column) => {
          const { value, values, flip, place, methods, words } = standing(run, explainer, column, question);
          return html`<tr title=${words}>
            <th scope="row" title=${metric.text?.sentence}>${metric.name}</th>
            <td class=${place === 1 && methods > 1 ? "number best" : "number"}>${shown(value)}</td>
            <td><${Strip} values=${values} value=${value} flip=${flip} words=${words} /></td>
          </tr>`;
        })}
      </tbody>
    </table>`;
  }

  /** Says where the pixel is that arrow keys moved to, for those who hear the page. */
  function Where({ probe }) {
    return html`<p class="visually-hidden" role="status">${useProbe(probe).spoken}</p>`;
  }

  ER.sampleMaps = { Maps };
})();
