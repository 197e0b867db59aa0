// The status page: one stream of events, one table, no framework.
const lang = document.documentElement.lang;
const words = {
  pl: { online: "na łączu", never: "jeszcze się nie odezwał", since: "milczy od", ago: "temu", frozen: "rozwidlony strumień", quarantined: "w kwarantannie", unreadable: "czeka na nową wersję", nothing: "–" },
  en: { online: "online", never: "never heard", since: "silent since", ago: "ago", frozen: "forked stream", quarantined: "quarantined", unreadable: "waits for an upgrade", nothing: "–" },
}[lang];
const whole = new Intl.NumberFormat(lang);
const quantity = new Intl.NumberFormat(lang, { maximumFractionDigits: 3 });
const clock = new Intl.DateTimeFormat(lang, { dateStyle: "short", timeStyle: "medium" });
const money = (minor, currency) =>
  new Intl.NumberFormat(lang, { style: "currency", currency }).format(minor / 100);
const bytes = (n) =>
  n < 1024 ? `${n} B` : n < 1048576 ? `${whole.format(Math.round(n / 1024))} KiB` : `${quantity.format(Math.round(n / 10485.76) / 100)} MiB`;
const at = (id) => document.getElementById(id);

function age(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

function cell(row, text, kind = "") {
  const made = row.insertCell();
  made.textContent = text;
  made.className = kind;
  return made;
}

function link(store, now) {
  if (store.online) return [words.online, "on"];
  if (store.heard_ms === null) return [words.never, "off"];
  return [`${words.since} ${clock.format(store.heard_ms)} (${age(now - store.heard_ms)})`, "off"];
}

function trouble(store) {
  const found = [];
  if (store.streams.some((stream) => stream.frozen)) found.push(words.frozen);
  if (store.quarantined) found.push(`${store.quarantined} ${words.quarantined}`);
  if (store.unreadable) found.push(`${store.unreadable} ${words.unreadable}`);
  return found.join(", ");
}

function show(status) {
  const { stores, totals } = status;
  const currency = stores[0]?.currency ?? "PLN";
  at("sales").textContent = whole.format(totals.sales);
  at("value").textContent = money(totals.total_minor, currency);
  at("lines").textContent = whole.format(totals.lines);
  at("online").textContent = `${stores.filter((store) => store.online).length} / ${stores.length}`;
  at("bytes").textContent = totals.sales ? whole.format(Math.round(totals.bytes_in / totals.sales)) : words.nothing;
  at("none").hidden = stores.length > 0;
  const body = document.createElement("tbody");
  body.id = "stores";
  for (const store of stores) {
    const row = body.insertRow();
    const name = row.insertCell();
    const id = document.createElement("b");
    id.textContent = store.id;
    const called = document.createElement("small");
    called.textContent = store.name;
    name.append(id, called);
    cell(row, ...link(store, status.now_ms));
    cell(row, whole.format(store.sales), "n");
    cell(row, whole.format(store.lines), "n");
    cell(row, quantity.format(store.quantity_milli / 1000), "n");
    cell(row, money(store.total_minor, store.currency), "n");
    cell(row, bytes(store.bytes_in), "n");
    cell(row, bytes(store.bytes_out), "n");
    cell(row, store.sales ? whole.format(Math.round(store.bytes_in / store.sales)) : words.nothing, "n");
    cell(row, trouble(store), "bad");
  }
  at("stores").replaceWith(body);
}

const events = new EventSource("/v1/status/events");
events.onmessage = (event) => {
  at("link").hidden = true;
  show(JSON.parse(event.data));
};
events.onerror = async () => {
  at("link").hidden = false;
  if (events.readyState !== EventSource.CLOSED) return;
  // Closed for good: refused. Logged out, or the token is gone.
  location.assign("/login");
};
