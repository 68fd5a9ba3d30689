// Format numbers, durations and times in the style of the command line.

import { state } from "./state.js";

const UNITS = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1000, "s"]];

/** `12 ms`, `5 s`, `1.5 s`, `2 min 5 s`, `3 h 12 min`, `2 d 4 h`. */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Math.floor(ms / 100) / 10} s`;
  const at = UNITS.findIndex(([size]) => ms >= size);
  const [[large, name], [small, smallName]] = [UNITS[at], UNITS[at + 1]];
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${name}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/** The time until something: tenths in the last ten seconds, so its width stays the same. */
export function countdown(ms) {
  if (ms < 10_000) return `${(Math.ceil(ms / 100) / 10).toFixed(1)} s`;
  return ms < 60_000 ? `${Math.ceil(ms / 1000)} s` : duration(ms);
}

/** The time until something, in one unit. */
export function short(ms) {
  return ms < 60_000 ? countdown(ms) : inOneUnit(ms);
}

/** The time since something, in one unit. */
export function ago(ms) {
  return ms < 1000 ? "just now" : `${inOneUnit(ms)} ago`;
}

function inOneUnit(ms) {
  const [size, name] = UNITS.find(([least]) => ms >= least);
  return `${Math.floor(ms / size)} ${name}`;
}

/** `09:12:04.411` of the reader's day, or `08:12:04.411 UTC`. */
export function time(iso) {
  return isUtc() ? `${iso.slice(11, 23)} UTC` : local(iso).slice(11);
}

/** `2026-01-01 09:12:04.411` of the reader's calendar, or `2026-01-01 08:12:04.411 UTC`. */
export function dateTime(iso) {
  return isUtc() ? `${iso.slice(0, 10)} ${time(iso)}` : local(iso);
}

/** Return whether times are shown in UTC: as chosen; virtual time has nothing to do with the reader's clock. */
export function isUtc() {
  return state.isUtc || state.clock?.mode === "virtual";
}

function local(iso) {
  const at = new Date(iso);
  const parts = [[at.getMonth() + 1, 2], [at.getDate(), 2], [at.getHours(), 2], [at.getMinutes(), 2], [at.getSeconds(), 2], [at.getMilliseconds(), 3]];
  const [month, day, hours, minutes, seconds, millis] = parts.map(([part, width]) => String(part).padStart(width, "0"));
  return `${at.getFullYear()}-${month}-${day} ${hours}:${minutes}:${seconds}.${millis}`;
}

/** ms since the epoch. */
export function ms(iso) {
  return Date.parse(iso);
}

export function number(n) {
  return n.toLocaleString("en-US");
}

export function count(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/** `812 bytes`, `64 KiB`, `1.2 MiB`. */
export function size(bytes) {
  if (bytes < 1024) return count(bytes, "byte");
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** `localhost:3000` of a target. */
export function host(url) {
  return url.replace(/^https?:\/\//, "");
}

const STATUS_TEXTS = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 302: "Found",
  307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
  404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large",
  415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
  500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
  504: "Gateway Timeout",
};

export function statusText(status) {
  return STATUS_TEXTS[status] ?? "";
}

/** Return a text with a capital. */
export function capital(text) {
  return text && text[0].toUpperCase() + text.slice(1);
}

/** Return a text as a sentence: with a capital and a full stop. */
export function sentence(text) {
  return text && `${capital(text)}${/[.?!]$/.test(text) ? "" : "."}`;
}
