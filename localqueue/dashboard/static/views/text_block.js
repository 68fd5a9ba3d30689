// Show payloads and bodies as text: JSON indented, invisible characters escaped.

import { h, keep } from "../dom.js";
import * as format from "../format.js";
import { isJson, pretty, visible } from "../json.js";
import { button } from "./controls.js";

const MOST = 200_000;
const KEPT = 8;
const texts = new Map(); // of the blocks on the page, by their names
const laid = new Map(); // the nodes of the latest blocks
let made = 0;

/** Return the original text of a block on the page. */
export function textOf(name) {
  return texts.get(name);
}

/** Return foreign text, inline. */
export function foreign(text) {
  return h("bdi", {}, visible(text));
}

/** Return a block of foreign text with its heading and buttons; `folded` is {label, open} of a text that can be folded. */
export function block(title, text, { name = title, note = null, extra = null, empty = "", folded = null } = {}) {
  texts.set(name, text);
  const head = h("div", { class: "section-head" },
    typeof title === "string" ? h("h2", {}, title) : title,
    note ? h("span", { class: "dim" }, note) : null, extra,
    text ? button("Copy", "copy", {}, { kind: "quiet" }) : null);
  const shown = text === "" ? h("p", { class: "dim" }, empty) : laidOut(name, text);
  return h("section", { class: "block", "aria-label": name, "data-block": name }, head,
    folded ? h("details", { class: "same", open: folded.open }, h("summary", {}, folded.label), shown) : shown);
}

/** Return the formatted text: built once, because that is slow, and kept while it is shown. */
function laidOut(name, text) {
  const key = `${name} ${text}`;
  const known = laid.get(key) ?? h("pre", { class: "body", "data-key": `body ${(made += 1)}`, tabindex: 0, "aria-label": name }, h("code", {}, content(text)), cut(text));
  laid.delete(key);
  laid.set(key, known);
  if (laid.size > KEPT) laid.delete(laid.keys().next().value);
  return keep(known);
}

function content(text) {
  const short = text.slice(0, MOST);
  return isJson(text) ? pretty(short) : visible(short);
}

function cut(text) {
  return text.length > MOST ? h("span", { class: "cut" }, `\n… ${format.size(text.length - MOST)} more, not shown`) : null;
}
