/** Time: a screen that nobody touches goes back to the start, after it has asked whether more is needed. */

import { byId, onPress, say } from "../web/dom.mjs";
import { data } from "../web/data.mjs";

const QUIET_MS = 60_000;
const ASKED_MS = 30_000;

const box = byId("time", HTMLElement);
const words = data.page.words;

/** @type {number | undefined} */
let timer;
let isRunning = false;
/** @type {() => void} */
let over = () => {};

/**
 * Ask after a minute in which nothing was done, and call `action` when half a minute more has gone by.
 *
 * @param {() => void} action
 */
export function whenLeft(action) {
  over = action;
  for (const kind of ["pointerdown", "keydown", "input"]) {
    document.addEventListener(kind, again);
  }
  onPress(byId("more", HTMLButtonElement), again);
}

/**
 * Whether somebody stands here.
 *
 * @param {boolean} isSomebody
 */
export function watch(isSomebody) {
  isRunning = isSomebody;
  again();
}

function again() {
  window.clearTimeout(timer);
  box.hidden = true;
  if (isRunning) {
    timer = window.setTimeout(ask, QUIET_MS);
  }
}

function ask() {
  say(byId("time-text", HTMLElement), words.time_left);
  box.hidden = false;
  byId("more", HTMLButtonElement).focus();
  timer = window.setTimeout(over, ASKED_MS);
}
