// The samples that look most alike to the network, below an enlarged one.
"use strict";

(() => {
  const { html, Picture, shown, useAsync } = ER.parts;

  /** What a run has of nearest samples; gives pictures as a run does. */
  class NearestSamples {
    constructor({ samples, count, place, distance }) {
      Object.assign(this, { samples, count, place: ER.data.array(place), distance: ER.data.array(distance) });
      this.pictures = ER.data.pictures(samples.map(({ picture }) => picture));
      this.bytes = this.pictures.bytes + this.place.byteLength + this.distance.byteLength;
    }

    /** Those of a sample by its place in the run, the nearest first. */
    of(sample) {
      const span = Array.from({ length: this.count }, (_, at) => sample * this.count + at);
      return span.filter((at) => this.place[at] >= 0).map((at) => ({ place: this.place[at], distance: this.distance[at], ...this.samples[this.place[at]] }));
    }

    async picture(place) {
      return this.pictures.one(place);
    }
  }

  function Nearest({ run, sample }) {
    const { value, error } = useAsync(() => ER.data.group(`${run.name}/nearest`, (content) => new NearestSamples(content)), [run]);
    const { layer, pool, distance } = run.summary.nearest_samples;
    const near = value?.of(sample);
    return html`<section class="nearest" aria-labelledby="nearest-title" data-ready=${value || error ? "1" : "0"}>
      <h3 id="nearest-title">Nearest samples</h3>
      <p class="soft">Of the dataset's first ${pool}, those that look most alike to the network: by the ${distance} distance of what layer <code>${layer}</code> gives, averaged over the image. The nearest comes first.</p>
      ${error ? html`<p class="missing">They are missing in this report.</p>` : null}
      ${near && !near.length ? html`<p class="missing">None could be compared with this sample.</p>` : null}
      <ol>${near?.map((one) => html`<li key=${one.id}><${Neighbour} run=${run} nearest=${value} one=${one} /></li>`)}</ol>
    </section>`;
  }

  /** A sample with its labels; a button where the page has it too. */
  function Neighbour({ run, nearest, one }) {
    const predicted = run.classes[one.predicted] ?? "unknown";
    const truth = one.truth.map((label) => run.classes[label]).join(", ");
    const right = one.truth.includes(one.predicted);
    const words = [`Sample ${one.id}`, `predicted ${predicted}`, truth && `true ${truth}`, `distance ${shown(one.distance)}`];
    const alt = words.filter(Boolean).join(", ");
    const content = html`<${Picture} run=${nearest} sample=${one.place} alt=${alt} />
      <span class="id">sample ${one.id}</span>
      <span class="name">${predicted}</span>
      ${truth && !right ? html`<span class="why">true: ${truth}</span>` : null}
      <span class="id">distance ${shown(one.distance)}</span>`;
    if (!run.places.has(one.id)) return html`<figure class="neighbour">${content}</figure>`;
    const open = (event) => {
      const dialog = event.currentTarget.closest("dialog");
      ER.state.set({ sample: one.id, label: null, at: "" }, { step: true });
      dialog.scrollTo(0, 0);
      dialog.querySelector("h2").focus(); // the button may go with the sample
    };
    return html`<button type="button" class="neighbour" aria-label=${`${alt}: enlarge it`} onClick=${open}>${content}</button>`;
  }

  ER.nearestSamples = { Nearest };
})();
