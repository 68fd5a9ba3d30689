// Build and patch the page. Foreign text becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";
const standIns = new WeakMap(); // the node on the page that a fresh node was patched into
const marks = new WeakMap(); // the node that a mark stands for

/**
 * Return a mark for a node that may be on the page already, and is to be there unchanged. The node itself must not be put
 * into a fresh tree: that would take it from the page, and its focus, selection and scroll position would be lost.
 */
export function keep(node) {
  const mark = document.createComment("");
  marks.set(mark, onPage(node));
  return mark;
}

/** Return the node on the page that this one was patched into. */
export function onPage(node) {
  return standIns.get(node) ?? node;
}

/** Return an element; `true` sets an empty attribute, `false` and null leave it out. */
export function h(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** Return an SVG element. */
export function s(tag, attributes, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...kept(children));
  return node;
}

function kept(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/**
 * Change the children of `parent` into `fresh` and keep equal nodes, so focus, selection and scrolling stay.
 * Children with the same data-key are the same child; a kept child is not changed.
 */
export function patch(parent, ...children) {
  const fresh = kept(children).map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  const known = new Map([...parent.childNodes].filter(key).map((node) => [key(node), node]));
  const wanted = new Set(fresh.map(key));
  let at = parent.firstChild;
  for (const node of fresh) {
    while (at && key(at) && !wanted.has(key(at))) at = removed(at);
    const match = key(node) ? known.get(key(node)) : at && !key(at) && at;
    if (!isMatch(match, node)) parent.insertBefore(withKept(node), at);
    else {
      if (match === at) at = at.nextSibling;
      else parent.insertBefore(match, at);
      morph(match, node);
      standIns.set(node, match);
    }
  }
  while (at) at = removed(at);
}

function isMatch(match, node) {
  return marks.has(node) ? marks.get(node) === match : match?.nodeName === node.nodeName;
}

/** Return a fresh node with the kept nodes in the places of their marks. */
function withKept(node) {
  if (marks.has(node)) return marks.get(node);
  const comments = document.createTreeWalker(node, NodeFilter.SHOW_COMMENT);
  const nodes = [];
  while (comments.nextNode()) nodes.push(comments.currentNode);
  for (const mark of nodes) mark.replaceWith(marks.get(mark));
  return node;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function key(node) {
  return (marks.get(node) ?? node).dataset?.key;
}

function morph(node, fresh) {
  if (marks.has(fresh)) return;
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== fresh.nodeValue) node.nodeValue = fresh.nodeValue;
    return;
  }
  morphAttributes(node, fresh);
  if (node.type === "checkbox") Object.assign(node, { checked: fresh.checked, indeterminate: fresh.indeterminate });
  patch(node, ...fresh.childNodes);
}

function morphAttributes(node, fresh) {
  const isTheirs = (name) => name === "open" && node.nodeName === "DETAILS"; // the user opens and closes it
  for (const { name } of [...node.attributes]) {
    if (!fresh.hasAttribute(name) && !isTheirs(name)) node.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (node.getAttribute(name) !== value && !isTheirs(name)) node.setAttribute(name, value);
  }
}
