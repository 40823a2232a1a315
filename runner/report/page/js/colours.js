// Colour tables that people with any kind of colour vision can read: 17 colours each, linear between them.
"use strict";

(() => {
  // viridis, cividis and inferno as matplotlib has them (CC0); RdBu and PuOr are ColorBrewer's (Apache-2.0).
  const STOPS = {
    viridis:
      "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
    cividis:
      "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838",
    inferno:
      "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4",
    grey: "000000 ffffff",
    "blue-red":
      "053061 175290 2a71b2 3f8ec0 6bacd1 9bc9e0 c2ddec e0ecf3 f7f7f7 fbe5d8 fbccb4 f5aa89 e48066 d05548 ba2832 930e26 67001f",
    "purple-orange":
      "2d004b 451871 5f3a91 7b6aa8 9990bf b7b1d5 cfcfe5 e4e5f0 f7f7f7 fce8cd fed59f fdbc6b ee9b39 d97b12 bd6109 9e4c07 7f3b08",
  };

  const made = new Map();

  /** The colour of a table at a share of 0 to 1, as bytes red, green, blue. */
  function colourAt(table, share) {
    if (!made.has(table)) made.set(table, (STOPS[table] ?? STOPS.viridis).split(" ").map(bytes));
    const stops = made.get(table);
    const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    return stops[low].map((byte, channel) => Math.round(byte + (stops[low + 1][channel] - byte) * (place - low)));
  }

  const bytes = (hex) => [0, 2, 4].map((start) => parseInt(hex.slice(start, start + 2), 16));

  ER.colours = {
    colourAt,
    sequential: ["viridis", "cividis", "inferno", "grey"],
    diverging: ["blue-red", "purple-orange"],
  };
})();
