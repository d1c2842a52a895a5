/** The till: what happens at the reader and on the keys, and what the panels show of it. */

import { badgeEvents, tell } from "../web/badge.mjs";
import { data, money } from "../web/data.mjs";
import { byId, onPress, say } from "../web/dom.mjs";
import { listen } from "../web/events.mjs";
import { pay, resume } from "../web/payment.mjs";
import { present, readerEvents } from "../web/reader.mjs";
import { clash } from "./allergens.mjs";
import { askAnyway, offerAnyway, renderAnyway } from "./anyway.mjs";
import { Basket } from "./basket.mjs";
import { Customer } from "./customer.mjs";
import { offerGivingBack, renderGivingBack } from "./give_back.mjs";
import { renderKeys } from "./keys.mjs";
import { announce, chargeButton, clearButton, renderBasket, total, undoButton } from "./lines.mjs";
import { Menu } from "./menu.mjs";
import { isGiven, renderLast, renderOutcome } from "./outcome.mjs";
import { lookUpButton, readButton, renderPupil } from "./pupil.mjs";
import { askAboutAnother, askAboutClash, askWhoseBasketIs, dismiss } from "./question.mjs";
import { offerTotals } from "./totals.mjs";

/** @typedef {import("../web/reader.mjs").Card} Card */
/** @typedef {import("./menu.mjs").Item} Item */
/** @typedef {import("../web/payment.mjs").Outcome} Outcome */

/** A pupil whose card is gone stands no longer on the screen. */
const FORGET_MS = 120_000;

const words = data.page.words;
const nextButton = byId("next", HTMLButtonElement);
const menu = new Menu(menuChanged);
const basket = new Basket();

/** @type {Customer | null} */
let customer = null;
/** For whom the basket was begun: nobody yet, or the identity of a customer. @type {string | null} */
let basketFor = null;
/** What was confirmed in spite of an allergen, for this customer. @type {Set<string>} */
let confirmed = new Set();
/** Whether the service has said that this customer had a main meal already. */
let hadMeal = false;
/** @type {"paying" | "open" | null} */
let sale = null;
/** @type {Outcome | null} */
let outcome = null;
/** @type {number | undefined} */
let forgetting;
/** Whether nothing has been told yet. */
let isFirst = true;

/** @param {Card} card */
function arrived(card) {
  window.clearTimeout(forgetting);
  if (sale === null) {
    dismiss();
    endSale();
    begin(card);
  }
  render();
}

/** @param {Card} card */
function changed(card) {
  if (customer?.tap === card.tap && customer.stage === "reading") {
    take(customer, card);
  }
  render();
}

/** @param {Card} card */
function left(card) {
  if (customer?.tap === card.tap) {
    customer.isGone = true;
    if (customer.stage === "reading" || customer.stage === "looking-up" || customer.stage === "lift") {
      customer = null;
    }
    forgetting = window.setTimeout(forget, FORGET_MS);
  }
  render();
}

/** @param {any} status */
function told(status) {
  if (isFirst) {
    isFirst = false;
    // After this event, which tells what is on the reader
    window.setTimeout(() => void goOn());
  }
  tell({ online: status.service.online, waiting: status.outbox.waiting });
}

/** @param {Card} card */
function begin(card) {
  customer = new Customer(card.tap);
  confirmed = new Set();
  hadMeal = false;
  basket.quoted = null; // another pays another price
  take(customer, card);
}

/**
 * @param {Customer} found
 * @param {Card} card
 */
function take(found, card) {
  if (card.phase === "refused") {
    found.stage = "refused";
    found.reason = card.reason;
  } else if (card.phase === "ready") {
    void lookUp(found);
  }
}

/** @param {Customer} found */
async function lookUp(found) {
  await found.lookUp();
  if (customer !== found) {
    return; // another has come meanwhile
  }
  render();
  if (found.stage !== "refused" && !basket.isEmpty) {
    await askWhoseBasket(found);
  }
}

