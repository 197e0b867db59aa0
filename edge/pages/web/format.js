// Money is a whole number of grosz, quantity one of thousandths: never a fraction in between.

const language = document.documentElement.lang;
const money = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const count = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });
const weight = new Intl.NumberFormat(language, { minimumFractionDigits: 3 });
export const comma = money.format(0.5).includes(",") ? "," : ".";

/** Units that are counted, not weighed. */
const PIECES = new Set(["", "szt", "szt.", "op", "op.", "pcs", "pc", "kpl"]);

export const weighed = (unit) => !PIECES.has(unit.toLowerCase());

/** 1299 as 12,99. */
export const amount = (minor) => money.format((minor || 0) / 100).replace("-", "−");

/** 1500 of kg as 1,500 kg, 2000 of szt as 2 ×. */
export const quantity = (milli, unit) =>
  weighed(unit) ? `${weight.format(milli / 1000)} ${unit}` : `${count.format(milli / 1000)} ×`;

/** What was typed, as whole units of its last place; null where it is no number. "12,5" of 2 is 1250. */
export function typed(text, places) {
  const found = /^(\d{0,9})(?:[.,](\d*))?$/.exec(text);
  if (!found || (!found[1] && !found[2])) return null;
  const after = found[2] ?? "";
  if (after.length > places) return null;
  return Number((found[1] || "0") + after.padEnd(places, "0"));
}

/** A part of an amount, half up; `hundredths` of a percent: 1250 is 12,5 %. */
export const share = (minor, hundredths) => Math.floor((minor * hundredths + 5000) / 10_000);
