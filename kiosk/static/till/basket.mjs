/**
 * What is on the tray: a value with its past, so that each step can be undone. Prices are the menu's.
 *
 * @typedef {{key: string, quantity: number}} Line
 */

export const MAX_LINES = 50;
export const MAX_QUANTITY = 20;

export class Basket {
  constructor() {
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Line[][]} */
    this.past = [];
    /**
     * What the service says that it costs this customer, such as with a deal; null: the sum of the menu's prices.
     *
     * @type {number | null}
     */
    this.quoted = null;
  }

  get isEmpty() {
    return this.lines.length === 0;
  }

  get canUndo() {
    return this.past.length > 0;
  }

  /**
   * One more of this.
   *
   * @param {string} key
   * @returns {boolean} whether there was room
   */
  add(key) {
    const line = this.lines.find((found) => found.key === key);
    if (line === undefined ? this.lines.length >= MAX_LINES : line.quantity >= MAX_QUANTITY) {
      return false;
    }
    this.#become(
      line === undefined
        ? [...this.lines, { key, quantity: 1 }]
        : this.lines.map((found) => (found === line ? { key, quantity: line.quantity + 1 } : found)),
    );
    return true;
  }

  /** Take everything out; can be undone. */
  clear() {
    this.#become([]);
  }

  /** Take the last step back. */
  undo() {
    this.lines = this.past.pop() ?? this.lines;
    this.quoted = null;
  }

  /** Begin anew for somebody else. */
  forget() {
    this.lines = [];
    this.past = [];
    this.quoted = null;
  }

  /**
   * Keep what this says is offered.
   *
   * @param {(key: string) => boolean} isOffered
   * @returns {boolean} whether something was taken out
   */
  keepOnly(isOffered) {
    if (this.lines.every((line) => isOffered(line.key))) {
      return false;
    }
    this.lines = this.lines.filter((line) => isOffered(line.key));
    // A step back could bring it in again.
    this.past = [];
    this.quoted = null;
    return true;
  }

  /** @param {Line[]} lines */
  #become(lines) {
    this.past.push(this.lines);
    this.lines = lines;
    this.quoted = null;
  }
}
