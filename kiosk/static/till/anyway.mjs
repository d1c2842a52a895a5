/** At a supervisor's till: what a till must refuse for the pupil's sake can be served all the same, which is recorded. */

import { data } from "../web/data.mjs";
import { byId, onPress } from "../web/dom.mjs";
import { isGiven } from "./outcome.mjs";
import { ask } from "./question.mjs";

/** @typedef {import("../web/payment.mjs").Outcome} Outcome */

/** What a person may decide otherwise; what is wrong with card, menu or terminal is none of it. */
const DECIDABLE = new Set([
  "allergen_stop",
  "arrears_limit",
  "insufficient_funds",
  "item_blocked",
  "item_limit",
  "limit_reached",
  "second_meal",
]);

const words = data.page.words.question;
const button = byId("anyway", HTMLButtonElement);

/** @param {() => void} serve */
export function offerAnyway(serve) {
  onPress(button, serve);
}

/**
 * @param {Outcome | null} outcome
 * @param {string | null} obstacle why nothing can be charged now
 */
export function renderAnyway(outcome, obstacle) {
  const isDeclined = outcome !== null && !isGiven(outcome) && DECIDABLE.has(outcome.reason);
  button.hidden = !(data.page.supervisor && isDeclined && obstacle === null);
}

/**
 * Ask whether it shall be.
 *
 * @param {Outcome} outcome what was declined
 * @returns {Promise<boolean>}
 */
export function askAnyway(outcome) {
  const why = data.page.words.reasons[outcome.reason] ?? outcome.message;
  const lines = [why, ...(outcome.message && outcome.message !== why ? [outcome.message] : []), words.anyway_text];
  return ask({ title: words.anyway_title, lines, yes: words.anyway, no: words.go_back });
}
