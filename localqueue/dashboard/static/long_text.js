// Lay a long text out step by step: what is put into the page is bounded until somebody asks for more.

import { h } from "./dom.js";
import { isJson, pieces, visible } from "./json.js";

const FIRST = 50_000; // characters that are shown at once
const STEP = 200_000; // characters that are shown in addition
const CHUNK = 4000; // the browser lays only those chunks out that are in view; each begins with a line
const LONGEST = 5000; // a longer token is cut, so that a part of it can be shown

let made = 0;

/** A text on the page: `node` is its element, `position` is up to where the text is shown. */
export class LongText {
  position = 0;
  isWhole = false;
  #length = 0;
  #pieces;
  #code = h("code", {});
  #chunk = null;
  #chunkSize = 0;
  #run = "";

  constructor(text, name, isReadable = false) {
    const isJsonText = isJson(text);
    this.isEscaped = isJsonText && text.includes("\\");
    Object.assign(this, { name, text, isReadable });
    this.node = h("pre", { class: "body", "data-key": `body ${(made += 1)}`, tabindex: 0, "aria-label": name }, this.#code);
    this.#pieces = cut(!isJsonText ? lines(text) : isReadable ? unescaped(pieces(text)) : pieces(text));
    this.#begin();
    this.extend(FIRST);
  }

  /** Show more. */
  extend(most = STEP) {
    for (const end = this.#length + most; this.#length < end && !this.isWhole; ) {
      const { value, done } = this.#pieces.next();
      if (done) this.isWhole = true;
      else this.#add(value);
    }
    this.#flush();
  }

  #add({ kind, text, end = this.position }) {
    this.position = end;
    const isBreak = kind === "space" && this.#chunkSize >= CHUNK;
    if (isBreak) this.#begin(); // the new chunk is the line break
    const shown = isBreak ? text.slice(text.indexOf("\n") + 1) : text;
    this.#length += shown.length;
    this.#chunkSize += shown.length;
    if (kind === "key") {
      this.#flush();
      this.#chunk.append(h("span", { class: "key" }, visible(shown)));
    } else this.#run += shown;
  }

  #begin() {
    this.#flush();
    this.#chunk = h("span", { class: "chunk" });
    this.#code.append(this.#chunk);
    this.#chunkSize = 0;
  }

  #flush() {
    if (this.#run) this.#chunk.append(...visible(this.#run));
    this.#run = "";
  }
}

/** Yield pieces of JSON with the characters that escapes in its strings mean; line breaks in them are breaks, too. */
function* unescaped(escaped) {
  for (const piece of escaped) {
    if (!piece.text.startsWith('"') || !piece.text.includes("\\")) yield piece;
    else if (piece.kind === "key") yield { ...piece, text: `"${JSON.parse(piece.text)}"` };
    else for (const line of lines(`"${JSON.parse(piece.text)}"`)) yield { ...line, end: piece.end };
  }
}

/** Yield the lines of a text, and the breaks between them. */
function* lines(text) {
  for (let at = 0; at <= text.length; ) {
    const end = text.indexOf("\n", at);
    if (end === -1) {
      yield { kind: "text", text: text.slice(at), end: text.length };
      return;
    }
    const lineEnd = text[end - 1] === "\r" && end > at ? end - 1 : end;
    yield { kind: "text", text: text.slice(at, lineEnd), end };
    yield { kind: "space", text: text.slice(lineEnd, end + 1) };
    at = end + 1;
  }
}

/** Yield pieces that aren't too long; no pair of characters that belong together is cut in two. */
function* cut(uncut) {
  for (const piece of uncut) {
    for (let at = 0, end = 0; at === 0 || at < piece.text.length; at = end) {
      end = at + LONGEST;
      if (/[\ud800-\udbff\r]/.test(piece.text[end - 1] ?? "")) end += 1;
      yield { kind: piece.kind, text: piece.text.slice(at, end), end: piece.end && piece.end - Math.max(0, piece.text.length - end) };
    }
  }
}
