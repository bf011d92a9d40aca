/** A few words for the document. */

const SVG = "http://www.w3.org/2000/svg";
// Of the server's drawings the page takes shapes and text, nothing that runs, loads or has an id.
const SHAPES = new Set("svg g rect path text tspan line polyline polygon circle ellipse title desc".split(" "));
const ATTRIBUTES = new Set((
  "viewBox class data-unit d x y dx dy x1 y1 x2 y2 cx cy r rx ry width height points transform " +
  "fill stroke stroke-width stroke-dasharray stroke-linecap stroke-linejoin text-anchor dominant-baseline font-size " +
  "font-weight font-style opacity").split(" "));

/** An element: element("p", {className: "quiet"}, "text", child). */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** An SVG element with attributes. */
export function shape(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A drawing of the server: a copy of what is harmless in it. */
export function drawing(text) {
  const copy = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
    if (node.namespaceURI !== SVG || !SHAPES.has(node.localName)) return "";
    const kept = [...node.attributes].filter(({ name }) => ATTRIBUTES.has(name));
    const made = shape(node.localName, Object.fromEntries(kept.map(({ name, value }) => [name, value])));
    made.append(...[...node.childNodes].map(copy));
    return made;
  };
  return copy(new DOMParser().parseFromString(text, "image/svg+xml").documentElement);
}

/** 96231 as "96,231", -3 with a real minus. */
export const count = (number) => number.toLocaleString("en-US").replace("-", "\u2212");
