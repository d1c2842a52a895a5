/** Whether the card service answers, and how many sales wait to be told to it. */

import { data, plural } from "./data.mjs";
import { byId, say } from "./dom.mjs";

const badge = byId("badge", HTMLElement);
const words = data.page.words.badge;

/** @type {boolean | null} */
let isOnline = null;
let waiting = 0;

/**
 * What is known anew; the rest stays.
 *
 * @param {{online?: boolean | null, waiting?: number}} news
 */
export function tell(news) {
  isOnline = news.online === undefined ? isOnline : news.online;
  waiting = news.waiting ?? waiting;
  badge.classList.toggle("face-badge--online", isOnline === true);
  badge.classList.toggle("face-badge--offline", isOnline === false);
  say(badge, text());
}

/** @returns {boolean} whether the service is known not to answer */
export function isOffline() {
  return isOnline === false;
}

/** The handlers of the events that the badge is made from. */
export const badgeEvents = {
  "service.online": () => tell({ online: true }),
  "service.offline": () => tell({ online: false }),
  /** @param {{waiting: number}} queue */
  "outbox.queue": (queue) => tell({ waiting: queue.waiting }),
};

function text() {
  if (isOnline === null) {
    return words.connecting;
  }
  if (waiting > 0) {
    return plural(isOnline ? words.online_waiting : words.offline_waiting, waiting);
  }
  return isOnline ? words.online : words.offline;
}
