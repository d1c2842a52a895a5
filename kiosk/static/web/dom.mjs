/** Small helpers for the page's elements. */

/**
 * An element of the page, which the template has.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`the page has no ${type.name} #${id}`);
  }
  return found;
}

/**
 * A new element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} classes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, classes, ...children) {
  const made = document.createElement(tag);
  made.className = classes;
  made.append(...children);
  return made;
}

/**
 * Show a text, or hide the element where there is none. What says the same already is left alone: a live region
 * speaks when it is written to.
 *
 * @param {HTMLElement} where
 * @param {string | null} text
 */
export function show(where, text) {
  where.hidden = text === null;
  say(where, text ?? "");
}

/**
 * Write a text, once.
 *
 * @param {HTMLElement} where
 * @param {string} text
 */
export function say(where, text) {
  if (where.textContent !== text) {
    where.textContent = text;
  }
}

/**
 * Whether a button does something. One that does not stays where the keyboard finds it, and says so.
 *
 * @param {HTMLButtonElement} button
 * @param {boolean} isEnabled
 */
export function enable(button, isEnabled) {
  button.setAttribute("aria-disabled", String(!isEnabled));
}

/**
 * Call `action` when an enabled button is pressed.
 *
 * @param {HTMLButtonElement} button
 * @param {() => void} action
 */
export function onPress(button, action) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") {
      action();
    }
  });
}

/**
 * One of the icons that the template has drawn, by its id.
 *
 * @param {string} id
 * @returns {Node}
 */
export function icon(id) {
  const template = byId(id, HTMLTemplateElement);
  return document.importNode(template.content, true);
}
