// Convert HTML to text: frameworks put the message and the stack of an exception into a page. The result is never used as markup.

const TAG = /<(\/?[a-zA-Z][a-zA-Z0-9]*|!)[^<>]*>/;
const INLINE = new Set("a abbr b code em i kbd q s samp small span strong sub sup td th tt u var !".split(" "));
const ENTITY = /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(lt|gt|amp|quot|apos|nbsp));/gi;
const NAMED = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'", nbsp: " " };

/** Return the text of a page, one line per block, or null if it has none. */
export function asText(page) {
  const lines = unescaped(parts(page).join("")).split("\n").filter((line) => line.trim());
  return lines.map((line) => line.trimEnd()).filter((line, at) => line !== lines[at - 1]).join("\n") || null;
}

/** Return the text of a response that is a page, else null. */
export function pageText(response) {
  return response.headers["content-type"]?.startsWith("text/html") ? asText(response.body) : null;
}

/** Return text and line breaks; white space is kept within `pre` alone. */
function parts(page) {
  const [first, ...rest] = page.split(TAG);
  const pieces = [collapsed(first)];
  let within = "";
  for (let at = 0; at < rest.length; at += 2) {
    const [tag, text] = [rest[at].toLowerCase(), rest[at + 1]];
    const name = tag.replace("/", "");
    if (["script", "style", "pre"].includes(name)) within = tag.startsWith("/") ? "" : name;
    if (!INLINE.has(name)) pieces.push("\n");
    if (within === "pre") pieces.push(text);
    else if (within === "") pieces.push(collapsed(text));
  }
  return pieces;
}

function collapsed(text) {
  return text.replace(/[ \t\r\n]+/g, " ");
}

function unescaped(text) {
  return text.replace(ENTITY, (whole, decimal, hexadecimal, name) => {
    if (name) return NAMED[name.toLowerCase()];
    const code = decimal ? Number(decimal) : parseInt(hexadecimal, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
