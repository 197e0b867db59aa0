// What can be done at the till, and on which key. Keys are kept in this browser.

/** Name, its key unless changed, and whether it stands in the row at the bottom. */
export const ACTIONS = [
  ["help", "F1", true],
  ["search", "F2", true],
  ["price", "F3", true],
  ["nip", "F4", true],
  ["quantity", "F6", true],
  ["void", "F7", true],
  ["discount", "F8", true],
  ["cash", "F9", false],
  ["card", "F10", false],
  ["blik", "", false],
  ["park", "F11", true],
  ["lock", "F12", true],
  ["more", "F5", true],
];

const KEPT = "karb.keys";

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

/** Return action by key. */
export function keys() {
  const own = kept();
  const taken = new Set(Object.values(own));
  const map = new Map();
  for (const [action, key] of ACTIONS) {
    const now = own[action] ?? (taken.has(key) ? "" : key);
    if (now) map.set(now, action);
  }
  return map;
}

/** The key of an action; empty if it has none. */
export const keyOf = (action) => [...keys()].find(([, name]) => name === action)?.[0] ?? "";

export function rebind(action, key) {
  const own = Object.fromEntries(Object.entries(kept()).filter(([, taken]) => taken !== key));
  localStorage.setItem(KEPT, JSON.stringify({ ...own, [action]: key }));
}

export const restore = () => localStorage.removeItem(KEPT);
