// Scripts of the page: they share the names below, since modules do not load from files.
import js from "@eslint/js";
import globals from "globals";

const shared = { ER: "writable", preact: "readonly", preactHooks: "readonly", htm: "readonly" };

export default [
  js.configs.recommended,
  {
    languageOptions: { sourceType: "script", ecmaVersion: 2023, globals: { ...globals.browser, ...shared } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      complexity: ["error", 12],
      eqeqeq: "error",
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true, IIFEs: false }],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-properties": ["error", { property: "innerHTML" }, { property: "dangerouslySetInnerHTML" }],
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-shadow": "error",
      "no-unused-vars": ["error", { varsIgnorePattern: "^ER$" }],
      "no-var": "error",
      "prefer-const": "error",
      strict: ["error", "global"],
    },
  },
];
