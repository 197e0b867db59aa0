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
    facts: "faktów", unsafe: (n) => `${n} bez kopii`, newest: (t) => `ostatni ${t} temu`,
    revoked: "cofnięty", carried: "przyniósł sąsiad", everywhere: "wszystkie sklepy",
    nothing: "Nic. Wszystko rozstrzygnięte.", idle: "Nic.", cure: "Co zrobić",
    till: "kasa", promise: "Obietnica", document: "Dokument", oldest: (t) => `najstarsze od ${t}`,
    more: (n) => `i ${n} dalszych: GET /v1/exceptions`, pieces: "szt. lub kg", office: "centrala",
  },
  en: {
    online: "online", never: "never heard", heard: "heard, no live link",
    silent: "silent for", since: "since", lost: "Head office does not answer; still trying",
    stores: (on, all) => `${on} of ${all} online`, none: "no stores",
    frozen: "forked stream", quarantined: "quarantined",
    stale: "lines at a price that was over",
    unreadable: "waiting for an upgrade", lines: "lines", units: "pcs and kg", each: "B/receipt",
    received: "Received", sent: "Sent", stick: "Stick refused",
    facts: "facts", unsafe: (n) => `${n} not backed up`, newest: (t) => `newest ${t} ago`,
    revoked: "revoked", carried: "brought by a neighbour", everywhere: "all stores",
    nothing: "Nothing. All is decided.", idle: "Nothing.", cure: "What to do",
    till: "till", promise: "Promise", document: "Document", oldest: (t) => `the oldest for ${t}`,
    more: (n) => `and ${n} more: GET /v1/exceptions`, pieces: "pcs or kg", office: "head office",
  },
}[lang];
// What an exception is, what it means, and what a person can do about it.
const oddities = {
  pl: {
    short: ["Zamówienie nie do wydania", "W sklepie zabrakło towaru, a żadne inne miejsce nie może go obiecać.", "Dowieź towar albo odwołaj: karb-central promise give-up."],
    gone: ["Zarezerwowano więcej, niż jest", "Na półce jest mniej, niż obiecano kupującym.", "Niech sklep sprawdzi; czego brak, obieca inne miejsce."],
    "below zero": ["Oddano więcej, niż było", "Ktoś oddał, obiecał lub sprzedał więcej, niż miał prawo.", "Policz towar; do pokrycia tyle samo jest wstrzymane."],
    "recalled twice": ["Koszyk przy dwóch kasach", "Przy rozłączonych węzłach dwie kasy wzięły ten sam odłożony koszyk.", "Kierownik w sklepie wskazuje, która sprzedaje."],
    "sold twice": ["Koszyk sprzedany dwa razy", "Ten sam odłożony koszyk zapłacono przy dwóch kasach.", "Sprawdź, czy towar wydano dwa razy; zwrot robi sklep."],
    "sold by another": ["Koszyk sprzedał ktoś inny", "Koszyk zapłacono przy innej kasie niż ta, która go miała.", "Kierownik w sklepie obejrzy i potwierdzi."],
    "late change": ["Spóźniona zmiana", "Zmiana nadeszła po zakończeniu dokumentu i nie jest w nim.", "Kierownik w sklepie obejrzy i potwierdzi."],
    "lost generation": ["Dwie wersje dokumentu", "Dokument rozpoczęto od nowa w dwóch miejscach; jedna wersja nie liczy się.", "Porównaj je i potwierdź w sklepie."],
    "unusable change": ["Nieczytelna zmiana", "Zmiana dokumentu nie ma sensu i została pominięta.", "Obejrzyj dokument i potwierdź w sklepie."],
    quarantined: ["Fakty w kwarantannie", "Nie mogą być tym, co mówią; zachowane, nieliczone.", "GET /v1/quarantine mówi które i dlaczego."],
    frozen: ["Rozwidlony strumień", "Dwie gałęzie tej samej maszyny: dysk przywrócono lub sklonowano.", "karb-central stream list, potem stream close."],
    unreadable: ["Fakty nowszej wersji", "Zachowane i przekazywane, policzone po aktualizacji.", "Zaktualizuj centralę."],
    stale: ["Sprzedane po nieaktualnej cenie", "Sklep nie znał jeszcze nowej ceny; paragony zostają, jakie są.", "Do wiadomości."],
  },
  en: {
    short: ["Order nobody can serve", "The store was short of it, and no other place can promise it.", "Bring goods in, or give up: karb-central promise give-up."],
    gone: ["More reserved than is there", "Less is on the shelf than was promised to buyers.", "Have the store look; what it is short of is promised elsewhere."],
    "below zero": ["More given than was held", "Somebody gave, promised or sold more than it held.", "Count the article; as much is kept back until it is covered."],
    "recalled twice": ["Basket at two tills", "Two tills that were apart took the same basket back.", "A manager in the store says which one sells it."],
    "sold twice": ["Basket sold twice", "The same basket was paid at two tills.", "See whether the goods went out twice; the store refunds."],
    "sold by another": ["Basket sold by another till", "It was paid at another till than the one that had it.", "A manager in the store looks and confirms."],
    "late change": ["Late change", "It came after the document had ended, and is not in it.", "A manager in the store looks and confirms."],
    "lost generation": ["Two versions of a document", "It was begun anew in two places; one version does not count.", "Compare them, and confirm in the store."],
    "unusable change": ["Change that makes no sense", "A change of the document was left out.", "Look at the document, and confirm in the store."],
    quarantined: ["Quarantined facts", "They cannot be what they say; kept, never counted.", "GET /v1/quarantine says which and why."],
    frozen: ["Forked stream", "Two branches of one machine: a disk was restored or cloned.", "karb-central stream list, then stream close."],
    unreadable: ["Facts of a newer version", "Kept and passed on; counted after the upgrade.", "Upgrade head office."],
    stale: ["Sold at a price that was over", "The store had not heard the new price yet; receipts stay as they are.", "For your information."],
  },
}[lang];
const pending = {
  pl: { promise: "Obietnice niepotwierdzone", order: "Zamówienia bez odpowiedzi sklepu", transfer: "Przesunięcia w drodze", backup: "Fakty bez kopii zapasowej" },
  en: { promise: "Promises not confirmed", order: "Orders the store has not answered", transfer: "Transfers under way", backup: "Facts in no backup yet" },
}[lang];
const LATELY_MS = 60_000;
const ASK_MS = 3_000;
const MOST = 50;
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

