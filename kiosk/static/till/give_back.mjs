/** What was just sold and comes back to the counter: a line of the receipt is given back to where it came from. */

import { NoAnswer, Refused, post } from "../web/api.mjs";
import { data, fill, money } from "../web/data.mjs";
import { byId, element, onPress } from "../web/dom.mjs";

/** @typedef {import("../web/payment.mjs").Outcome} Outcome */

const words = data.page.words.give_back;
const reasons = data.page.words.reasons;
const button = byId("give-back-open", HTMLButtonElement);
const dialog = byId("give-back", HTMLDialogElement);
const lines = byId("give-back-lines", HTMLElement);
const said = byId("give-back-said", HTMLElement);

/** What was asked for of this sale: the same line under the same key is given back once. @type {Map<number, string>} */
let keys = new Map();
/** @type {Outcome | null} */
let shown = null;

/** @param {() => string | null} tap of the sale on the screen */
export function offerGivingBack(tap) {
  onPress(byId("give-back-close", HTMLButtonElement), () => dialog.close());
  onPress(button, () => {
    const sold = tap();
    if (sold !== null && shown !== null) {
      said.textContent = words.ask;
      lines.replaceChildren(...shown.receipt.map((line, index) => choice(sold, line, index + 1)));
      dialog.showModal();
    }
  });
}

/**
 * Without the service a sale is not known there yet.
 *
 * @param {Outcome | null} outcome
 */
export function renderGivingBack(outcome) {
  const mayBe = outcome !== null && outcome.decision === "approved" && !outcome.offline && outcome.receipt.length > 0;
  button.hidden = !mayBe;
  if (shown !== outcome) {
    keys = new Map();
    shown = outcome;
  }
}

/**
 * @param {string} tap
 * @param {{label: string, amount_minor: number}} line
 * @param {number} number of the line, from 1
 */
function choice(tap, line, number) {
  const amount = money(line.amount_minor, shown?.currency ?? "GBP");
  const made = element("button", "govuk-button govuk-button--secondary face-button", `${line.label} ${amount}`);
  made.type = "button";
  made.addEventListener("click", () => void giveBack(tap, number));
  return made;
}

/**
 * @param {string} tap
 * @param {number} line
 */
async function giveBack(tap, line) {
  const key = keys.get(line) ?? crypto.randomUUID();
  keys.set(line, key);
  said.textContent = words.asking;
  try {
    const given = await post(`/taps/${encodeURIComponent(tap)}/refund`, { key, line });
    said.textContent = fill(words.given, { amount: money(given.amount_minor, given.currency) });
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) {
      throw error;
    }
    const isRefused = error instanceof Refused && error.code === "refund_refused";
    said.textContent = isRefused ? fill(words.refused, { reason: reasons[error.document.reason] ?? "" }) : words.unknown;
  }
}
