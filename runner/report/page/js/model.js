// A run as the views see it: samples, their labels, questions and scores, by columns.
"use strict";

(() => {
  const TRUE = 1;
  const PREDICTED = 2;
  const FLAGS = ["", "FN", "FP", "TP"]; // by the bits of a label: true, predicted

  /** What hierarchical occlusion found, by the places of questions. */
  class Searched {
    constructor({ outcomes, ...columns }) {
      Object.assign(this, { outcomes, columns: decoded(columns), kept: new Map() });
    }

    outcome(question) {
      return this.outcomes[this.columns.outcome[question]];
    }

    /** How far the search blurs, in pixels; 0 where nothing was found. */
    sigma(question) {
      return this.columns.sigma[question];
    }

    /** Layers in their order: {probability, boxes}; the same objects each time. */
    layers(question) {
      if (!this.kept.has(question)) this.kept.set(question, this.made(question));
      return this.kept.get(question);
    }

    made(question) {
      const { first_layer, probability, first_box, boxes } = this.columns;
      const range = (first, place) => Array.from({ length: first[place + 1] - first[place] }, (_, at) => first[place] + at);
      const box = (place) => Array.from(boxes.subarray(4 * place, 4 * place + 4));
      return range(first_layer, question).map((layer) => ({ probability: probability[layer], boxes: range(first_box, layer).map(box) }));
    }
  }

  const decoded = (columns) => Object.fromEntries(Object.entries(columns).map(([key, value]) => [key, ER.data.array(value)]));

  class Run {
    constructor(name, summary, index, occlusion) {
      Object.assign(this, { name, summary, occlusion: occlusion && new Searched(occlusion) });
      const columns = decoded(index.columns);
      Object.assign(this, { columns, ids: columns.sample_id });
      this.scores = index.scores.map((of) => of.map(ER.data.array)); // [explainer][metric][question]
      this.errors = index.errors.map((of) => of && ER.data.array(of)); // [explainer][question], where known
      this.classes = summary.class_names;
      this.explainers = summary.explainers;
      this.metrics = summary.metrics;
      this.pictured = summary.pictured; // places of explainers with maps in this report
      this.firstLabel = firstPlaces(columns.label_sample, this.ids.length);
      this.places = new Map(Array.from(this.ids, (id, place) => [id, place]));
      this.probabilityOfQuestion = new Float32Array(summary.questions);
      this.labelOfQuestion = new Int32Array(summary.questions);
      this.flagsOfQuestion = new Uint8Array(summary.questions);
      columns.label_question.forEach((question, row) => {
        if (question < 0) return;
        this.probabilityOfQuestion[question] = columns.label_probability[row];
        this.labelOfQuestion[question] = columns.label[row];
        this.flagsOfQuestion[question] = columns.label_flags[row];
      });
    }

    get count() {
      return this.ids.length;
    }

    /** The labels of a sample by its place, the likeliest first. */
    labels(sample) {
      const { label, label_question, label_flags, label_probability, label_sd, label_low, label_high } = this.columns;
      const found = [];
      for (let row = this.firstLabel[sample]; row < this.firstLabel[sample + 1]; row++) {
        found.push({
          label: label[row],
          name: this.classes[label[row]],
          question: label_question[row], // -1 where no map was asked for
          flag: FLAGS[label_flags[row]],
          isTrue: Boolean(label_flags[row] & TRUE),
          isPredicted: Boolean(label_flags[row] & PREDICTED),
          probability: label_probability[row],
          spread: label_sd ? [label_sd[row], label_low[row], label_high[row]] : null,
        });
      }
      return found;
    }

    /** Places of the questions about a sample. */
    questions(sample) {
      const first = this.columns.first_question;
      return Array.from({ length: first[sample + 1] - first[sample] }, (_, place) => first[sample] + place);
    }

    /** The sample that a question is about. */
    sampleOf(question) {
      return upperBound(this.columns.first_question, question) - 1;
    }

    score(explainer, metric, question) {
      return this.scores[explainer][metric][question];
    }

    /** A map in the size of lists, or in full: {codes, scale, height, width}. */
    async map(explainer, question, full = false) {
      const sample = this.sampleOf(question);
      if (full && this.summary.larger) {
        const content = await this.full(sample);
        return content.maps[this.pictured.indexOf(explainer)].one(question - this.columns.first_question[sample]);
      }
      const group = Math.floor(sample / this.summary.group_size);
      const maps = await ER.data.group(`${this.name}/maps-${explainer}-${group}`, ER.data.maps);
      return maps.one(question - this.columns.first_question[group * this.summary.group_size]);
    }

    /** The bytes of a sample's original, in the size of lists or in full; null where it has none. */
    async picture(sample, full = false) {
      if (full && this.summary.larger) return (await this.full(sample)).picture;
      const group = Math.floor(sample / this.summary.group_size);
      const pictures = await ER.data.group(`${this.name}/pictures-${group}`, ER.data.pictures);
      return pictures.one(sample % this.summary.group_size);
    }

    full(sample) {
      return ER.data.group(`${this.name}/full-${sample}`, ({ picture, maps }) => {
        const drawn = maps.map(ER.data.maps);
        const file = picture === null ? null : ER.data.bytesOf(picture);
        const bytes = drawn.reduce((sum, of) => sum + of.bytes, file?.length ?? 0);
        return { picture: file, maps: drawn, bytes };
      });
    }
  }

  function firstPlaces(samples, count) {
    const first = new Int32Array(count + 1);
    samples.forEach((sample) => first[sample + 1]++);
    for (let place = 0; place < count; place++) first[place + 1] += first[place];
    return first;
  }

  function upperBound(ascending, value) {
    let low = 0;
    let high = ascending.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ascending[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A run of the page; one that cannot be read has a summary alone. */
  async function loadRun(name) {
    const summary = await ER.data.load(`${name}/summary`);
    if (summary.unreadable !== undefined) return { name, summary, unreadable: summary.unreadable };
    const [index, occlusion] = await Promise.all([
      ER.data.load(`${name}/index`),
      summary.hierarchical_occlusion ? ER.data.load(`${name}/occlusion`) : null,
    ]);
    return new Run(name, summary, index, occlusion);
  }

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  ER.model = { loadRun, mean };
})();
