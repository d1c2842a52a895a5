/** A question that must be answered before anything else; Escape, and the first button, are the careful answer. */

import { data, fill } from "../web/data.mjs";
import { byId, element } from "../web/dom.mjs";
import { clash, allergens as listed } from "./allergens.mjs";

const words = data.page.words.question;
const dialog = byId("question", HTMLDialogElement);
const no = byId("question-no", HTMLButtonElement);
const yes = byId("question-yes", HTMLButtonElement);

/** @type {((isYes: boolean) => void) | null} */
let answer = null;

no.addEventListener("click", () => settle(false));
yes.addEventListener("click", () => settle(true));
dialog.addEventListener("cancel", () => settle(false));

/**
 * Ask; a question that is open is answered with no.
 *
 * @param {{title: string, lines: string[], yes: string, no: string}} question
 * @returns {Promise<boolean>}
 */
export function ask(question) {
  settle(false);
  byId("question-title", HTMLElement).textContent = question.title;
  byId("question-text", HTMLElement).replaceChildren(...question.lines.map((line) => element("p", "", line)));
  no.textContent = question.no;
  yes.textContent = question.yes;
  dialog.showModal();
  return new Promise((resolve) => {
    answer = resolve;
  });
}

/**
 * Ask about another main meal.
 *
 * @returns {Promise<boolean>}
 */
export function askAboutAnother() {
  return ask({ title: words.second_title, lines: [words.second_text], yes: words.serve, no: words.go_back });
}

/**
 * Ask whether a basket that was begun for another card is for this one.
 *
 * @param {string | undefined} name
 * @returns {Promise<boolean>}
 */
export function askWhoseBasketIs(name) {
  const title = name === undefined ? words.other_unknown : fill(words.other_title, { name });
  return ask({ title, lines: [words.other_text], yes: words.keep, no: words.new });
}

/**
 * Ask about items that this pupil must not eat.
 *
 * @param {string} name
 * @param {string[]} allergens
 * @param {import("./menu.mjs").Item[]} items
 * @param {{yes: string, no: string}} answers
 * @returns {Promise<boolean>}
 */
export function askAboutClash(name, allergens, items, answers) {
  const lines = items.map((item) => fill(words.clash_item, { label: item.label, clash: clash(item, allergens).join(". ") }));
  lines.unshift(fill(words.clash_text, { name, allergens: listed(allergens) }));
  return ask({ title: words.clash_title, lines, ...answers });
}

/** Take an open question back: what it was about is over. */
export function dismiss() {
  settle(false);
}

/** @param {boolean} isYes */
function settle(isYes) {
  const tell = answer;
  answer = null;
  if (dialog.open) {
    dialog.close();
  }
  tell?.(isYes);
}
