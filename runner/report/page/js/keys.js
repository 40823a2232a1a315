"use strict";

(() => {
  ER.keys = { listen: () => {}, HelpDialog: () => null };
})();
