/** The end of a service: what this till has sold today. Nobody is in it, and nothing of who pays. */

import { NoAnswer, Refused, get } from "../web/api.mjs";
import { data, fill, money } from "../web/data.mjs";
import { byId, element, onPress } from "../web/dom.mjs";

/**
 * @typedef {{sales: number, amount_minor: number, offline: number, waiting: number,
 *   declined: Record<string, number>, items: Record<string, number>}} Totals
 */

const words = data.page.words.totals;
const dialog = byId("totals", HTMLDialogElement);
const content = byId("totals-content", HTMLElement);

/** @param {import("./menu.mjs").Menu} menu */
export function offerTotals(menu) {
  onPress(byId("totals-open", HTMLButtonElement), () => void open(menu));
  onPress(byId("totals-close", HTMLButtonElement), () => dialog.close());
}

/** @param {import("./menu.mjs").Menu} menu */
async function open(menu) {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  content.replaceChildren(element("p", "govuk-body", words.counting));
  dialog.showModal();
  try {
    const found = await get(`/totals?since=${encodeURIComponent(today.toISOString())}`);
    /** @type {[string, Totals][]} */
    const groups = Object.entries(found.groups);
    const nothing = element("p", "govuk-body", words.nothing);
    content.replaceChildren(...(groups.length === 0 ? [nothing] : groups.flatMap(([key, each]) => told(menu, key, each))));
  } catch (error) {
    if (!(error instanceof NoAnswer || error instanceof Refused)) {
      throw error;
    }
    content.replaceChildren(element("p", "govuk-body", words.unavailable));
  }
}

/**
 * @param {import("./menu.mjs").Menu} menu
 * @param {string} key of a section
 * @param {Totals} totals
 */
function told(menu, key, totals) {
  const sections = menu.catalogue?.sections ?? [];
  const reasons = data.page.words.reasons;
  /** @type {Map<string, string>} */
  const labels = new Map(sections.flatMap((section) => section.items.map((item) => [item.key, item.label])));
  const sums = [
    [words.sales, String(totals.sales)],
    [words.amount, money(totals.amount_minor, menu.currency)],
    [words.offline, fill(words.offline_value, { offline: totals.offline, waiting: totals.waiting })],
  ];
  const items = Object.entries(totals.items).map(([item, count]) => [labels.get(item) ?? item, String(count)]);
  const declined = Object.entries(totals.declined).map(([reason, count]) => [reasons[reason] ?? reason, String(count)]);
  return [
    element("h3", "govuk-heading-m", sections.find((section) => section.key === key)?.label ?? key),
    table(words.sums, sums),
    ...(items.length === 0 ? [] : [table(words.items, items)]),
    ...(declined.length === 0 ? [] : [table(words.declined, declined)]),
  ];
}

/**
 * @param {string} caption
 * @param {string[][]} rows
 */
function table(caption, rows) {
  const lines = rows.map(([name, value]) => {
    const head = element("th", "govuk-table__header", name);
    head.scope = "row";
    return element("tr", "govuk-table__row", head, element("td", "govuk-table__cell govuk-table__cell--numeric", value));
  });
  return element(
    "table",
    "govuk-table",
    element("caption", "govuk-table__caption govuk-table__caption--s", caption),
    element("tbody", "govuk-table__body", ...lines),
  );
}
