// Requests to the server. A busy or missing server is asked again until it answers; `onTrouble` tells the page what is going on.

import { ofTab } from "./store.js";

/** An error that asking again does not help: status 0 if there was no answer. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const RETRY = new Set([429, 503]);
const MOST_WAIT = 15;

let token = ofTab.getItem("token") ?? "";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  token = given;
  ofTab.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}

let trouble = () => {};
const sleepers = new Set(), troubled = new Set();

/** Sets the function that is called with ("busy" | "gone", seconds to the next try), and with ("", 0) when all is well again. */
export function onTrouble(report) {
  trouble = report;
}

/** Ends all waits before a next try. */
export function tryNow() {
  sleepers.clear();
}

/** A response with status 2xx. Throws Refused, or AbortError when `signal` stops it. */
export async function ask(path, options = {}) {
  const request = {};
  try {
    for (let attempt = 1; ; attempt += 1) {
      let response;
      try {
        response = await fetch(path, { ...options, headers: { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) } });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        if (attempt > 1 && await isAlive()) throw new Refused(0, "");  // the fault is not the server's: the file may have been moved
      }
      if (response && !RETRY.has(response.status)) {
        if (response.ok) return response;
        throw new Refused(response.status, await detailOf(response));
      }
      troubled.add(request);
      const wanted = Number(response?.headers.get("retry-after")) || 2 ** Math.min(attempt, 4);
      await pause(response ? "busy" : "gone", Math.min(wanted, MOST_WAIT), options.signal);
    }
  } finally {
    if (troubled.delete(request) && !troubled.size) trouble("", 0);
  }
}

async function detailOf(response) {
  try {
    return (await response.json()).detail;
  } catch {
    return response.statusText;
  }
}

const isAlive = () => fetch("/livez").then((response) => response.ok, () => false);

async function pause(kind, seconds, signal) {
  const end = performance.now() + 1000 * seconds, sleeper = {};
  sleepers.add(sleeper);
  while (performance.now() < end && sleepers.has(sleeper)) {
    signal?.throwIfAborted();
    trouble(kind, Math.ceil((end - performance.now()) / 1000));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  sleepers.delete(sleeper);
}

/** The server's limits; asked for once. */
export async function limits() {
  known ??= (await ask("/v1/limits")).json();
  return known;
}

let known;

/** The models, the default first. */
export async function models() {
  return (await ask("/v1/models")).json();
}

/**
 * Runs a model on a picture.
 *
 * @param {Blob} picture its file
 * @param {object} options model, vivid (null: the model's own), hints [{x, y, colour}] with positions 0..1, width and height of the
 *     upright photo in pixels (hints need them), and further query parameters in `query`
 * @returns {Promise<Response>} the result
 */
export function apply(picture, { model, vivid, hints, width, height, query = {} }, signal) {
  const parameters = new URLSearchParams(query);
  if (vivid !== null) parameters.set("vivid", vivid);
  for (const hint of hints) parameters.append("hint", `${pixel(hint.x, width)},${pixel(hint.y, height)},${hint.colour}`);
  const headers = { "Content-Type": picture.type.startsWith("image/") ? picture.type : "application/octet-stream" };
  return ask(`/v1/models/${encodeURIComponent(model)}/apply?${parameters}`, { method: "POST", body: picture, headers, signal });
}

const pixel = (share, length) => Math.min(length - 1, Math.max(0, Math.floor(share * length)));
