/**
 * A sale, asked of this page's server until it is known how it ended. The server keeps the key: asked again, also by
 * a page that was loaded anew, it is the same payment.
 *
 * @typedef {{tap: string | null, state: "paying" | "open" | "done" | null, outcome: import("./outcome.mjs").Outcome | null}} Sale
 */

import { NoAnswer, Refused, get, post } from "../web/api.mjs";

const AGAIN_MS = 1000;
const LIMIT_MS = 130_000;

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => window.setTimeout(resolve, ms));

/**
 * Charge a basket to a tap.
 *
 * @param {string} tap
 * @param {object} basket
 * @param {() => void} onOpen called when no answer came
 * @returns {Promise<import("./outcome.mjs").Outcome>}
 */
export async function sell(tap, basket, onOpen) {
  const path = `/taps/${encodeURIComponent(tap)}/sale`;
  for (;;) {
    try {
      const sale = await settled(await post(path, basket, LIMIT_MS), onOpen);
      if (sale.outcome !== null) {
        return sale.outcome;
      }
      // The server was started anew and has forgotten; the agent has not: it lets a tap pay once.
    } catch (error) {
      if (error instanceof Refused && error.code !== "sale_undecided" && error.code !== "agent_away") {
        return refused(error);
      }
      if (!(error instanceof Refused || error instanceof NoAnswer)) {
        throw error;
      }
      onOpen();
    }
    await pause(AGAIN_MS);
  }
}

/**
 * How a sale ended that another load of this page began; null if there was none, or none that is undecided.
 *
 * @param {(tap: string) => void} onFound called with the tap of an undecided one
 * @returns {Promise<Sale>}
 */
export async function resume(onFound) {
  const sale = await patiently(() => get("/sale"));
  if (sale.tap !== null && sale.state !== "done") {
    onFound(sale.tap);
  }
  return settled(sale, () => {});
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
    if (now.state === "open") {
      onOpen();
    }
    await pause(AGAIN_MS);
    const isOpen = now.state === "open";
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
 * @returns {import("./outcome.mjs").Outcome}
 */
function refused(error) {
  const reason = error.document.reason ?? error.code;
  return { decision: "not_paid", reason, message: "", offline: false, amount_minor: null, currency: null, receipt: [] };
}
