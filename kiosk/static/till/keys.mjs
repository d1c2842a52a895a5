/** The item keys, by category, marked where an item is dangerous to the pupil who stands there. */

import { data, fill, money } from "../web/data.mjs";
import { byId, element, icon, onPress } from "../web/dom.mjs";
import { clash } from "./allergens.mjs";

/** @typedef {import("./menu.mjs").Item} Item */

const words = data.page.words.keys;
const root = byId("keys", HTMLElement);
const sections = byId("sections", HTMLElement);

let shown = "";

/**
 * Show the menu's keys; what is shown already stays, and the focus with it.
 *
 * @param {import("./menu.mjs").Menu} menu
 * @param {string[]} allergens the pupil's
 * @param {(item: Item) => void} press
 */
export function renderKeys(menu, allergens, press) {
  const now = JSON.stringify([menu.section, menu.reason, menu.currency, allergens, menu.choices.map((one) => one.key)]);
  if (now === shown) {
    return;
  }
  shown = now;
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  renderSections(menu);
  root.replaceChildren(...groups(menu, allergens, press));
  if (focused !== undefined) {
    const again = document.querySelector(`[data-key="${CSS.escape(focused)}"]`);
    if (again instanceof HTMLElement) {
      again.focus();
    }
  }
}

/** @param {import("./menu.mjs").Menu} menu */
function renderSections(menu) {
  sections.hidden = menu.choices.length < 2;
  sections.replaceChildren(
    ...menu.choices.map((section) => {
      const button = element("button", "govuk-button govuk-button--secondary face-button till-section", section.label);
      button.type = "button";
      button.dataset.key = `section ${section.key}`;
      button.setAttribute("aria-pressed", String(section.key === menu.section?.key));
      onPress(button, () => menu.choose(section.key));
      return button;
    }),
  );
}

/**
 * @param {import("./menu.mjs").Menu} menu
 * @param {string[]} allergens
 * @param {(item: Item) => void} press
 */
function groups(menu, allergens, press) {
  const items = menu.section?.items ?? [];
  if (items.length === 0) {
    const why = data.page.words.reasons[menu.reason ?? ""] ?? menu.reason;
    const text = menu.reason === null ? words.nothing : fill(words.unavailable, { reason: why });
    return menu.catalogue === null && menu.reason === null ? [] : [element("p", "govuk-body-l", text)];
  }
  /** @type {[string, string][]} */
  const known = words.categories;
  const names = new Set(known.map(([category]) => category));
  /** @type {[string, Item[]][]} */
  const found = known.map(([category, title]) => [title, items.filter((item) => item.category === category)]);
  found.push([words.other, items.filter((item) => !names.has(item.category))]);
  return found
    .filter(([, own]) => own.length > 0)
    .map(([title, own], index) => group(index, title, own, menu.currency, allergens, press));
}

/**
 * @param {number} index
 * @param {string} title
 * @param {Item[]} items
 * @param {string} currency
 * @param {string[]} allergens
 * @param {(item: Item) => void} press
 */
function group(index, title, items, currency, allergens, press) {
  const heading = element("h2", "govuk-heading-m till-group__title", title);
  heading.id = `group-${index}`;
  const keys = items.map((item) => key(item, currency, clash(item, allergens), press));
  const width = keys.length < 3 ? ` till-group--${keys.length}` : "";
  const made = element("section", `till-group${width}`, heading, element("div", "till-group__keys", ...keys));
  made.setAttribute("aria-labelledby", heading.id);
  return made;
}

/**
 * @param {Item} item
 * @param {string} currency
 * @param {string[]} dangers
 * @param {(item: Item) => void} press
 */
function key(item, currency, dangers, press) {
  const button = element(
    "button",
    "govuk-button govuk-button--secondary face-button till-key",
    element("span", "till-key__label", item.label),
    " ",
    element("span", "till-key__price", money(item.amount_minor, currency)),
  );
  button.type = "button";
  button.dataset.key = `item ${item.key}`;
  if (dangers.length > 0) {
    button.classList.add("till-key--clash");
    button.append(" ", element("span", "till-key__clash", icon("warning-icon"), element("span", "", dangers.join(". "))));
  }
  onPress(button, () => press(item));
  return button;
}