/** @param {Customer} found */
async function askWhoseBasket(found) {
  if (basketFor !== null && basketFor !== found.identity) {
    const keeps = await askWhoseBasketIs(found.holder?.name);
    if (customer !== found) {
      return;
    }
    if (!keeps) {
      basket.forget();
    }
  }
  basketFor = found.identity;
  render();
}

function forget() {
  if (customer?.isGone && sale === null) {
    endSale();
    customer = null;
    render();
  }
}

// ---- the keys

/** @param {Item} item */
async function press(item) {
  if (sale !== null || (outcome !== null && isGiven(outcome))) {
    announce(sale === null ? "need_next" : "need_answer", {});
    return;
  }
  const dangers = customer === null ? [] : clash(item, customer.allergens);
  if (dangers.length > 0 && !confirmed.has(item.key)) {
    if (!(await askAbout([item], words.question.add, words.question.do_not_add))) {
      return;
    }
  }
  if (!basket.add(item.key)) {
    announce("full", {});
    return;
  }
  outcome = null;
  if (customer?.stage === "known" || customer?.stage === "unknown") {
    basketFor ??= customer.identity;
  }
  render();
  announce("added", { label: item.label, amount: amount() });
}

/**
 * Ask about items that are dangerous to this pupil.
 *
 * @param {Item[]} items
 * @param {string} yes
 * @param {string} no
 * @returns {Promise<boolean>} whether they are wanted all the same, by the same pupil
 */
async function askAbout(items, yes, no) {
  const asked = customer;
  const isWanted = await askAboutClash(asked?.holder?.name ?? "", asked?.allergens ?? [], items, { yes, no });
  if (!isWanted || customer !== asked) {
    return false;
  }
  items.forEach((item) => confirmed.add(item.key));
  return true;
}

function menuChanged() {
  if (menu.section !== null && sale === null && basket.keepOnly((key) => menu.item(key) !== undefined)) {
    announce("dropped", { amount: amount() });
  }
  render();
}

// ---- the sale

async function charge() {
  const paying = customer;
  const section = menu.section;
  if (paying === null || section === null || obstacle() !== null) {
    return;
  }
  const dangerous = basket.lines
    .map((line) => menu.item(line.key))
    .filter((item) => item !== undefined)
    .filter((item) => clash(item, paying.allergens).length > 0 && !confirmed.has(item.key));
  if (dangerous.length > 0 && !(await askAbout(dangerous, words.question.serve, words.question.go_back))) {
    return;
  }
  const isAnother = hadMeal && basket.lines.some((line) => menu.item(line.key)?.category === "main");
  if (isAnother && !(await askAboutAnother())) {
    return;
  }
  const isRead = basket.lines.some((line) => confirmed.has(line.key));
  await sell(paying, section.key, [...(isRead ? ["allergens"] : []), ...(isAnother ? ["second-meal"] : [])], false);
}

/** What was declined, at a supervisor's word. */
async function serveAnyway() {
  const paying = customer;
  const section = menu.section;
  if (paying !== null && section !== null && outcome !== null && (await askAnyway(outcome))) {
    await sell(paying, section.key, [], true);
  }
}

/**
 * @param {Customer} paying
 * @param {string} section
 * @param {string[]} read what was read and asked
 * @param {boolean} anyway
 */
async function sell(paying, section, read, anyway) {
  if (obstacle() !== null || customer !== paying) {
    return; // the card has gone while a question stood
  }
  begun("paying");
  const lines = basket.lines.map((line) => ({ item: line.key, quantity: line.quantity }));
  const order = { section, items: lines, amount_minor: total(basket, menu), confirmed: read, anyway };
  ended(await pay(paying.tap, order, () => begun("open")));
}

/** @param {"paying" | "open"} state */
function begun(state) {
  sale = state;
  outcome = null;
  renderLast(null);
  render();
}

