/**
 * The card on this face's reader, as the events tell: which tap, and how far its card has been read.
 *
 * @typedef {"reading" | "ready" | "refused"} Phase
 * @typedef {{tap: string, phase: Phase, reason: string | null, isNews: boolean}} Card `isNews`: it was seen coming
 * @typedef {object} Watcher
 * @property {(card: Card) => void} arrived a card came
 * @property {(card: Card) => void} changed it was read, or refused
 * @property {(card: Card) => void} left it went
 * @property {(status: any) => void} [status] everything was told anew, before what follows from it
 */

import { back, missing } from "./away.mjs";
import { data, fill } from "./data.mjs";

const name = data.page.reader;
const words = data.page.words.reader;

/** @type {Card | null} */
let card = null;

/** @returns {Card | null} what is on the reader */
export function present() {
  return card;
}

/**
 * The event handlers that keep `present` right and tell a watcher.
 *
 * @param {Watcher} watcher
 * @returns {import("./events.mjs").Handlers}
 */
export function readerEvents(watcher) {
  /** @param {(event: any) => void} handle */
  const ours = (handle) => (/** @type {any} */ event) => {
    if (event.reader === name) {
      handle(event);
    }
  };

  /** @param {string} tap @param {boolean} isNews */
  const arrive = (tap, isNews) => {
    if (card?.tap === tap) {
      return; // told twice
    }
    leave();
    card = { tap, phase: "reading", reason: null, isNews };
    watcher.arrived(card);
  };

  const leave = () => {
    if (card !== null) {
      const gone = card;
      card = null;
      watcher.left(gone);
    }
  };

  /** @param {string} tap @param {Phase} phase @param {string | null} reason @param {boolean} isNews */
  const become = (tap, phase, reason, isNews) => {
    arrive(tap, isNews);
    if (card !== null && card.phase !== phase) {
      card = { ...card, phase, reason };
      watcher.changed(card);
    }
  };

  return {
    status: (status) => {
      watcher.status?.(status);
      const found = status.readers.find((/** @type {any} */ reader) => reader.reader === name);
      if (found === undefined) {
        missing("reader", fill(words.unknown_text, { reader: name }));
      } else if (!found.connected) {
        missing("reader", words.lost_text);
      } else {
        back("reader");
      }
      if (found?.tap) {
        // How far it has been read is not told here; asking about the card tells.
        const isKnown = card?.tap === found.tap && card?.phase === "refused";
        become(found.tap, isKnown ? "refused" : "ready", isKnown ? (card?.reason ?? null) : null, false);
      } else {
        leave();
      }
    },
    "reader.found": ours(() => back("reader")),
    "reader.lost": ours(() => {
      missing("reader", words.lost_text);
      leave();
    }),
    "card.inserted": ours((event) => arrive(event.tap, true)),
    "card.ready": ours((event) => become(event.tap, "ready", null, true)),
    "card.refused": ours((event) => become(event.tap, "refused", event.reason, true)),
    "card.removed": ours((event) => {
      if (card?.tap === event.tap) {
        leave();
      }
    }),
  };
}
