// What is said, in the page's language. A text is named; "{x}" in it is filled in, and where the
// text is an object, the plural form of `n` is taken.

const language = document.documentElement.lang;
const known = await (await fetch(`/pages/${language}.json`)).json();
const plural = new Intl.PluralRules(language);

export function t(name, values = {}) {
  let text = known[name];
  if (text === undefined) return name;
  if (typeof text === "object") text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, word) => values[word] ?? "");
}

/** A length of time in the two largest of its units. */
export function lasting(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  if (days) return t("days-hours", { d: days, h: hours });
  return hours ? t("hours-minutes", { h: hours, m: minutes % 60 }) : t("minutes", { m: minutes });
}

/** A business day, told as 20260131, as people read it: 2026-01-31. */
export const asDay = (day) => String(day).replace(/^(\d{4})(\d{2})(\d{2})$/, "$1-$2-$3");