/** @param {Outcome} result */
function ended(result) {
  const hadFocus = document.activeElement === chargeButton || document.activeElement === document.body;
  sale = null;
  outcome = result;
  const card = present();
  if (isGiven(result)) {
    basket.forget();
    basketFor = null;
  } else if (card !== null && card.tap !== customer?.tap) {
    begin(card); // the same pupil, who had taken the card away too soon, or another: who it is will tell
  }
  hadMeal ||= result.reason === "second_meal";
  if (result.reason === "price_changed") {
    basket.quoted = result.amount_minor;
    void menu.refresh();
  }
  if (customer?.isGone) {
    forgetting = window.setTimeout(forget, FORGET_MS);
  }
  render();
  if (isGiven(result) && hadFocus) {
    nextButton.focus();
  }
}

/** The sale is over; how it ended stays as one line. */
function endSale() {
  if (outcome !== null) {
    renderLast(outcome);
    outcome = null;
  }
}

function next() {
  const card = present();
  endSale();
  basket.forget();
  basketFor = null;
  if (card !== null && card.tap !== customer?.tap) {
    begin(card);
  } else if (card !== null) {
    customer = new Customer(card.tap);
    customer.stage = "lift";
  } else {
    customer = null;
  }
  render();
  byId("pupil", HTMLElement).focus();
}

/** @returns {string | null} the key of the words that say why nothing can be charged now */
function obstacle() {
  if (sale !== null) {
    return "need_answer";
  }
  if (outcome !== null && isGiven(outcome)) {
    return "need_next";
  }
  if (customer === null || customer.isGone) {
    return basket.isEmpty ? "need_items" : "need_card";
  }
  return customer.obstacle ?? (basket.isEmpty ? "need_items" : null);
}

function amount() {
  return money(total(basket, menu), menu.currency);
}

function render() {
  const card = present();
  const isSold = sale !== null || (outcome !== null && isGiven(outcome));
  const allergens = customer?.allergens ?? [];
  renderPupil(customer, isSold);
  renderKeys(menu, allergens, press);
  renderBasket(basket, menu, allergens, isSold, obstacle());
  renderOutcome(outcome, sale, outcome !== null && card !== null && card.tap !== customer?.tap);
  renderAnyway(outcome, obstacle());
  renderGivingBack(outcome);
  nextButton.hidden = sale !== null || (outcome === null && (customer === null || customer.stage === "lift"));
  say(byId("as-of", HTMLElement), menu.asOf);
}

onPress(readButton, () => {
  if (customer !== null) {
    customer.isChecked = true;
    render();
    byId("pupil", HTMLElement).focus();
  }
});
onPress(lookUpButton, () => {
  if (customer !== null) {
    void lookUp(customer);
    render();
  }
});
onPress(undoButton, () => {
  basket.undo();
  render();
  announce("undone", { amount: amount() });
});
onPress(clearButton, () => {
  basket.clear();
  render();
  announce("cleared", {});
});
onPress(chargeButton, () => void charge());
onPress(nextButton, next);
offerAnyway(() => void serveAnyway());
offerGivingBack(() => customer?.tap ?? null);
offerTotals(menu);

/** A sale that an earlier load of this page began is not forgotten. */
async function goOn() {
  const found = await resume((tap) => {
    if (customer?.tap !== tap) {
      customer = new Customer(tap);
      customer.isGone = true;
    }
    begun("open");
  });
  if (found.tap === null || found.outcome === null) {
    return;
  }
  if (sale !== null || (isGiven(found.outcome) && present()?.tap === found.tap)) {
    ended(found.outcome);
  } else {
    renderLast(found.outcome);
  }
}

render();
listen({
  ...badgeEvents,
  ...readerEvents({ arrived, changed, left, status: told }),
  "service.online": () => {
    tell({ online: true });
    void menu.refresh();
    if (customer?.stage === "unknown" && !customer.isGone && sale === null && outcome === null) {
      void lookUp(customer);
    }
  },
  "agent.found": () => void menu.refresh(),
});
void menu.refresh();
