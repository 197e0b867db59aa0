// The status page: one stream of events, one table, no framework.
const lang = document.documentElement.lang;
const words = {
  pl: {
    online: "na łączu", never: "jeszcze się nie odezwał", heard: "słychać, bez stałego łącza",
    silent: "milczy od", since: "od", lost: "Centrala nie odpowiada; próbuję dalej",
    stores: (on, all) => `${on} z ${all} na łączu`, none: "brak sklepów",
    frozen: "rozwidlony strumień", quarantined: "w kwarantannie",
    stale: "pozycji po nieaktualnej cenie",
    unreadable: "czeka na nową wersję", lines: "pozycji", units: "szt. i kg", each: "B/paragon",
    received: "Odebrano", sent: "Wysłano", stick: "Odrzucony nośnik",
  },
  en: {
    online: "online", never: "never heard", heard: "heard, no live link",
    silent: "silent for", since: "since", lost: "Head office does not answer; still trying",
    stores: (on, all) => `${on} of ${all} online`, none: "no stores",
    frozen: "forked stream", quarantined: "quarantined",
    stale: "lines at a price that was over",
    unreadable: "waiting for an upgrade", lines: "lines", units: "pcs and kg", each: "B/receipt",
    received: "Received", sent: "Sent", stick: "Stick refused",
  },
}[lang];
const LATELY_MS = 60_000;
const whole = new Intl.NumberFormat(lang, { useGrouping: "always" });
const quantity = new Intl.NumberFormat(lang, { maximumFractionDigits: 3, useGrouping: "always" });
const short = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { dateStyle: "short", timeStyle: "short" });
const money = (minor, currency) =>
  new Intl.NumberFormat(lang, { style: "currency", currency, useGrouping: "always" }).format(minor / 100);
const at = (id) => document.getElementById(id);

function bytes(n) {
  if (n < 1024) return `${n} B`;
  return n < 1 << 20 ? `${short.format(n / 1024)} KiB` : `${short.format(n / 1048576)} MiB`;
}

function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  return h < 48 ? `${h} h ${min % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

function element(tag, text, kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = kind;
  return made;
}

function cell(row, kind, ...content) {
  const made = row.insertCell();
  made.className = kind;
  made.append(...content);
  return made;
}

function link(store, now) {
  if (store.online) return [element("span", words.online, "tag on")];
  if (store.heard_ms === null) return [element("span", words.never, "tag none")];
  const silent = now - store.heard_ms;
  if (silent < LATELY_MS) return [element("span", words.heard, "tag none")];
  return [
    element("span", `${words.silent} ${age(silent)}`, "tag off"),
    element("small", `${words.since} ${clock.format(store.heard_ms)}`),
  ];
}

function troubles(store) {
  const found = [];
  if (store.streams.some((stream) => stream.frozen)) found.push(words.frozen);
  if (store.stale_prices) found.push(`${whole.format(store.stale_prices)} ${words.stale}`);
  if (store.quarantined) found.push(`${whole.format(store.quarantined)} ${words.quarantined}`);
  if (store.unreadable) found.push(`${whole.format(store.unreadable)} ${words.unreadable}`);
  return found;
}

function tell(text, kind) {
  const link = at("link");
  if (link.textContent !== text) link.textContent = text;
  link.className = `tag ${kind}`;
}

function show({ stores, totals, now_ms: now, refused_sticks: sticks }) {
  const online = stores.filter((store) => store.online).length;
  if (!stores.length) tell(words.none, "none");
  else tell(words.stores(online, stores.length), online === stores.length ? "on" : "off");
  at("sales").textContent = whole.format(totals.sales);
  at("value").textContent = money(totals.total_minor, stores[0]?.currency ?? "PLN");
  at("lines").textContent = whole.format(totals.lines);
  at("received").textContent = bytes(totals.bytes_in);
  at("bytes").textContent = totals.sales ? whole.format(Math.round(totals.bytes_in / totals.sales)) : "–";
  at("none").hidden = stores.length > 0;
  at("sticks").replaceChildren(...sticks.map(({ read_ms: when, reason }) =>
    element("li", `${words.stick}, ${clock.format(when)}: ${reason}`)));
  const body = document.createElement("tbody");
  body.id = "stores";
  for (const store of stores) {
    const row = body.insertRow();
    const wrong = troubles(store).map((text) => element("span", text, "tag bad"));
    row.className = wrong.length ? "trouble" : "";
    cell(row, "", element("b", store.name), element("small", store.id));
    cell(row, "", ...link(store, now), ...wrong.flatMap((tag) => [document.createElement("br"), tag]));
    cell(row, "n", element("span", whole.format(store.sales)),
      element("small", `${whole.format(store.lines)} ${words.lines}`));
    cell(row, "n sum", element("span", money(store.total_minor, store.currency)),
      element("small", `${quantity.format(store.quantity_milli / 1000)} ${words.units}`));
    const each = store.sales ? `${whole.format(Math.round(store.bytes_in / store.sales))} ${words.each}` : "";
    cell(row, "n", element("span", bytes(store.bytes_in)), ...(each ? [" ", element("small", each)] : [])).dataset.what = words.received;
    cell(row, "n", element("span", bytes(store.bytes_out))).dataset.what = words.sent;
  }
  at("stores").replaceWith(body);
}

const events = new EventSource("/v1/status/events");
events.onmessage = (event) => show(JSON.parse(event.data));
events.onerror = () => {
  tell(words.lost, "bad");
  // Closed for good: refused. Logged out, or the token is gone.
  if (events.readyState === EventSource.CLOSED) location.assign("/login");
};
