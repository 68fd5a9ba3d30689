// Lay JSON out from its own text. Nothing is parsed into values: 1E400, 1.0, 9007199254740993, doubled keys
// and escapes are shown as they were sent.

import { h } from "./dom.js";

const SHORT = 64;
const INDENT = "  ";
const MOST_INDENTS = 30; // deeper ones would be mostly white space
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

/** Yield the tokens of a JSON text: {kind: "punctuation" | "string" | "literal", text, end}; `end` is where it ends. */
function* tokens(text) {
  for (let at = 0; at < text.length; ) {
    if (" \t\r\n".includes(text[at])) {
      at += 1;
      continue;
    }
    const [kind, end] = tokenEnd(text, at);
    yield { kind, text: text.slice(at, end), end };
    at = end;
  }
}

/** Tokens that can be looked at before they are taken. */
class Lookahead {
  #source;
  #ahead = [];

  constructor(source) {
    this.#source = source;
  }

  peek(distance = 0) {
    while (this.#ahead.length <= distance) {
      const { value, done } = this.#source.next();
      if (done) return undefined;
      this.#ahead.push(value);
    }
    return this.#ahead[distance];
  }

  take(count = 1) {
    this.peek(count - 1);
    return this.#ahead.splice(0, count);
  }
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

/** Yield a JSON text as tokens with line breaks and indentation between them; a part of it costs no more than that part. */
export function* pieces(text) {
  const lookahead = new Lookahead(tokens(text));
  let depth = 0;
  const lineBreak = () => ({ kind: "space", text: `\n${INDENT.repeat(Math.min(depth, MOST_INDENTS))}` });
  while (lookahead.peek() !== undefined) {
    const length = "[{".includes(lookahead.peek().text) ? shortLength(lookahead, depth) : 0;
    if (length) {
      yield* onOneLine(lookahead.take(length));
      continue;
    }
    const [token] = lookahead.take();
    if (token.text === "{" || token.text === "[") {
      yield token;
      depth += 1;
      yield lineBreak();
    } else if (token.text === "}" || token.text === "]") {
      depth -= 1;
      yield lineBreak();
      yield token;
    } else if (token.text === ",") {
      yield token;
      yield lineBreak();
    } else if (token.text === ":") yield { kind: "punctuation", text: ": " };
    else yield keyOrValue(token, lookahead.peek());
  }
}

/** Return all pieces. */
export function layout(text) {
  return [...pieces(text)];
}

function keyOrValue(token, next) {
  return next?.text === ":" ? { ...token, kind: "key" } : token;
}

/** Return how many tokens a list of plain values, or an inner object of them, has if it fits on a line; else 0. */
function shortLength(lookahead, depth) {
  const first = lookahead.peek().text;
  let length = 0;
  for (let end = 1; length <= SHORT; end += 1) {
    const text = lookahead.peek(end)?.text;
    if (text === undefined) return 0;
    if (text === "]" || text === "}") return first === "[" || depth > 0 || end === 1 ? end + 1 : 0;
    if (text === "{" || text === "[") return 0;
    length += text.length + 1;
  }
  return 0;
}

function onOneLine(taken) {
  return taken.map((token, at) => (",:".includes(token.text) ? { ...token, text: `${token.text} ` } : keyOrValue(token, taken[at + 1])));
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
