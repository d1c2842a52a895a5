/**
 * Asking this page's own server, with the CSRF token and a limit of time.
 */

import { data } from "./data.mjs";

/** The server gave no answer at all, or not in time: what was asked may have happened. */
export class NoAnswer extends Error {}

/** The server answered that it does not do this. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {any} document its JSON: a stable `code`, and what goes with it
   */
  constructor(status, document) {
    super(document.code ?? String(status));
    this.status = status;
    /** @type {string} */
    this.code = document.code ?? "refused";
    this.document = document;
  }
}

let token = data.csrf_token;

/**
 * What is at this address.
 *
 * @param {string} path
 * @param {number} [limitMs]
 * @returns {Promise<any>} rejects with NoAnswer or Refused
 */
export function get(path, limitMs = 20_000) {
  return ask(path, { method: "GET" }, limitMs);
}

/**
 * A command.
 *
 * @param {string} path
 * @param {object} body
 * @param {number} [limitMs]
 * @returns {Promise<any>} rejects with NoAnswer or Refused
 */
export async function post(path, body, limitMs = 120_000) {
  try {
    return await command(path, body, limitMs);
  } catch (error) {
    // The server was started anew and knows this page's token no more.
    if (error instanceof Refused && error.code === "csrf_refused") {
      token = (await get("/csrf-token")).csrf_token;
      return command(path, body, limitMs);
    }
    throw error;
  }
}

/**
 * @param {string} path
 * @param {object} body
 * @param {number} limitMs
 */
function command(path, body, limitMs) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) }, limitMs);
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {number} limitMs
 */
async function ask(path, options, limitMs) {
  let response, document;
  try {
    response = await fetch(path, {
      ...options,
      headers: { ...options.headers, Accept: "application/json" },
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(limitMs),
    });
    document = await response.json();
  } catch (error) {
    throw new NoAnswer(String(error));
  }
  if (!response.ok) {
    throw new Refused(response.status, document);
  }
  return document;
}
