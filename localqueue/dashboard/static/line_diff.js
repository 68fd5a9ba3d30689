// Compare two lists of lines.

const CONTEXT = 3;

export const MOST_LINES = 400; // of each list: the time grows with the product

/** Return the lines of both lists in order, {kind: "same" | "removed" | "added", text}, or null if a list is too long. */
export function compare(before, after) {
  if (Math.max(before.length, after.length) > MOST_LINES) return null;
  const common = commonAfter(before, after);
  const lines = [];
  for (let [at, to] = [0, 0]; at < before.length || to < after.length; ) {
    if (at < before.length && before[at] === after[to]) {
      lines.push({ kind: "same", text: before[at] });
      [at, to] = [at + 1, to + 1];
    } else if (to === after.length || (at < before.length && common[at + 1][to] >= common[at][to + 1])) {
      lines.push({ kind: "removed", text: before[at] });
      at += 1;
    } else {
      lines.push({ kind: "added", text: after[to] });
      to += 1;
    }
  }
  return lines;
}

/** Return a table: how many lines are common from line `at` of one list and line `to` of the other one on. */
function commonAfter(before, after) {
  const table = Array.from({ length: before.length + 1 }, () => new Uint16Array(after.length + 1));
  for (let at = before.length - 1; at >= 0; at -= 1) {
    for (let to = after.length - 1; to >= 0; to -= 1) {
      table[at][to] = before[at] === after[to] ? table[at + 1][to + 1] + 1 : Math.max(table[at + 1][to], table[at][to + 1]);
    }
  }
  return table;
}

/** Return compared lines with {kind: "folded", count} for those that are far from a change. */
export function fold(lines) {
  const folded = [];
  for (const [at, line] of lines.entries()) {
    const isNear = lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ kind }) => kind !== "same");
    if (isNear) folded.push(line);
    else if (folded.at(-1)?.kind === "folded") folded.at(-1).count += 1;
    else folded.push({ kind: "folded", count: 1 });
  }
  return folded;
}
