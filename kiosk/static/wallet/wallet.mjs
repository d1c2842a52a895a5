/**
 * The card wallet: each button's wish is sent to the server, and what is where is shown as the server says it.
 */

import { NoAnswer, Refused, get, post } from "../web/api.mjs";
import { data } from "../web/data.mjs";

const words = data.page.words;
const stage = element("stage");
const said = element("said");
const error = element("error");
const dialog = /** @type {HTMLDialogElement} */ (element("lost"));

/** The version of what is shown; an answer that is older than that is not shown any more. */
let shown = data.page.version;
/** @type {HTMLElement | undefined} the button that asked whether to go on */
let asking;
/** Ids of buttons whose wish is being done: they do nothing until it is. */
const busy = new Set();

stage.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (button === null || button.getAttribute("aria-disabled") === "true") {
    return;
  }
  if (button.dataset.ask) {
    asking = button;
    element("lost-title").textContent = button.dataset.ask;
    dialog.showModal();
  } else {
    act(button);
  }
});

element("lost-yes").addEventListener("click", () => {
  dialog.close();
  if (asking) {
    act(asking);
  }
});
element("lost-no").addEventListener("click", () => dialog.close());

const events = new EventSource("/events");
events.addEventListener("stage", async (event) => {
  if (JSON.parse(event.data).version > shown) {
    try {
      show(await get("/stage"));
    } catch {
      // The stream tells of the next change, or that the demonstration is gone.
    }
  }
});
events.addEventListener("open", () => (error.hidden = true));
events.addEventListener("error", () => fail(words.gone));

/** @param {HTMLElement} button */
async function act(button) {
  const { act: path = "", card, reader, said: sentence = "", then = "" } = button.dataset;
  const wish = { ...(card && { card: Number(card) }), ...(reader && { reader: Number(reader) }) };
  error.hidden = true;
  busy.add(button.id);
  mark();
  try {
    const answer = await post(path, wish);
    busy.delete(button.id);
    show(answer, [button.id, then]);
    said.textContent = sentence;
  } catch (problem) {
    busy.delete(button.id);
    mark();
    fail(problem instanceof Refused ? problem.document.detail : words.no_answer);
    if (!(problem instanceof Refused || problem instanceof NoAnswer)) {
      throw problem;
    }
  }
}

/**
 * @param {{version: number, html: string}} answer
 * @param {string[]} [next] ids to put the focus on, where it gets lost: the first that is there
 */
function show(answer, next = []) {
  if (answer.version >= shown) {
    const focused = document.activeElement;
    const had = focused && stage.contains(focused) ? focused.id : "";
    shown = answer.version;
    // Written by our own server's template, which escapes what it shows.
    stage.innerHTML = answer.html;
    mark();
    if (had) {
      focus([had]);
    }
  }
  if (document.activeElement === document.body) {
    focus(next);
  }
}

/** @param {string[]} ids */
function focus(ids) {
  ids
    .map((id) => document.getElementById(id))
    .find((found) => found !== null)
    ?.focus();
}

/** Shows which buttons are at work. They keep the focus, which a disabled one would lose. */
function mark() {
  for (const button of stage.querySelectorAll("button")) {
    if (busy.has(button.id)) {
      button.setAttribute("aria-disabled", "true");
      button.dataset.busy = "";
    } else if ("busy" in button.dataset) {
      button.removeAttribute("aria-disabled");
      delete button.dataset.busy;
    }
  }
}

/** @param {string} sentence */
function fail(sentence) {
  element("error-text").textContent = sentence;
  error.hidden = false;
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
