// Elements are made here and filled with text, never with markup: what a name in the catalogue
// looks like, it cannot become.

export const $ = (id) => document.getElementById(id);

/** make("b.big#x", {title: "…"}, "text", child, …) */
export function make(kind, attributes = {}, ...children) {
  const [, tag, id, classes] = /^([a-z0-9]+)(?:#([\w-]+))?((?:\.[\w-]+)*)$/.exec(kind);
  const made = document.createElement(tag);
  if (id) made.id = id;
  if (classes) made.className = classes.slice(1).replaceAll(".", " ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export const fill = (element, ...children) => {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
};
