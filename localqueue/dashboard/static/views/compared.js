// Compare the response to an attempt with the responses to the attempts before it.

import { h, keep } from "../dom.js";
import * as format from "../format.js";
import { pageText } from "../html_text.js";
import { isJson, layout, visible } from "../json.js";
import { compare, fold, MOST_LINES } from "../line_diff.js";
import { state } from "../state.js";

const SIGNS = { same: ["span", "  "], removed: ["del", "- "], added: ["ins", "+ "] };
let latest = null; // {before, after, lines, view}: the page is drawn often, and comparing is slow
let made = 0;

/** Return which earlier attempt had the same status and body, as a sentence, or null. */
export function sameAs(all, at) {
  const attempt = all[at];
  const first = isWhole(attempt.response) ? all.slice(0, at).find((earlier) => isSame(earlier, attempt)) : undefined;
  if (!first) return null;
  return `Same ${attempt.response.truncated ? "first 64 KiB" : "response"} as ${nameOf(first, attempt)}`;
}

/** Return whether the text of a body tells it from others: encoded bytes and those that aren't UTF-8 don't come through. */
function isWhole(response) {
  return response !== null && (response.headers["content-encoding"] ?? "identity") === "identity" && !response.body.includes("\ufffd");
}

function isSame(one, other) {
  return one.status === other.status && one.response !== null && isWhole(one.response) &&
    one.response.truncated === other.response.truncated && one.response.body === other.response.body;
}

function nameOf(attempt, shown) {
  return `attempt ${attempt.number}${attempt.round === shown.round ? "" : ` of round ${attempt.round}`}`;
}

/** Return the lines of the body that differ from the body of the previous attempt, or null. */
export function changes(all, at) {
  const [before, after] = [all[at - 1], all[at]];
  if (!before?.response?.body || !after.response?.body || before.response.body === after.response.body) return null;
  if (!isWhole(before.response) || !isWhole(after.response)) return null;
  const title = `Changed since ${nameOf(before, after)}`;
  const { lines, view } = compared(before.response, after.response);
  if (lines === null) return h("p", { class: "dim changes" }, `${title}. Too long to compare.`);
  const count = (wanted) => lines.filter(({ kind }) => kind === wanted).length;
  return h("details", { class: "changes" },
    h("summary", {}, title, h("span", { class: "dim" }, `: ${format.count(count("removed"), "line")} removed, ${count("added")} added`)),
    keep(view));
}

function compared(one, other) {
  const [before, after] = [shownText(one), shownText(other)];
  if (latest?.before !== before || latest.after !== after || latest.one !== one.body || latest.other !== other.body) {
    const lines = differing([before, after].map(laidOut), [one.body, other.body].map(split));
    latest = { before, after, one: one.body, other: other.body, lines, view: lines && linesView(fold(lines)) };
  }
  return latest;
}

function shownText(response) {
  return (state.isSourceShown ? null : pageText(response)) ?? response.body;
}

/** Compare what the page shows; where that is equal, only white space or markup differs: then compare what was sent. */
function differing(shown, sent) {
  const lines = shown.includes(null) ? null : compare(...shown);
  return lines?.every(({ kind }) => kind === "same") ? compare(...sent) : lines;
}

function split(text) {
  return text.split("\n", MOST_LINES + 1);
}

/** Return the lines of a text, JSON as the page formats it, or null for too many: deeply nested JSON is mostly indentation. */
function laidOut(text) {
  if (!isJson(text)) return split(text);
  const tokens = layout(text);
  return tokens.filter(({ kind }) => kind === "space").length < MOST_LINES ? split(tokens.map((token) => token.text).join("")) : null;
}

function linesView(lines) {
  return h("pre", { class: "body", "data-key": `changes ${(made += 1)}`, tabindex: 0, "aria-label": "Changes" }, h("code", {}, lines.map(lineView)));
}

function lineView({ kind, text, count }) {
  if (kind === "folded") return h("span", { class: "cut" }, `… ${format.count(count, "unchanged line")}\n`);
  const [tag, sign] = SIGNS[kind];
  return h(tag, {}, sign, visible(text), "\n");
}
