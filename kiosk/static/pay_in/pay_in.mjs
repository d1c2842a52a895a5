/** Paying in at a kiosk: tap, choose, confirm, pay on the provider's page, come back to how it went. */

import { get, NoAnswer, post, Refused } from "../web/api.mjs";
import { badgeEvents, tell } from "../web/badge.mjs";
import { data, fill, money } from "../web/data.mjs";
import { byId, enable, onPress, say, show } from "../web/dom.mjs";
import { listen } from "../web/events.mjs";
import { present, readerEvents } from "../web/reader.mjs";
import { typed } from "./amount.mjs";
import { askWhose } from "./lost.mjs";
import { watch, whenLeft } from "./waiting.mjs";

/**
 * @typedef {{state: string, finished: boolean, amount_minor: number, currency: string, available_minor: number | null,
 *   owed_minor: number | null}} Payment
 */

const AGAIN_MS = 2000;
/** States in which nobody has paid, and somebody may still. */
const UNPAID = ["wanted", "created", "started"];

const words = data.page.words;
const field = byId("amount", HTMLInputElement);
const views = ["idle", "choose", "confirm", "result", "lost", "told"].map((id) => byId(id, HTMLElement));
const goButton = byId("go", HTMLButtonElement);

let view = "";
/** What is to be paid in. */
let amountMinor = 0;
/** Whether the answer to a payment is waited for: until it came, nothing else is begun. */
let isAsking = false;
/** @type {number | undefined} */
let polling;

/** @param {string} id */
function open(id) {
  const isNew = view !== id;
  view = id;
  for (const each of views) {
    each.hidden = each.id !== id;
  }
  watch(id !== "idle");
  if (isNew) {
    byId(`${id}-title`, HTMLElement).focus();
  }
}

/** @param {string} text */
function idle(text) {
  open("idle");
  say(byId("idle-text", HTMLElement), text);
}

/** @param {string} reason */
function why(reason) {
  return words.reasons[reason] ?? fill(words.unknown_reason, { reason });
}

function choose() {
  field.value = "";
  refuse(null);
  open("choose");
}

/** @param {string | null} text */
function refuse(text) {
  show(byId("amount-error", HTMLElement), text);
  byId("other-group", HTMLElement).classList.toggle("govuk-form-group--error", text !== null);
  field.setAttribute("aria-invalid", String(text !== null));
}

/** @param {number} minor */
function confirm(minor) {
  amountMinor = minor;
  const amount = money(minor, data.page.currency);
  say(byId("confirm-title", HTMLElement), fill(words.confirm, { amount }));
  say(goButton, fill(words.pay, { amount }));
  show(byId("problem", HTMLElement), null);
  enable(goButton, true);
  open("confirm");
}

/** Begin the payment, and leave for the provider's page. */
async function begin() {
  const card = present();
  if (card === null || isAsking) {
    return;
  }
  isAsking = true;
  enable(goButton, false);
  say(goButton, words.beginning);
  try {
    const { payment } = await post("/payment", { tap: card.tap, amount_minor: amountMinor });
    if (payment.next_url !== null) {
      window.location.assign(payment.next_url);
    } else {
      await look(); // it has ended already
    }
  } catch (error) {
    if (!(error instanceof Refused || error instanceof NoAnswer)) {
      throw error;
    }
    const reason = error instanceof Refused ? (error.document.reason ?? error.code) : "agent_away";
    confirm(amountMinor);
    show(byId("problem", HTMLElement), `${words.not_begun}. ${why(reason)}`);
  } finally {
    isAsking = false;
  }
}

/** How the payment is that goes on here; asked again until nothing more is expected. */
async function look() {
  window.clearTimeout(polling);
  let payment;
  try {
    ({ payment } = await get("/payment", 70_000));
  } catch (error) {
    if (!(error instanceof Refused || error instanceof NoAnswer)) {
      throw error;
    }
    result("unknown", null);
    polling = window.setTimeout(look, AGAIN_MS);
    return;
  }
  if (payment === null) {
    start();
    return;
  }
  result(payment.state, payment);
  if (!payment.finished) {
    polling = window.setTimeout(look, AGAIN_MS);
  }
}