function nodeRow(body, node, now) {
  const row = body.insertRow();
  row.className = "node";
  cell(row, "", element("span", node.name));
  const state = node.revoked ? [element("span", words.revoked, "tag bad")] : link(node, now);
  // Its own link is down, and what it wrote comes all the same.
  const carried = !node.online && !node.revoked && node.newest_ms !== null
    && node.newest_ms - (node.heard_ms ?? 0) > 1000;
  cell(row, "", ...state, ...(carried ? [element("small", words.carried)] : []));
  cell(row, "n", element("span", `${whole.format(node.facts)} ${words.facts}`));
  cell(row, "n", element("span", node.newest_ms === null ? "–" : words.newest(age(now - node.newest_ms))),
    ...(node.unsafe ? [element("small", words.unsafe(whole.format(node.unsafe)))] : []));
  cell(row, "n", element("span", bytes(node.bytes_in))).dataset.what = words.received;
  cell(row, "n", element("span", bytes(node.bytes_out))).dataset.what = words.sent;
}

function item(kind, title, place, text, cure, detail) {
  const made = document.createElement("li");
  made.className = kind;
  const head = element("p", "", "what");
  head.append(element("b", title), " ", element("span", place, "where"));
  made.append(head);
  if (detail) made.append(element("p", detail, "about"));
  if (text) made.append(element("p", text));
  if (cure) {
    const todo = element("p", "", "cure");
    todo.append(element("span", `${words.cure}: `, "mut"), cure);
    made.append(todo);
  }
  return made;
}

function explained(kind, place, detail) {
  const [title, text, cure] = oddities[kind] ?? [kind, "", ""];
  return item("bad", title, place, text, cure, detail);
}

