/** How the sale ended. Good news are told politely, others at once; each is told one time. */

import { data, fill, money } from "../web/data.mjs";
import { byId, element, show } from "../web/dom.mjs";

/** @typedef {import("../web/payment.mjs").Outcome} Outcome */

const words = data.page.words.outcome;
const reasons = data.page.words.reasons;
/** The service's own sentence says more than the reason alone. */
const DETAILED = new Set(["allergen_stop", "item_blocked", "item_limit", "limit_reached", "not_ordered"]);

const panel = byId("outcome", HTMLElement);
const status = byId("outcome-status", HTMLElement);
const alert = byId("outcome-alert", HTMLElement);
const last = byId("last", HTMLElement);

let shown = "";

/**
 * @param {Outcome | null} outcome
 * @param {"paying" | "open" | null} sale what is going on
 * @param {boolean} isNextWaiting whether another card is there already
 */
export function renderOutcome(outcome, sale, isNextWaiting) {
  const now = JSON.stringify([outcome, sale, isNextWaiting]);
  if (now === shown) {
    return;
  }
  shown = now;
  const isBad = outcome !== null && !isGiven(outcome);
  panel.classList.toggle("till-outcome--good", outcome !== null && !isBad);
  panel.classList.toggle("till-outcome--bad", isBad);
  const content = outcome === null ? running(sale) : told(outcome, isNextWaiting);
  status.replaceChildren(...(isBad ? [] : content));
  alert.replaceChildren(...(isBad ? content : []));
}

/**
 * What stays of a sale when the next begins.
 *
 * @param {Outcome | null} outcome
 */
export function renderLast(outcome) {
  show(last, outcome === null ? null : fill(words.last, { outcome: title(outcome) }));
}

/**
 * Whether the goods may be given: paid now, or paid before by the same tap.
 *
 * @param {Outcome} outcome
 * @returns {boolean}
 */
export function isGiven(outcome) {
  return outcome.decision === "approved" || outcome.reason === "tap_spent";
}

/** @param {"paying" | "open" | null} sale */
function running(sale) {
  return sale === null ? [] : [element("p", "govuk-body-l till-outcome__running", words[sale])];
}

/**
 * @param {Outcome} outcome
 * @param {boolean} isNextWaiting
 */
function told(outcome, isNextWaiting) {
  /** @type {HTMLElement[]} */
  const parts = [element("p", "govuk-heading-l till-outcome__title", title(outcome))];
  if (outcome.decision === "approved") {
    parts.push(...receipt(outcome));
    if (outcome.offline) {
      parts.push(element("p", "govuk-body", words.offline_text));
    }
  } else {
    parts.push(...why(outcome));
  }
  if (isNextWaiting) {
    parts.push(element("p", "govuk-body", words.waiting));
  }
  return parts;
}

/** @param {Outcome} outcome */
function title(outcome) {
  if (outcome.decision !== "approved") {
    return outcome.reason === "tap_spent" ? words.paid_already : (words[outcome.decision] ?? words.not_paid);
  }
  const amount = outcome.amount_minor === null ? "" : money(outcome.amount_minor, outcome.currency ?? "GBP");
  return fill(outcome.offline ? words.offline : words.paid, { amount });
}

/** @param {Outcome} outcome */
function receipt(outcome) {
  if (outcome.receipt.length === 0) {
    return [];
  }
  const rows = outcome.receipt.map((line) =>
    element(
      "li",
      "till-line",
      element("span", "", line.label),
      " ",
      element("span", "till-line__price", money(line.amount_minor, outcome.currency ?? "GBP")),
    ),
  );
  return [element("ul", "till-lines", ...rows)];
}

/** @param {Outcome} outcome */
function why(outcome) {
  const text = reasons[outcome.reason] ?? (outcome.message || fill(words.unknown_reason, { reason: outcome.reason }));
  const parts = [element("p", "govuk-body", text)];
  if (DETAILED.has(outcome.reason) && outcome.message) {
    parts.push(element("p", "govuk-body", outcome.message));
  }
  if (outcome.reason === "price_changed" && outcome.amount_minor !== null) {
    const amount = money(outcome.amount_minor, outcome.currency ?? "GBP");
    parts.push(element("p", "govuk-body", fill(words.new_price, { amount })));
  }
  if (outcome.reason !== "tap_spent") {
    parts.push(element("p", "govuk-body", `${words.nothing_charged} ${words.go_on}`));
  }
  return parts;
}