/**
 * @param {string} state
 * @param {Payment | null} payment
 */
function result(state, payment) {
  const said = words.states[state] ?? words.states.unknown;
  const amount = payment === null ? "" : money(payment.amount_minor, payment.currency);
  byId("result", HTMLElement).dataset.state = state;
  say(byId("result-title", HTMLElement), fill(said.title, { amount }));
  say(byId("result-text", HTMLElement), fill(said.text, { amount }));
  say(byId("result-balance", HTMLElement), sum(words.balance, payment?.available_minor, payment));
  const owed = sum(words.owed, payment?.owed_minor || null, payment);
  show(byId("result-owed", HTMLElement), owed || null);
  const isUnpaid = UNPAID.includes(state);
  byId("resume", HTMLElement).hidden = !isUnpaid;
  byId("give-up", HTMLElement).hidden = !isUnpaid;
  if (view !== "result") {
    open("result");
  }
}

/**
 * @param {string} text
 * @param {number | null | undefined} minor
 * @param {Payment | null} payment
 */
function sum(text, minor, payment) {
  return payment === null || minor === null || minor === undefined
    ? ""
    : fill(text, { amount: money(minor, payment.currency) });
}

/** Back to the provider's page: the same payment, asked for again. */
async function resume() {
  try {
    const { payment } = await post("/payment/again", {});
    if (payment?.next_url) {
      window.clearTimeout(polling);
      window.location.assign(payment.next_url);
      return;
    }
  } catch (error) {
    if (!(error instanceof Refused || error instanceof NoAnswer)) {
      throw error;
    }
  }
  await look();
}

async function giveUp() {
  window.clearTimeout(polling);
  await post("/payment/cancellation", {}).catch(() => null);
  await look();
}

/** Leave nothing of this person: neither here nor in the browser's memory. What is not paid is given up. */
async function finish() {
  window.clearTimeout(polling);
  if (UNPAID.includes(byId("result", HTMLElement).dataset.state ?? "")) {
    await post("/payment/cancellation", {}).catch(() => null);
  }
  await post("/finish", {}).catch(() => null);
  window.location.replace("/");
}

/** Where nothing goes on: by what lies on the reader. */
function start() {
  const card = present();
  if (card === null) {
    idle("");
  } else if (card.phase === "refused") {
    idle(`${words.refused}. ${why(card.reason ?? "")}`);
  } else if (card.phase === "reading") {
    idle(words.reading);
  } else {
    choose();
  }
}

for (const button of document.querySelectorAll("[data-amount]")) {
  if (button instanceof HTMLButtonElement) {
    const minor = Number(button.dataset.amount);
    say(button, money(minor, data.page.currency));
    onPress(button, () => confirm(minor));
  }
}
byId("other", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const found = typed(field.value);
  if ("minor" in found) {
    confirm(found.minor);
  } else {
    refuse(found.problem);
    field.focus();
  }
});
onPress(goButton, () => void begin());
onPress(byId("back", HTMLButtonElement), choose);
onPress(byId("finish", HTMLButtonElement), () => void finish());
onPress(byId("resume", HTMLButtonElement), () => void resume());
onPress(byId("give-up", HTMLButtonElement), () => void giveUp());
whenLeft(() => void finish());

askWhose(open, () => !isAsking);

/** Whether what lies on the reader decides what is shown: not while a payment does, or somebody tells a loss. */
const isFree = () => !["result", "lost", "told"].includes(view) && !isAsking;

idle("");
void look();
listen({
  ...badgeEvents,
  ...readerEvents({
    arrived: (card) => {
      if (isFree()) {
        start();
      } else if (card.isNews && view === "result") {
        void finish(); // somebody else, or the same person anew
      }
    },
    changed: () => {
      if (isFree()) {
        start();
      }
    },
    left: () => {
      if (view === "result") {
        void finish(); // the balance goes with the card
      } else if (isFree() && view !== "idle") {
        idle(words.gone);
      }
    },
    status: (status) => tell({ online: status.service.online, waiting: status.outbox.waiting }),
  }),
});
