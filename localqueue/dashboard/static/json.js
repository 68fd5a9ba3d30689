// Lay JSON out from its own text. Nothing is parsed into values: 1E400, 1.0, 9007199254740993, doubled keys
// and escapes are shown as they were sent.

import { h } from "./dom.js";

const SHORT = 64;
// What would hide or reorder text on the screen: control and bidi characters, zero widths, lone surrogates.
const HIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{d800}-\u{dfff}]|\r(?!\n)/gu;

/** Return whether a text is JSON. */
export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Return the tokens of a JSON text: {kind: "punctuation" | "string" | "literal", text}. */
export function tokens(text) {
  const found = [];
  for (let at = 0; at < text.length; ) {
    if (" \t\r\n".includes(text[at])) {
      at += 1;
      continue;
    }
    const [kind, end] = tokenEnd(text, at);
    found.push({ kind, text: text.slice(at, end) });
    at = end;
  }
  return found;
}

function tokenEnd(text, at) {
  if ("{}[],:".includes(text[at])) return ["punctuation", at + 1];
  if (text[at] === '"') return ["string", stringEnd(text, at)];
  let end = at + 1;
  while (end < text.length && !'{}[],:" \t\r\n'.includes(text[end])) end += 1;
  return ["literal", end];
}

function stringEnd(text, at) {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return end + 1;
  }
  return text.length;
}

/** Return a JSON text as tokens with line breaks and indentation between them. */
export function layout(text) {
  const given = tokens(text);
  const laid = [];
  let depth = 0;
  const lineBreak = () => laid.push({ kind: "space", text: `\n${"  ".repeat(depth)}` });
  for (let at = 0; at < given.length; at += 1) {
    const token = given[at];
    const end = "[{".includes(token.text) ? shortEnd(given, at, depth) : -1;
    if (end !== -1) {
      laid.push(...onOneLine(given.slice(at, end + 1)));
      at = end;
    } else if (token.text === "{" || token.text === "[") {
      laid.push(token);
      depth += 1;
      lineBreak();
    } else if (token.text === "}" || token.text === "]") {
      depth -= 1;
      lineBreak();
      laid.push(token);
    } else if (token.text === ",") {
      laid.push(token);
      lineBreak();
    } else if (token.text === ":") laid.push({ kind: "punctuation", text: ": " });
    else laid.push(keyOrValue(given, at));
  }
  return laid;
}

function keyOrValue(given, at) {
  return given[at + 1]?.text === ":" ? { ...given[at], kind: "key" } : given[at];
}

/** Return where a list of plain values, or an inner object of them, ends if it fits on a line; else -1. */
function shortEnd(given, at, depth) {
  let length = 0;
  for (let end = at + 1; end < given.length && length <= SHORT; end += 1) {
    const { text } = given[end];
    if (text === "]" || text === "}") return given[at].text === "[" || depth > 0 || end === at + 1 ? end : -1;
    if (text === "{" || text === "[") return -1;
    length += text.length + 1;
  }
  return -1;
}

function onOneLine(given) {
  return given.map((token, at) => (",:".includes(token.text) ? { ...token, text: `${token.text} ` } : keyOrValue(given, at)));
}

/** Return the nodes that show a JSON text, laid out. */
export function pretty(text) {
  return layout(text).map(({ kind, text: each }) =>
    kind === "key" || kind === "string" || kind === "literal" ? h("span", { class: kind }, visible(each)) : each,
  );
}

/** Return a JSON text, laid out, as text. */
export function prettyText(text) {
  return isJson(text) ? layout(text).map((token) => token.text).join("") : text;
}

/** Return the nodes that show a foreign text: what would hide in it is written out. */
export function visible(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    nodes.push(text.slice(from, match.index), h("span", { class: "hidden-char" }, escaped(match[0])));
    from = match.index + match[0].length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

function escaped(character) {
  return `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`;
}
