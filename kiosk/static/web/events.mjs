/**
 * What happens, from this page's own server: one EventSource a page, which connects again by itself.
 *
 * The events are the reader agent's (docs/reader-agent.md), and `agent.lost` and `agent.found`.
 */

import { back, missing } from "./away.mjs";
import { data } from "./data.mjs";

/** @typedef {Record<string, (data: any) => void>} Handlers by kind of event */

/** A connection that is back so soon was not missed. */
const PATIENCE_MS = 1500;
/** After an answer that is no stream, a browser does not try again by itself. */
const AGAIN_MS = 2000;

/**
 * Call these handlers from now on.
 *
 * @param {Handlers} handlers
 */
export function listen(handlers) {
  /** @type {number | undefined} */
  let alarm;
  const source = new EventSource("/events");
  source.addEventListener("open", () => {
    window.clearTimeout(alarm);
    alarm = undefined;
    back("server");
  });
  source.addEventListener("error", () => {
    alarm ??= window.setTimeout(() => missing("server", data.words.lost_text), PATIENCE_MS);
    if (source.readyState === EventSource.CLOSED) {
      window.setTimeout(() => listen(handlers), AGAIN_MS);
    }
  });
  const own = { "agent.lost": () => missing("agent", data.words.away_text), "agent.found": () => back("agent") };
  for (const part of [own, handlers]) {
    for (const [kind, handle] of Object.entries(part)) {
      source.addEventListener(kind, (event) => handle(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
  }
}
