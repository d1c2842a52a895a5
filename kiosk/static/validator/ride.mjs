/**
 * The ride of a tap, asked of this page's server until it is known how it ended. The server keeps the key: asked
 * again, it is the same payment.
 *
 * @typedef {{decision: string, reason: string, message: string, offline: boolean, amount_minor: number | null,
 *   currency: string | null, receipt: {label: string, amount_minor: number}[]}} Outcome
 * @typedef {{tap: string | null, state: "paying" | "open" | "done" | null, outcome: Outcome | null}} Ride
 */

import { NoAnswer, Refused, get, post } from "../web/api.mjs";

const AGAIN_MS = 1000;
const LIMIT_MS = 130_000;
/** Another ride is undecided, or nobody can be asked: this one is asked for again. */
const LATER = new Set(["sale_undecided", "agent_away"]);

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => window.setTimeout(resolve, ms));

/**
 * Have a tap pay.
 *
 * @param {string} tap
 * @param {() => void} onOpen called when no answer came
 * @returns {Promise<Outcome>}
 */
export async function board(tap, onOpen) {
  const path = `/taps/${encodeURIComponent(tap)}/ride`;
  for (;;) {
    try {
      const ride = await post(path, {}, LIMIT_MS);
      if (ride.state === "done") {
        return ride.outcome;
      }
    } catch (error) {
      if (error instanceof Refused && !LATER.has(error.code)) {
        const reason = error.document.reason ?? error.code;
        return { decision: "not_paid", reason, message: "", offline: false, amount_minor: null, currency: null, receipt: [] };
      }
      if (!(error instanceof Refused || error instanceof NoAnswer)) {
        throw error;
      }
      if (error instanceof Refused && error.code === "sale_undecided") {
        // A ride whose page was loaded anew meanwhile
        await post("/ride/again", {}, LIMIT_MS).catch(() => null);
      }
    }
    onOpen();
    await pause(AGAIN_MS);
  }
}

/**
 * Whether this tap has a ride already; it is not begun by asking.
 *
 * @param {string} tap
 * @returns {Promise<boolean>}
 */
export async function hasRide(tap) {
  try {
    return (await get(`/taps/${encodeURIComponent(tap)}/ride`)).tap !== null;
  } catch {
    return false;
  }
}
