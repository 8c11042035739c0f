// Elements. Whatever comes from a job is put in as text; nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Attributes that are null, undefined or false are left out; on… are listeners. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** Put other children in, unless they say the same: what has the focus keeps it. */
export function put(element, ...children) {
  const fresh = h("div", null, ...children);
  if (element.innerHTML !== fresh.innerHTML) element.replaceChildren(...fresh.childNodes);
}

/** Set an element's text only when it is another one. */
export function text(element, value) {
  const wanted = String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Make the children of an element follow a list: one child for each item, found again by its
 * key, so that no row is made anew under somebody's cursor.
 */
export function follow(parent, items, key, make) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = old.get(name);
    if (child) {
      old.delete(name);
      child.update(item);
    } else {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of old.values()) child.remove();
}

/** A row of a table, with cells that `update` fills from an item. */
export function row(cells, update, attributes) {
  const element = h("tr", attributes, cells);
  element.update = (item) => update(item, element);
  return element;
}

/** Say something to those who can't see it change. */
export function say(message) {
  const place = document.getElementById("say");
  // The same words twice would not be read twice.
  place.textContent = place.textContent === message ? `${message}\u00a0` : message;
}
