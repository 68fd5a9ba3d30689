// Show payloads and bodies as text: JSON indented, invisible characters escaped.

import { h, keep } from "../dom.js";
import { visible } from "../json.js";
import { LongText } from "../long_text.js";
import { state } from "../state.js";
import { button } from "./controls.js";

const KEPT = 8;
const texts = new Map(); // of the blocks on the page, by their names
let laid = []; // the latest texts that were laid out

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
  const [shown, isEscaped] = text === "" ? [h("p", { class: "dim" }, empty), false] : laidOut(name, text);
  const toggle = isEscaped ? button(state.isReadable ? "Show as sent" : "Show readable", "readable", {}, { kind: "quiet", title: "Show escapes such as \\n as they were sent, or as the characters that they mean" }) : null;
  const head = h("div", { class: "section-head" },
    typeof title === "string" ? h("h2", {}, title) : title,
    note ? h("span", { class: "dim" }, note) : null, extra, toggle,
    text ? button("Copy", "copy", {}, { kind: "quiet" }) : null);
  return h("section", { class: "block", "aria-label": name, "data-block": name }, head,
    folded ? h("details", { class: "same", open: folded.open }, h("summary", {}, folded.label), shown) : shown);
}

/** Return the formatted text, and whether it has escapes: built once, because that is slow, and kept while it is shown. */
function laidOut(name, text) {
  const known = laid.find((shown) => shown.name === name && shown.text === text && shown.isReadable === state.isReadable) ?? new LongText(text, name, state.isReadable);
  laid = [known, ...laid.filter((shown) => shown !== known)].slice(0, KEPT);
  return [[keep(known.node), known.isWhole ? null : more(name, known)], known.isEscaped];
}

function more(name, shown) {
  const part = Math.floor((100 * shown.position) / shown.text.length);
  return h("p", { class: "dim" }, `${part} % shown. `, button("Show more", "showMore", { block: name }, { kind: "quiet" }));
}

/** Show more of a text on the page. */
export function showMore(name) {
  laid.find((shown) => shown.name === name)?.extend();
}
