/**
 * Who stands at the till, and what is known of them: kept in this page's memory alone.
 *
 * @typedef {{name: string, form: string | null, allergens: string[], has_photo: boolean, as_of: string, offline: boolean}} Holder
 * @typedef {"reading" | "looking-up" | "known" | "unknown" | "refused" | "lift"} Stage
 */

import { NoAnswer, Refused, get } from "../web/api.mjs";

/** The tap's card is gone, which is told by an event. */
const GONE = new Set(["tap_over", "tap_unknown"]);

export class Customer {
  /** @param {string} tap */
  constructor(tap) {
    this.tap = tap;
    /** @type {Stage} */
    this.stage = "reading";
    /** @type {Holder | null} */
    this.holder = null;
    /** @type {string | null} */
    this.reason = null;
    /** whether the allergens were read, or asked for */
    this.isChecked = false;
    /** whether the card was taken off */
    this.isGone = false;
  }

  /** @returns {string[]} */
  get allergens() {
    return this.holder?.allergens ?? [];
  }

  /** @returns {boolean} whether somebody must say that they know the allergens */
  get needsCheck() {
    return !this.isChecked && (this.stage === "unknown" || this.allergens.length > 0);
  }

  /** @returns {string | null} the key of the words that say why nothing can be sold to them yet */
  get obstacle() {
    switch (this.stage) {
      case "lift":
        return "need_lift";
      case "refused":
        return "need_usable";
      case "reading":
      case "looking-up":
        return "need_read";
      default:
        return this.needsCheck ? "need_allergens" : null;
    }
  }

  /** @returns {string} the same for the same person, as far as can be told */
  get identity() {
    return this.holder === null
      ? this.tap
      : JSON.stringify([this.holder.name, this.holder.form, this.holder.allergens]);
  }

  /** Ask who it is. */
  async lookUp() {
    this.stage = "looking-up";
    try {
      this.holder = await get(`/taps/${encodeURIComponent(this.tap)}/holder`);
      this.stage = "known";
    } catch (error) {
      if (error instanceof Refused) {
        this.reason = error.document.reason ?? error.code;
        this.stage = error.code === "card_unusable" || GONE.has(error.code) ? "refused" : "unknown";
        this.reason = error.code === "service_unreachable" ? error.code : this.reason;
      } else if (error instanceof NoAnswer) {
        this.reason = "service_unreachable";
        this.stage = "unknown";
      } else {
        throw error;
      }
    }
  }
}
