/**
 * Allergens in words, and what of an item is dangerous to a pupil.
 *
 * @typedef {{contains: string[], may_contain: string[]}} Allergens of an item
 */

import { data, fill } from "../web/data.mjs";

const words = data.page.words;
const list = new Intl.ListFormat(data.language, { type: "conjunction" });

/**
 * An allergen's name.
 *
 * @param {string} key
 * @returns {string}
 */
export function allergen(key) {
  return words.allergens[key] ?? fill(words.pupil.unknown_allergen, { key });
}

/**
 * Several names, as a sentence lists them.
 *
 * @param {string[]} keys
 * @returns {string}
 */
export function allergens(keys) {
  return list.format(keys.map(allergen));
}

/**
 * What of an item a pupil must not have, or perhaps not: one sentence each; empty where there is nothing.
 *
 * @param {Allergens} item
 * @param {string[]} pupil
 * @returns {string[]}
 */
export function clash(item, pupil) {
  const contains = item.contains.filter((key) => pupil.includes(key));
  const may = item.may_contain.filter((key) => pupil.includes(key));
  return [
    ...(contains.length ? [fill(words.keys.contains, { allergens: allergens(contains) })] : []),
    ...(may.length ? [fill(words.keys.may_contain, { allergens: allergens(may) })] : []),
  ];
}
