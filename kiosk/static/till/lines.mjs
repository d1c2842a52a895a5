/** The basket's lines, its total and its buttons. */

import { data, fill, money } from "../web/data.mjs";
import { byId, element, enable, icon, say, show } from "../web/dom.mjs";
import { clash } from "./allergens.mjs";

const words = data.page.words.basket;
const lines = byId("lines", HTMLUListElement);
const empty = byId("empty", HTMLElement);
const need = byId("need", HTMLElement);
const said = byId("said", HTMLElement);

export const undoButton = byId("undo", HTMLButtonElement);
export const clearButton = byId("clear", HTMLButtonElement);
export const chargeButton = byId("charge", HTMLButtonElement);

let shown = "";

/**
 * @param {import("./basket.mjs").Basket} basket
 * @param {import("./menu.mjs").Menu} menu
 * @param {string[]} allergens the pupil's
 * @param {boolean} isLocked while it is being paid, and when it was
 * @param {string | null} obstacle why it cannot be charged: a word's key
 */
export function renderBasket(basket, menu, allergens, isLocked, obstacle) {
  const amount = money(total(basket, menu), menu.currency);
  const now = JSON.stringify([basket.lines, allergens, amount, menu.section]);
  if (now !== shown) {
    shown = now;
    lines.replaceChildren(...basket.lines.map((line) => row(line, menu, allergens)));
    lines.hidden = basket.isEmpty;
  }
  show(empty, basket.isEmpty ? words.empty : null);
  enable(undoButton, basket.canUndo && !isLocked);
  enable(clearButton, !basket.isEmpty && !isLocked);
  enable(chargeButton, obstacle === null);
  say(chargeButton, fill(words.charge, { amount }));
  show(need, obstacle === null ? null : words[obstacle]);
}

/**
 * What all of it costs, in minor units: as the service has said, or by the menu's prices.
 *
 * @param {import("./basket.mjs").Basket} basket
 * @param {import("./menu.mjs").Menu} menu
 * @returns {number}
 */
export function total(basket, menu) {
  const listed = basket.lines.reduce((sum, line) => sum + line.quantity * (menu.item(line.key)?.amount_minor ?? 0), 0);
  return basket.quoted ?? listed;
}

/**
 * Tell who does not see the basket what has become of it.
 *
 * @param {"added" | "undone" | "cleared" | "dropped" | "full" | "need_next" | "need_answer"} what
 * @param {Record<string, string>} values
 */
export function announce(what, values) {
  say(said, fill(words[what], values));
}

/**
 * @param {import("./basket.mjs").Line} line
 * @param {import("./menu.mjs").Menu} menu
 * @param {string[]} allergens
 */
function row(line, menu, allergens) {
  const item = menu.item(line.key);
  const label = fill(words.line, { quantity: line.quantity, label: item?.label ?? line.key });
  const price = money(line.quantity * (item?.amount_minor ?? 0), menu.currency);
  const made = element("li", "till-line", element("span", "", label), " ", element("span", "till-line__price", price));
  const dangers = item === undefined ? [] : clash(item, allergens);
  if (dangers.length > 0) {
    made.append(" ", element("span", "till-line__clash", icon("warning-icon"), element("span", "", dangers.join(". "))));
  }
  return made;
}
