/**
 * What is offered now: fetched, and fetched again before it ends and when the service is back.
 *
 * @typedef {{key: string, label: string, category: string, amount_minor: number, contains: string[], may_contain: string[]}} Item
 * @typedef {{key: string, label: string, items: Item[]}} Section
 * @typedef {{currency: string, tariff_version: string, as_of: string, offline: boolean, may_serve_offline: boolean,
 *   until: string, sections: Section[]}} Catalogue
 */

import { NoAnswer, Refused, get } from "../web/api.mjs";
import { data, fill, time } from "../web/data.mjs";

const words = data.page.words.keys;
const REFRESH_MS = 5 * 60_000;
const AGAIN_MS = 5_000;
/** No timer of a browser runs longer. */
const LONGEST_MS = 2 ** 31 - 1;

export class Menu {
  /** @param {() => void} onChange */
  constructor(onChange) {
    /** @type {Catalogue | null} */
    this.catalogue = null;
    /** @type {string | null} why there is none */
    this.reason = null;
    /** @type {string | null} */
    this.chosen = data.page.section;
    this.onChange = onChange;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** @returns {Section[]} those that the person at the till may choose from */
  get choices() {
    return data.page.section === null ? (this.catalogue?.sections ?? []) : [];
  }

  /** @returns {Section | null} */
  get section() {
    const sections = this.catalogue?.sections ?? [];
    const found = sections.find((section) => section.key === this.chosen);
    return found ?? (data.page.section === null ? (sections[0] ?? null) : null);
  }

  /** @returns {string} */
  get currency() {
    return this.catalogue?.currency ?? "GBP";
  }

  /** @returns {string} since when it holds, and whether it holds without the service */
  get asOf() {
    if (this.catalogue === null) {
      return "";
    }
    const text = fill(words.as_of, { time: time(this.catalogue.as_of) });
    return this.catalogue.offline && !this.catalogue.may_serve_offline ? `${text}. ${words.no_offline}` : text;
  }

  /**
   * @param {string} key
   * @returns {Item | undefined}
   */
  item(key) {
    return this.section?.items.find((item) => item.key === key);
  }

  /** @param {string} key of a section */
  choose(key) {
    this.chosen = key;
    this.onChange();
  }

  /** Fetch it now. */
  async refresh() {
    window.clearTimeout(this.timer);
    let wait = AGAIN_MS;
    try {
      this.catalogue = await get("/catalogue");
      this.reason = null;
      wait = Math.min(REFRESH_MS, this.#untilItEnds());
    } catch (error) {
      if (error instanceof Refused) {
        this.reason = error.document.reason ?? error.code;
        this.catalogue = null;
      } else if (!(error instanceof NoAnswer)) {
        throw error;
      }
    }
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.refresh(), wait);
    this.onChange();
  }

  #untilItEnds() {
    const left = Date.parse(this.catalogue?.until ?? "") - Date.now();
    return Math.min(Math.max(left, AGAIN_MS), LONGEST_MS);
  }
}
