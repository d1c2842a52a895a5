/** An amount that somebody has typed. */

import { data, fill, money } from "../web/data.mjs";

const { currency, least_minor: least, most_minor: most, words } = data.page;
const digits = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;

/**
 * What was typed, in minor units, or a sentence that says what to type instead.
 *
 * @param {string} text such as `12.50`, `12,50`, `£12`
 * @returns {{minor: number} | {problem: string}}
 */
export function typed(text) {
  const found = /^\D{0,3}\s*(\d{1,7})(?:[.,](\d+))?$/.exec(text.trim());
  const fraction = found?.[2] ?? "";
  if (found === null || fraction.length > digits) {
    return { problem: words.no_amount };
  }
  // By its digits: a fraction of a number is no money.
  const minor = Number(found[1] + fraction.padEnd(digits, "0"));
  if (minor < least) {
    return { problem: fill(words.least, { amount: money(least, currency) }) };
  }
  return minor > most ? { problem: fill(words.most, { amount: money(most, currency) }) } : { minor };
}
