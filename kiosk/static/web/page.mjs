/**
 * What every page does: GOV.UK Frontend's components, and nothing of an earlier person out of the browser's memory.
 */

import { initAll } from "../vendor/govuk-frontend.min.js";

initAll();

// A page that the back/forward cache has kept shows who stood here before, in spite of `no-store`.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    window.location.reload();
  }
});