// What the status itself tells, and what GET /v1/exceptions adds.
function showInbox() {
  if (!last || !asked.exceptions) return;
  const name = Object.fromEntries(last.stores.map((store) => [store.id, store.name]));
  const place = (id) => (id ? name[id] ?? id : words.everywhere);
  const found = [];
  const nodes = Object.fromEntries(last.stores.flatMap((store) => store.nodes.map((node) => [node.node, node.name])));
  for (const one of asked.exceptions.stock) {
    const much = one.sku ? `${one.sku}: ${quantity.format(one.quantity_milli / 1000)} ${words.pieces}` : "";
    const [node] = one.holder.split(" ");
    const whose = one.promise ? `${words.promise} ${one.promise}` : nodes[node] ?? (node === "web" ? words.office : node);
    found.push(explained(one.kind, place(one.store), [much, whose].filter(Boolean).join(" · ")));
  }
  for (const one of asked.exceptions.exceptions) {
    const tills = one.recalls.map((recall) => `${words.till} ${recall.till}, ${clock.format(recall.at_ms)}`);
    found.push(explained(one.what, place(one.store), `${words.document} ${one.document}${tills.length ? `: ${tills.join("; ")}` : ""}`));
  }
  for (const store of last.stores) {
    const counts = {
      frozen: store.streams.filter((stream) => stream.frozen).length,
      quarantined: store.quarantined, unreadable: store.unreadable, stale: store.stale_prices,
    };
    for (const [kind, count] of Object.entries(counts))
      if (count) found.push(explained(kind, `${place(store.id)} · ${whole.format(count)}`, ""));
  }
  const count = at("inbox-count");
  count.textContent = whole.format(found.length);
  count.className = found.length ? "count bad" : "count on";
  const shown = found.length ? found.slice(0, MOST) : [element("li", words.nothing, "mut")];
  if (found.length > MOST) shown.push(element("li", words.more(whole.format(found.length - MOST)), "mut"));
  at("inbox").replaceChildren(...shown);
}

function showWaiting() {
  if (!last || !asked.waiting) return;
  const now = last.now_ms;
  const name = Object.fromEntries(last.stores.map((store) => [store.id, store.name]));
  const found = asked.waiting.map((one) => [`${pending[one.kind] ?? one.kind}`, name[one.store] ?? one.store, one.count,
    words.oldest(age(now - one.oldest_ms))]);
  for (const store of last.stores) {
    const unsafe = store.nodes.reduce((sum, node) => sum + node.unsafe, 0);
    if (unsafe) found.push([pending.backup, store.name, unsafe, ""]);
  }
  const rows = found.map(([title, place, count, old]) => {
    const row = document.createElement("li");
    row.className = "wait";
    row.append(element("b", whole.format(count)), element("span", title), element("span", place, "where"),
      element("span", old, "mut"));
    return row;
  });
  at("waiting").replaceChildren(...(rows.length ? rows : [element("li", words.idle, "mut")]));
}

let last = null;
const asked = {};
let asking = false;
let askedAt = 0;

async function ask() {
  if (asking || Date.now() - askedAt < ASK_MS) return;
  asking = true;
  try {
    const [exceptions, waiting] = await Promise.all(
      ["/v1/exceptions", "/v1/waiting"].map(async (path) => {
        const answer = await fetch(path);
        if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
        return answer.json();
      }));
    Object.assign(asked, { exceptions, waiting: waiting.waiting });
    showInbox();
    showWaiting();
  } catch (error) {
    console.warn(error); // the stream of events tells when head office does not answer
  } finally {
    askedAt = Date.now();
    asking = false;
  }
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

function show(status) {
  const { stores, totals, now_ms: now, refused_sticks: sticks } = status;
  last = status;
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
    if (store.nodes.length > 1)
      for (const node of [...store.nodes].sort((a, b) => a.name.localeCompare(b.name))) nodeRow(body, node, now);
  }
  at("stores").replaceWith(body);
  showInbox();
  showWaiting();
  ask();
}

const events = new EventSource("/v1/status/events");
events.onmessage = (event) => show(JSON.parse(event.data));
events.onerror = () => {
  tell(words.lost, "bad");
  // Closed for good: refused. Logged out, or the token is gone.
  if (events.readyState === EventSource.CLOSED) location.assign("/login");
};
