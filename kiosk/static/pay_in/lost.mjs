/** A card that is lost: who says whose it is, and that it was taken. What came of it nobody is told. */

import { NoAnswer, post, Refused } from "../web/api.mjs";
import { data } from "../web/data.mjs";
import { byId, enable, onPress, show } from "../web/dom.mjs";

const words = data.page.words;
const names = ["name", "day", "month", "year", "postcode"];
const fields = Object.fromEntries(names.map((each) => [each, byId(`lost-${each}`, HTMLInputElement)]));
const button = byId("tell-lost", HTMLButtonElement);

/**
 * Let somebody tell a loss from the first screen on.
 *
 * @param {(view: string) => void} open shows a view
 * @param {() => boolean} isFree whether nothing else goes on
 */
export function askWhose(open, isFree) {
  onPress(byId("report-lost", HTMLButtonElement), () => {
    if (isFree()) {
      for (const field of Object.values(fields)) {
        field.value = "";
      }
      refuse(null, []);
      enable(button, true);
      open("lost");
    }
  });
  byId("loss", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void tell(open);
  });
}

/** @param {(view: string) => void} open */
async function tell(open) {
  const found = entered();
  if ("problem" in found) {
    refuse(found.problem, found.wrong);
    return;
  }
  if (button.getAttribute("aria-disabled") === "true") {
    return;
  }
  refuse(null, []);
  enable(button, false);
  try {
    await post("/loss", found);
    open("told");
  } catch (error) {
    if (!(error instanceof Refused || error instanceof NoAnswer)) {
      throw error;
    }
    refuse(words.loss_not_taken, []);
  } finally {
    enable(button, true);
  }
}

/**
 * What was entered, as it is passed on, or what to enter instead and where.
 *
 * @returns {{name: string, born_on: string, postcode: string} | {problem: string, wrong: string[]}}
 */
function entered() {
  const [name, day, month, year, postcode] = names.map((each) => fields[each].value.trim());
  if (name === "") {
    return { problem: words.loss_name, wrong: ["name"] };
  }
  const bornOn = [year, month.padStart(2, "0"), day.padStart(2, "0")].join("-");
  const at = new Date(`${bornOn}T00:00:00Z`);
  // A day that there is not, such as 31 June, is another one when it is written again, or none.
  if (!/^\d{4}-\d\d-\d\d$/.test(bornOn) || Number.isNaN(at.getTime()) || !at.toISOString().startsWith(bornOn)) {
    return { problem: words.loss_born, wrong: ["day", "month", "year"] };
  }
  return postcode === "" ? { problem: words.loss_postcode, wrong: ["postcode"] } : { name, born_on: bornOn, postcode };
}

/**
 * @param {string | null} text
 * @param {string[]} wrong
 */
function refuse(text, wrong) {
  show(byId("loss-error", HTMLElement), text);
  for (const [name, field] of Object.entries(fields)) {
    field.setAttribute("aria-invalid", String(wrong.includes(name)));
    field.classList.toggle("govuk-input--error", wrong.includes(name));
  }
  if (wrong.length > 0) {
    fields[wrong[0]].focus();
  }
}
