/**
 * What the server has given this page: its language, its words, and what is the page's own.
 *
 * @typedef {Record<string, string>} Plural a text for each plural category, with `{count}` in it
 * @typedef {{language: string, csrf_token: string, words: Record<string, string>, page: any}} PageData
 */

/** @type {PageData} */
export const data = JSON.parse(document.getElementById("page-data")?.textContent ?? "{}");

/**
 * A text with its placeholders filled: `{name}` from `values.name`.
 *
 * @param {string} text
 * @param {Record<string, string | number>} values
 * @returns {string}
 */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The text for a number of things.
 *
 * @param {Plural} texts
 * @param {number} count
 * @returns {string}
 */
export function plural(texts, count) {
  const category = new Intl.PluralRules(data.language).select(count);
  return fill(texts[category] ?? texts.other, { count: new Intl.NumberFormat(data.language).format(count) });
}

/**
 * An amount as people write it.
 *
 * @param {number} amountMinor in minor units of the currency
 * @param {string} currency ISO 4217
 * @returns {string}
 */
export function money(amountMinor, currency) {
  const format = new Intl.NumberFormat(data.language, { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amountMinor / 10 ** digits);
}

/**
 * A moment of today as a time, another with its day.
 *
 * @param {string} moment RFC 3339
 * @returns {string}
 */
export function time(moment) {
  const at = new Date(moment);
  const today = at.toDateString() === new Date().toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const shape = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(data.language, shape).format(at);
}
