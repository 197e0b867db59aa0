// Shows what the node says. Nothing is decided here.

import { ACTIONS, keyOf } from "./actions.js";
import { $, fill, make } from "./dom.js";
import { amount, quantity, weighed } from "./format.js";
import { lasting, t } from "./texts.js";

export const state = {
  till: null, // The till's last answer.
  node: null, // How the node is.
  selected: null, // Number of a line.
  changed: null, // What the last change was about: a line, or {sold}.
  entry: "", // What is being typed.
  nip: "", // Whom the receipt is made out to.
  times: null, // Thousandths for the next scan.
  said: null, // {text, kind}: what the cashier should read.
  lost: false, // The page does not hear the node.
};

const rows = new Map();

/** Take the till's answer, unless a later one is shown. Returns whether it was taken. */
export function take(answer) {
  const before = state.till;
  if (before && answer.version < before.version) return false;
  state.till = answer;
  const were = new Map(before?.lines.map((line) => [line.line, line]) ?? []);
  const moved = answer.lines.findLast((line) => {
    const was = were.get(line.line);
    return !was || was.quantity_milli !== line.quantity_milli || was.discounts.length !== line.discounts.length;
  });
  if (moved && before) {
    state.selected = moved.line;
    state.changed = { line: moved.line };
  }
  if (!answer.lines.some((line) => line.line === state.selected)) {
    state.selected = answer.lines.at(-1)?.line ?? null;
  }
  if (before?.lines.length && !answer.lines.length) state.nip = "";
  if (answer.last && answer.last.uuid !== before?.last?.uuid && !answer.lines.length) {
    state.changed = before || fresh(answer.last) ? { sold: answer.last } : null;
  } else if (!answer.lines.length && before?.lines.length) {
    state.changed = null;
  }
  if (answer.notice && answer.notice !== before?.notice) state.said = { text: answer.notice, kind: "" };
  else if (moved) state.said = null;
  draw();
  if (moved && before) flash(moved.line);
  return true;
}

const fresh = (sale) => Date.now() - Date.parse(sale.at) < 60_000;

export function say(text, kind = "") {
  state.said = text ? { text, kind } : null;
  notice();
}

export function draw() {
  const { lines } = state.till ?? { lines: [] };
  const list = $("lines");
  for (const [id, row] of rows) {
    if (!lines.some((line) => line.line === id)) {
      row.remove();
      rows.delete(id);
    }
  }
  lines.forEach((line, at) => {
    const old = rows.get(line.line);
    const text = JSON.stringify([line, line.line === state.selected]);
    if (old?.dataset.text === text) return;
    const row = lineRow(line, line.line === state.selected);
    row.dataset.text = text;
    if (old) old.replaceWith(row);
    else list.insertBefore(row, list.children[at] ?? null);
    rows.set(line.line, row);
  });
  $("empty").hidden = lines.length > 0;
  sums(lines);
  now(lines);
  way();
  notice();
  entry();
  rows.get(state.selected)?.scrollIntoView({ block: "nearest" }); // when all has its place
}

function flash(id) {
  const row = rows.get(id);
  row?.classList.add("fresh");
}

function lineRow(line, selected) {
  const notes = [];
  if (line.deposit_minor) notes.push(make("small", {}, t("deposit-line", { n: quantity(line.quantity_milli, line.unit), x: amount(line.deposit_minor) })));
  for (const one of line.discounts) notes.push(make("small.off", {}, `${one.reason} −${amount(one.amount_minor)}`));
  if (line.age_min > line.age_checked) notes.push(make("small.ask", {}, t("check-age", { n: line.age_min })));
  else if (line.age_min) notes.push(make("small", {}, t("age-checked", { n: line.age_min })));
  const each = weighed(line.unit) ? `${amount(line.unit_minor)} /${line.unit}` : amount(line.unit_minor);
  return make(
    "li.row",
    { "data-line": line.line, "aria-current": selected ? "true" : null },
    make("span.q", {}, quantity(line.quantity_milli, line.unit)),
    make("span.n", {}, line.name, notes),
    make("span.p", {}, each),
    make("span.s", {}, amount(line.total_minor)),
  );
}

function sums(lines) {
  const till = state.till;
  $("total").textContent = amount(till?.total_minor ?? 0);
  const off = lines.reduce((sum, line) => sum + line.discounts.reduce((all, one) => all + one.amount_minor, 0), 0);
  const pieces = lines.filter((line) => !weighed(line.unit)).reduce((sum, line) => sum + line.quantity_milli, 0);
  const parts = [];
  if (state.nip && lines.length) parts.push(make("dt", {}, t("action-nip")), make("dd", {}, state.nip));
  if (lines.length) parts.push(make("dt", {}, t("lines", { n: lines.length })), make("dd", {}, pieces ? quantity(pieces, "").replace(" ×", ` ${t("pieces")}`) : ""));
  if (off) parts.push(make("dt", {}, t("discounts")), make("dd", {}, `−${amount(off)}`));
  if (till?.deposits_minor) parts.push(make("dt", {}, t("deposits")), make("dd", {}, amount(till.deposits_minor)));
  fill($("sums"), parts);
}

