/**
 * A payment, asked of this page's server until it is known how it ended.
 *
 * This page makes the key of each payment; the server keeps it. Asked again under the same key it is the same payment,
 * by a page that was loaded anew and by a server that was started anew.
 *
 * @typedef {{decision: string, reason: string, message: string, offline: boolean, amount_minor: number | null,
 *   currency: string | null, receipt: {label: string, amount_minor: number}[]}} Outcome
 * @typedef {{tap: string | null, state: "paying" | "open" | "done" | null, outcome: Outcome | null}} Sale
 */

import { NoAnswer, Refused, get, post } from "./api.mjs";

const AGAIN_MS = 1000;
/** The agent itself answers that it does not know yet after 90 s. */
const LIMIT_MS = 130_000;

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => window.setTimeout(resolve, ms));

/**
 * Have a tap pay.
 *
 * @param {string} tap
 * @param {object} order what is paid for
 * @param {() => void} onOpen called while no answer has come
 * @returns {Promise<Outcome>}
 */
export async function pay(tap, order, onOpen) {
  const path = `/taps/${encodeURIComponent(tap)}/sale`;
  const key = crypto.randomUUID();
  for (let again = false; ; again = true) {
    try {
      const sale = await settled(await post(path, { ...order, key, again }, LIMIT_MS), onOpen);
      if (sale.tap === tap && sale.outcome !== null) {
        return sale.outcome;
      }
      // The server was started anew meanwhile and knows of nothing; the key tells it.
    } catch (error) {
      if (error instanceof Refused && error.code === "sale_undecided") {
        // Of another page
        await post("/sale/again", {}, LIMIT_MS).catch(() => null);
      } else if (error instanceof Refused && error.code !== "agent_away") {
        return refused(error);
      } else if (!(error instanceof Refused || error instanceof NoAnswer)) {
        throw error;
      }
    }
    onOpen();
    await pause(AGAIN_MS);
  }
}

/**
 * How the sale ended that was begun last, by an earlier load of this page perhaps.
 *
 * @param {(tap: string) => void} onUndecided called with its tap if that is not known yet
 * @returns {Promise<Sale>}
 */
export async function resume(onUndecided) {
  const sale = await patiently(() => get("/sale"));
  if (sale.tap !== null && sale.state !== "done") {
    onUndecided(sale.tap);
  }
  return settled(sale, () => {});
}

/**
 * Whether this tap has a sale already; it is not begun by asking.
 *
 * @param {string} tap
 * @returns {Promise<boolean>}
 */
export async function isKnown(tap) {
  return (await patiently(() => get(`/taps/${encodeURIComponent(tap)}/sale`))).tap !== null;
}

/**
 * Ask until it is decided.
 *
 * @param {Sale} sale
 * @param {() => void} onOpen
 * @returns {Promise<Sale>}
 */
async function settled(sale, onOpen) {
  let now = sale;
  while (now.state === "paying" || now.state === "open") {
    const isOpen = now.state === "open";
    if (isOpen) {
      onOpen();
    }
    await pause(AGAIN_MS);
    now = await patiently(() => (isOpen ? post("/sale/again", {}, LIMIT_MS) : get("/sale")));
  }
  return now;
}

/**
 * @param {() => Promise<Sale>} request
 * @returns {Promise<Sale>}
 */
async function patiently(request) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Refused)) {
        throw error;
      }
    }
    await pause(AGAIN_MS);
  }
}

/**
 * @param {Refused} error
 * @returns {Outcome}
 */
function refused(error) {
  const reason = error.document.reason ?? error.code;
  return { decision: "not_paid", reason, message: "", offline: false, amount_minor: null, currency: null, receipt: [] };
}
