/** The validator: each card that comes pays by itself, one after the other, and the panel says how it went. */

import { get, NoAnswer, Refused } from "../web/api.mjs";
import { badgeEvents, tell } from "../web/badge.mjs";
import { data, fill, money } from "../web/data.mjs";
import { byId, say } from "../web/dom.mjs";
import { listen } from "../web/events.mjs";
import { isKnown, pay } from "../web/payment.mjs";
import { present, readerEvents } from "../web/reader.mjs";
import { showBusy, showIdle, showOutcome, showRefused, why } from "./panel.mjs";

/** @typedef {import("../web/reader.mjs").Card} Card */

/** How an outcome stays, at least: when the card is gone, and when another is there already. */
const SHOWN_MS = 4000;
const SHOWN_TO_NEXT_MS = 1500;
const PRICE_MS = 4 * 60_000;
const PRICE_AGAIN_MS = 10_000;

const words = data.page.words;

/** Taps that wait for their turn, the one that is paying first. @type {string[]} */
const queue = [];
let isPaying = false;
/** Until when the outcome stays, in milliseconds of `performance.now()`. */
let shownUntil = 0;
/** @type {number | undefined} */
let clearing;
/** Whether a card lay here when the agent went away: nobody knows whether it is the same that is found then. */
let mustLift = false;
/** The tap that is only to be taken off. @type {string | null} */
let lifted = null;

/** @param {Card} card */
function arrived(card) {
  if (mustLift || !card.isNews) {
    void lift(card);
  } else if (!isPaying && performance.now() >= shownUntil - SHOWN_MS + SHOWN_TO_NEXT_MS) {
    window.clearTimeout(clearing);
    showBusy("reading");
  }
}

/** @param {Card} card */
function changed(card) {
  if (lifted === card.tap) {
    return;
  }
  if (card.phase === "ready") {
    queue.push(card.tap);
    void work();
  } else if (card.phase === "refused") {
    stay(() => showRefused(card.reason ?? ""));
  }
}

/** @param {Card} card */
function left(card) {
  if (lifted === card.tap) {
    lifted = null;
    mustLift = false;
  }
  clear();
}

/**
 * A card that may have paid before this page could see it is not charged: it is to be tapped again.
 *
 * @param {Card} card
 */
async function lift(card) {
  lifted = card.tap;
  if (await isKnown(card.tap)) {
    lifted = null;
    mustLift = false;
    queue.push(card.tap); // it is told how its ride ended, not charged again
    await work();
  } else if (present()?.tap === card.tap) {
    showBusy("lift");
  }
}

/** Have the taps that wait pay, one after the other. */
async function work() {
  if (isPaying) {
    return;
  }
  isPaying = true;
  for (let tap = queue.shift(); tap !== undefined; tap = queue.shift()) {
    const left = shownUntil - SHOWN_MS + SHOWN_TO_NEXT_MS - performance.now();
    if (left > 0) {
      await new Promise((resolve) => window.setTimeout(resolve, left));
    }
    window.clearTimeout(clearing);
    showBusy("reading");
    const outcome = await pay(tap, {}, () => showBusy("open"));
    stay(() => showOutcome(outcome));
  }
  isPaying = false;
  clear();
}

/** @param {() => void} show */
function stay(show) {
  window.clearTimeout(clearing);
  shownUntil = performance.now() + SHOWN_MS;
  show();
}

/** Go back to idle when what is shown has been shown for long enough, and no card is there. */
function clear() {
  window.clearTimeout(clearing);
  clearing = window.setTimeout(
    () => {
      if (present() === null && !isPaying) {
        showIdle();
      }
    },
    Math.max(0, shownUntil - performance.now()),
  );
}

/** What the trip costs, and its names; asked again and again, so that the agent knows the price when offline. */
async function price() {
  let wait = PRICE_MS;
  const where = byId("trip", HTMLElement);
  try {
    const trip = await get("/trip");
    const labels = trip.lines.map((/** @type {{label: string}} */ line) => line.label).join(", ");
    say(where, `${labels} ${money(trip.amount_minor, trip.currency)}`.trim());
  } catch (error) {
    wait = PRICE_AGAIN_MS;
    if (error instanceof Refused) {
      say(where, fill(words.no_price, { reason: why(error.document.reason ?? error.code, "") }));
    } else if (!(error instanceof NoAnswer)) {
      throw error;
    }
  }
  window.clearTimeout(pricing);
  pricing = window.setTimeout(price, wait);
}

/** @type {number | undefined} */
let pricing;

showIdle();
listen({
  ...badgeEvents,
  ...readerEvents({
    arrived,
    changed,
    left,
    status: (status) => tell({ online: status.service.online, waiting: status.outbox.waiting }),
  }),
  "service.online": () => {
    tell({ online: true });
    void price();
  },
  "agent.lost": () => {
    mustLift ||= present() !== null;
  },
  "agent.found": () => void price(),
});
void price();
