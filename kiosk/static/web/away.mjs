/** "Out of order", in place of the page while nothing can be done with it; it goes away by itself. */

import { data } from "./data.mjs";
import { byId, say } from "./dom.mjs";

/** @typedef {"server" | "agent" | "reader"} Cause what is missing; the first hides the others */

/** @type {Cause[]} */
const ORDER = ["server", "agent", "reader"];

/** @type {Map<Cause, string>} */
const causes = new Map();
/** @type {Element | null} */
let focused = null;

/**
 * Say that something is missing.
 *
 * @param {Cause} cause
 * @param {string} text
 */
export function missing(cause, text) {
  causes.set(cause, text);
  render();
}

/**
 * It is back.
 *
 * @param {Cause} cause
 */
export function back(cause) {
  if (causes.delete(cause)) {
    render();
  }
}

function render() {
  const away = byId("away", HTMLElement);
  const main = byId("main-content", HTMLElement);
  const first = ORDER.find((cause) => causes.has(cause));
  if (first !== undefined && away.hidden) {
    focused = document.activeElement;
  }
  const wasAway = !away.hidden;
  away.hidden = first === undefined;
  main.hidden = first !== undefined;
  say(byId("away-title", HTMLElement), first === undefined ? "" : data.words.away_title);
  say(byId("away-text", HTMLElement), first === undefined ? "" : (causes.get(first) ?? ""));
  if (wasAway && first === undefined && focused instanceof HTMLElement && focused.isConnected) {
    focused.focus();
  }
}
