/** The one panel: what to do, or how it went, in words with a picture; the colour says nothing by itself. */

import { data, fill, money } from "../web/data.mjs";
import { byId, element } from "../web/dom.mjs";

/** @typedef {import("../web/payment.mjs").Outcome} Outcome */

const words = data.page.words;
const panel = byId("panel", HTMLElement);
const outcomeBox = byId("outcome", HTMLElement);

/** What to do now: wait for a card. */
export function showIdle() {
  show("idle", [title(words.idle)]);
}

/**
 * Something goes on with a card.
 *
 * @param {"reading" | "lift" | "open"} what
 */
export function showBusy(what) {
  show("busy", what === "open" ? [title(words.open), text(words.open_text)] : [title(words[what])]);
}

/**
 * How a ride ended.
 *
 * @param {Outcome} outcome
 */
export function showOutcome(outcome) {
  const parts = isGo(outcome) ? good(outcome) : bad(outcome);
  show(isGo(outcome) ? "go" : "stop", parts);
}

/**
 * A card that cannot be used, by the reason's code.
 *
 * @param {string} reason
 */
export function showRefused(reason) {
  show("stop", [title(words.stop), text(why(reason, ""))]);
}

/**
 * What a reason means.
 *
 * @param {string} reason
 * @param {string} message the service's own
 * @returns {string}
 */
export function why(reason, message) {
  return words.reasons[reason] ?? (message || fill(words.unknown_reason, { reason }));
}

/** @param {Outcome} outcome */
function isGo(outcome) {
  return outcome.decision === "approved" || outcome.reason === "tap_spent";
}

/** @param {Outcome} outcome */
function good(outcome) {
  if (outcome.decision !== "approved") {
    return [title(words.go), text(words.paid_already)];
  }
  const parts = [title(words.go)];
  if (outcome.amount_minor !== null && outcome.currency !== null) {
    parts.push(element("p", "validator__price", money(outcome.amount_minor, outcome.currency)));
  }
  parts.push(text(outcome.offline ? words.offline : words.paid));
  parts.push(...outcome.receipt.map((line) => text(line.label)));
  return parts;
}

/** @param {Outcome} outcome */
function bad(outcome) {
  return [title(words.stop), text(why(outcome.reason, outcome.message)), text(words.nothing_charged)];
}

/**
 * @param {"idle" | "busy" | "go" | "stop"} state
 * @param {HTMLElement[]} parts
 */
function show(state, parts) {
  const now = parts.map((part) => part.textContent).join("\n");
  if (panel.dataset.state !== state || outcomeBox.dataset.said !== now) {
    panel.dataset.state = state;
    outcomeBox.dataset.said = now;
    outcomeBox.replaceChildren(...parts);
  }
}

/**
 * @param {string} words
 * @returns {HTMLElement}
 */
function title(words) {
  return element("p", "validator__title", words);
}

/**
 * @param {string} words
 * @returns {HTMLElement}
 */
function text(words) {
  return element("p", "validator__text", words);
}
