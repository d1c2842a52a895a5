/** The pupil's panel: who it is, and what they must not eat. */

import { data, fill, time } from "../web/data.mjs";
import { byId, element, say, show } from "../web/dom.mjs";
import { allergen, allergens } from "./allergens.mjs";

/** @typedef {import("./customer.mjs").Customer} Customer */

const words = data.page.words.pupil;
const reasons = data.page.words.reasons;
const panel = byId("pupil", HTMLElement);
const idle = byId("idle", HTMLElement);
const known = byId("known", HTMLElement);
const photo = byId("photo", HTMLImageElement);
const noPhoto = byId("no-photo", HTMLElement);
const list = byId("allergen-list", HTMLUListElement);

export const readButton = byId("read", HTMLButtonElement);
export const lookUpButton = byId("look-up", HTMLButtonElement);

const READ = readButton.textContent ?? "";
say(lookUpButton, words.again);

/**
 * @param {Customer | null} customer
 * @param {boolean} isSold whether the sale is over, so that nothing is left to be done with the card
 */
export function renderPupil(customer, isSold) {
  const isNamed = customer?.stage === "known" || customer?.stage === "unknown" || customer?.stage === "refused";
  idle.hidden = isNamed;
  known.hidden = !isNamed;
  panel.setAttribute("aria-busy", String(customer?.stage === "reading" || customer?.stage === "looking-up"));
  say(byId("idle-text", HTMLElement), idleText(customer));
  say(byId("pupil-said", HTMLElement), isNamed ? said(customer) : "");
  renderPerson(isNamed ? customer : null);
  renderAllergens(isNamed ? customer : null);
  show(byId("pupil-text", HTMLElement), isNamed ? text(customer) : null);
  say(readButton, customer?.stage === "unknown" ? words.asked : READ);
  readButton.hidden = !isNamed || isSold || !customer.needsCheck;
  lookUpButton.hidden = customer?.stage !== "unknown" || customer.isGone || isSold;
  show(byId("pupil-note", HTMLElement), isNamed && customer.isGone && !isSold && customer.stage !== "refused" ? words.gone : null);
}

/** @param {Customer | null} customer */
function idleText(customer) {
  switch (customer?.stage) {
    case "reading":
    case "looking-up":
      return words.reading;
    case "lift":
      return words.lift;
    default:
      return words.tap;
  }
}

/** @param {Customer | null} customer */
function renderPerson(customer) {
  const holder = customer?.holder ?? null;
  say(byId("name", HTMLElement), customer === null ? "" : heading(customer));
  show(byId("form", HTMLElement), holder?.form ? fill(words.form, { form: holder.form }) : null);
  const address = customer !== null && holder?.has_photo ? `/taps/${encodeURIComponent(customer.tap)}/photo` : null;
  if (photo.getAttribute("src") !== address) {
    if (address === null) {
      photo.removeAttribute("src");
    } else {
      photo.src = address;
    }
    photo.alt = holder === null ? "" : fill(words.photo, { name: holder.name });
  }
  photo.hidden = address === null;
  show(noPhoto, holder !== null && address === null ? words.no_photo : null);
}

/** @param {Customer} customer */
function said(customer) {
  if (customer.stage !== "known") {
    return heading(customer);
  }
  const text = customer.allergens.length === 0 ? words.said_none : words.said;
  return fill(text, { name: heading(customer), allergens: allergens(customer.allergens) });
}

/** @param {Customer} customer */
function heading(customer) {
  return customer.holder?.name ?? (customer.stage === "refused" ? words.refused : words.unknown);
}

/** @param {Customer | null} customer */
function renderAllergens(customer) {
  const keys = customer?.allergens ?? [];
  byId("allergens", HTMLElement).hidden = keys.length === 0;
  if (list.dataset.keys !== keys.join(" ")) {
    list.dataset.keys = keys.join(" ");
    list.replaceChildren(...keys.map((key) => element("li", "", allergen(key))));
  }
  show(byId("no-allergens", HTMLElement), customer?.stage === "known" && keys.length === 0 ? words.no_allergens : null);
}

/** @param {Customer} customer */
function text(customer) {
  if (customer.stage === "refused") {
    return `${reasons[customer.reason ?? ""] ?? customer.reason} ${words.go_on}`;
  }
  if (customer.stage === "unknown") {
    const isOffline = customer.reason === "service_unreachable";
    return isOffline ? words.unknown_text : `${words.failed}: ${reasons[customer.reason ?? ""] ?? customer.reason} ${words.go_on}`;
  }
  return customer.holder?.offline ? fill(words.as_of, { time: time(customer.holder.as_of) }) : null;
}
