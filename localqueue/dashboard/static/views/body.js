// Show payloads and bodies: as text, laid out if they are JSON, with what would hide written out.

import { h } from "../dom.js";
import * as format from "../format.js";
import { isJson, pretty, visible } from "../json.js";
import { button } from "./controls.js";

const MOST = 200_000;

/** Return foreign text in a line. */
export function foreign(text) {
  return h("bdi", {}, visible(text));
}

/** Return a block of foreign text with what one does with it. */
export function block(title, text, { name = title, note = null, extra = null, empty = "" } = {}) {
  const head = h("div", { class: "section-head" },
    typeof title === "string" ? h("h2", {}, title) : title,
    note ? h("span", { class: "dim" }, note) : null, extra,
    text ? button("Copy", "copy", {}, { kind: "quiet" }) : null);
  const shown = text === "" ? h("p", { class: "dim" }, empty) : h("pre", { class: "body", tabindex: 0, "aria-label": name }, h("code", {}, content(text)), cut(text));
  return h("section", { class: "block", "aria-label": name, "data-copied": text }, head, shown);
}

function content(text) {
  const short = text.slice(0, MOST);
  return text.length <= MOST && isJson(text) ? pretty(text) : visible(short);
}

function cut(text) {
  return text.length > MOST ? h("span", { class: "cut" }, `\n… ${format.size(text.length - MOST)} more, not shown`) : null;
}