function now(lines) {
  const place = $("now");
  const sold = state.changed?.sold;
  place.classList.toggle("change", Boolean(sold));
  if (sold && sold.stage !== "closed") {
    fill(place, make("div", {}, make("h1", {}, t("waits-payment")), make("p.mut", {}, t("receipt", { n: `${sold.receipt_series}/${sold.receipt_number}`, x: amount(sold.total_minor) }))), make("span.price", {}, "…"));
    return;
  }
  if (sold) {
    const change = sold.change_minor > 0;
    fill(
      place,
      make("div", {}, make("h1", {}, change ? t("change") : t("sold")), make("p.mut", {}, t("receipt", { n: `${sold.receipt_series}/${sold.receipt_number}`, x: amount(sold.total_minor) }))),
      make("span.price", {}, change ? amount(sold.change_minor) : "✓"),
    );
    return;
  }
  const line = lines.find((one) => one.line === state.selected);
  if (!line) {
    fill(place, make("h1.mut", {}, t("ready")), make("span.price", {}));
    return;
  }
  const each = weighed(line.unit) ? ` /${line.unit}` : "";
  fill(
    place,
    make("h1", {}, line.name),
    make("span.price", {}, `${amount(line.unit_minor)} zł${each}`),
    make("span.mut", {}, [line.vat && t("vat", { x: line.vat }), line.sku].filter(Boolean).join(" · ")),
    make("span.mut", {}, quantity(line.quantity_milli, line.unit)),
  );
}

/** Sales that a terminal or the fiscal printer is at, and what was taken already. */
function way() {
  const till = state.till;
  const here = (till?.under_way ?? []).filter((one) => !one.aside);
  const parts = here.map((one) => [
    make("b", {}, t("open-sale", { x: `${one.receipt} · ${amount(one.total_minor)} zł` })),
    one.payments.map((part) => make("span", {}, `${known(part.method)} ${amount(part.amount_minor)}: ${t(`attempt-${part.state}`)}`)),
    one.waits_for === "payment" || one.waits_for === "nothing" ? null : make("span", {}, t(`waits-${one.waits_for}`)),
    [one.problem || one.payments.find((part) => part.problem)?.problem, one.cure || one.payments.find((part) => part.cure)?.cure].filter(Boolean).map((text) => make("span.mut", {}, text)),
  ]);
  const held = (till?.held ?? []).map((part) => make("span", {}, t("held", { x: amount(part.amount_minor), y: known(part.method) })));
  const told = new Set((till?.under_way ?? []).map((one) => one.receipt));
  const others = (state.node?.open_sales ?? []).filter((one) => !told.has(one.receipt));
  parts.push(others.map((one) => make("span", {}, `${t("open-sale", { x: `${one.receipt} · ${amount(one.total_minor)} zł` })}: ${t(`waits-${one.waits_for}`)}`)));
  fill($("way"), parts.flat(2), held, here.length || held.length ? make("div.buttons", {}, make("button", { "data-do": "cancel-payment" }, t("cancel-payment")), here.length ? make("button", { "data-do": "aside" }, t("aside")) : "") : "");
  $("way").hidden = !here.length && !held.length && !others.length;
}

const known = (method) => (["cash", "card", "blik"].includes(method) ? t(`action-${method}`) : method);

function notice() {
  const place = $("notice");
  place.hidden = !state.said;
  place.textContent = state.said?.text ?? "";
  place.className = `tell ${state.said?.kind ?? ""}`;
}

export function entry() {
  const shown = state.entry || state.times;
  $("entry").hidden = !shown;
  if (!shown) return;
  $("entry-label").textContent = state.times ? `${quantity(state.times, "")}` : t("typed");
  $("entry-text").textContent = state.entry;
}

export function drawNode() {
  const node = state.node;
  const pill = $("link");
  let [kind, text] = ["gone", t("node-gone")];
  if (!state.lost && node) {
    const waits = node.waiting ? t("waiting", { n: node.waiting }) : "";
    if (["live", "polling"].includes(node.link)) [kind, text] = ["on", [t("online"), waits].filter(Boolean).join(" · ")];
    else {
      const since = node.link === "connecting" ? "" : ` ${lasting(node.now_ms - node.since_ms)}`;
      [kind, text] = ["off", [t(node.link === "refused" ? "link-refused" : "offline") + since, waits].filter(Boolean).join(" · ")];
    }
  }
  pill.className = `pill ${kind}`;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
  if (!node) return;
  way();
  $("shop").textContent = node.shop;
  fill($("devices"), node.devices.map(device));
  document.title = `karb · ${state.till?.till ?? ""}`;
  if (node.disk_full) say(t("disk-full"), "bad");
}

function device(one) {
  const well = one.state === "connected" && !one.problem;
  const kind = one.driver.split(".")[0];
  const name = t(`device-${kind}`);
  return make(well ? "li" : "li.bad", { title: [one.id, one.problem, one.cure].filter(Boolean).join(" ") }, `${name === `device-${kind}` ? one.id : name} ${well ? "✓" : "✗"}`);
}

export function drawActions() {
  fill(
    $("actions"),
    ACTIONS.filter(([, , row]) => row).map(([name]) => {
      const key = keyOf(name);
      const label = name === "park" && !state.till?.lines.length ? t("action-recall") : t(`action-${name}`);
      return make("button", { "data-do": name, "aria-keyshortcuts": key || null }, key && make("kbd", {}, key), make("span", {}, label));
    }),
  );
  for (const name of ["cash", "card", "blik"]) {
    const key = keyOf(name);
    fill(document.querySelector(`.pay [data-do="${name}"]`), t(`action-${name}`), key && make("small", {}, make("kbd", {}, key)));
  }
}
