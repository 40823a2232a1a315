// Texts of the run's files are Python's: "{name} misses completeness by {error:.2g} of a logit".
"use strict";

(() => {
  /** A text with its fields filled in, as Python's str.format does it for names and f, e, g and % of numbers. */
  ER.pythonFormat = (text, values) =>
    text.replace(/\{\{|\}\}|\{(\w+)(?::([^}]*))?\}/g, (found, name, how) => {
      if (name === undefined) return found[0];
      return name in values ? formatted(values[name], how ?? "") : found;
    });

  function formatted(value, how) {
    const [, digits, kind] = /^(?:\.(\d+))?([feg%]?)$/.exec(how) ?? [];
    if (typeof value !== "number" || kind === undefined) return String(value);
    const precision = Number(digits ?? 6);
    if (kind === "f") return value.toFixed(precision);
    if (kind === "%") return `${(100 * value).toFixed(precision)}%`;
    if (kind === "e") return withExponent(value, precision);
    return digits === undefined && kind === "" ? String(value) : general(value, Math.max(precision, 1));
  }

  function withExponent(value, precision) {
    const [mantissa, exponent] = value.toExponential(precision).split("e");
    return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }

  function general(value, precision) {
    const exponent = Number(value.toExponential(precision - 1).split("e")[1]);
    const plain = exponent >= -4 && exponent < precision;
    const text = plain ? value.toFixed(precision - 1 - exponent) : withExponent(value, precision - 1);
    return text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1");
  }
})();
