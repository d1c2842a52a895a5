/** A question that must be answered before anything else; Escape, and the first button, are the careful answer. */

import { data } from "../web/data.mjs";
import { byId, element } from "../web/dom.mjs";

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
