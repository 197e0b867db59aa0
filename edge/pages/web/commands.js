// What the cashier does: each asks the node for one thing, and shows what it answers.

import { ACTIONS, keyOf, rebind, restore } from "./actions.js";
import { ask, insist, Refused, Unanswered } from "./api.js";
import * as dialog from "./dialog.js";
import { $, fill, make } from "./dom.js";
import { amount, quantity, share, weighed } from "./format.js";
import { asDay, lasting, t } from "./texts.js";
import { giveBack } from "./returns.js";
import { draw, drawActions, say, state, take } from "./view.js";

const till = document.documentElement.dataset.till;
const base = `/v1/tills/${till}`;
let checking = null; // Where a scan goes while a price is asked for.

/** Who sells: whose PIN the node has seen; where it knows nobody, whoever says so. */
let named = sessionStorage.getItem("karb.cashier") ?? "";
const who = () => (state.till?.staffed ? state.till.cashier : named);

/** Whether nobody may sell here before a PIN. */
export const closed = () => Boolean(state.till?.staffed && (!state.till.cashier || state.till.locked));
let entering = false;

/** Tell why something was not done; the basket is looked at again where nobody knows. */
async function failed(error) {
  if (error instanceof Unanswered) {
    say(t("unanswered"), "bad");
    try {
      take(await ask("GET", base));
    } catch {
      // The line at the top says so already.
    }
  } else if (error instanceof Refused) {
    const code = error.status === 404 && error.problem.title === "Unknown article";
    say(code ? t("unknown-code", { x: error.message }) : error.message, code ? "" : "bad");
    knock();
  } else throw error;
}

/** Two low notes: a refusal is heard by somebody who looks at the goods. */
let sound = null;
function knock() {
  try {
    sound ??= new AudioContext();
    for (const [at, pitch] of [[0, 220], [0.16, 165]]) {
      const [tone, volume] = [sound.createOscillator(), sound.createGain()];
      tone.frequency.value = pitch;
      volume.gain.value = 0.12;
      tone.connect(volume).connect(sound.destination);
      tone.start(sound.currentTime + at);
      tone.stop(sound.currentTime + at + 0.12);
    }
  } catch {
    // A browser without sound sells all the same.
  }
}

async function change(method, path, body) {
  try {
    take(await ask(method, base + path, body));
    drawActions();
    return true;
  } catch (error) {
    await failed(error);
    return false;
  }
}

/** Scans go one after the other, in the order they came. */
let line = Promise.resolve();

export async function scan(code, { unit = "", name = "" } = {}) {
  if (checking) return checking(code);
  if (closed()) return commands.login();
  let milli = state.times;
  state.times = null;
  if (milli === null && weighed(unit)) {
    const given = await dialog.pad(t("how-heavy", { x: name }), { places: 3, unit, check: (value) => (value > 0 ? "" : t("weigh")) });
    if (!given) return;
    milli = given.value;
  }
  line = line.then(() => scanned(code, milli)).catch((error) => say(error.message, "bad"));
  await line;
}

async function scanned(code, milli) {
  const before = new Set(state.till?.lines.map((one) => one.line));
  try {
    const answer = await ask("POST", `${base}/scans`, milli === null ? { code } : { code, quantity_milli: milli });
    const got = answer.lines.find((one) => !before.has(one.line));
    take(answer);
    drawActions();
    dialog.pad.refresh?.();
    if (got && weighed(got.unit) && milli === null && !dialog.open()) commands.quantity().catch((error) => say(error.message, "bad"));
  } catch (error) {
    await failed(error);
  }
}

const selected = () => state.till?.lines.find((one) => one.line === state.selected);

function chosen() {
  const found = selected();
  if (!found) say(t("choose-line"));
  return found;
}

/** Ten digits whose last one follows from the others. */
const nipHolds = (nip) => /^\d{10}$/.test(nip) && [6, 5, 7, 2, 3, 4, 5, 6, 7].reduce((sum, weight, n) => sum + weight * Number(nip[n]), 0) % 11 === Number(nip[9]);

/** Ask for a payment, and go on asking: the same id is the same sale. */
async function pay(asked) {
  const body = state.nip ? { ...asked, buyer: { nip: state.nip } } : asked;
  sessionStorage.setItem("karb.paying", JSON.stringify(body));
  try {
    const sale = await insist("POST", `${base}/payments`, body);
    sessionStorage.removeItem("karb.paying");
    if (sale.stage === "closed") state.changed = { sold: sale };
    say(sale.stage === "closed" ? "" : t("sale-waits", { x: `${sale.receipt_series}/${sale.receipt_number}` }));
    take(await ask("GET", base));
    if (!state.till.lines.length && sale.stage === "closed") state.changed = { sold: sale };
    draw();
    drawActions();
  } catch (error) {
    if (!(error instanceof Unanswered)) sessionStorage.removeItem("karb.paying");
    if (error.problem?.title === "Beyond right" && !body.approved_by) {
      const manager = await approval(error.message);
      return manager ? pay({ ...body, approved_by: manager }) : say(error.message, "bad");
    }
    await failed(error);
  }
}

/** Ask somebody for a PIN: who it is by a name, or a badge; null where they go away. */
async function proof(title, people) {
  let badge = null;
  checking = (code) => dialog.close({ user: (badge = code) });
  const one = await dialog.pick(title, {
    find: async () => people,
    hint: t("login-badge"),
    row: (found) => [make("span", {}, found.name), make("b", {}, found.role === "manager" ? t("manager") : "")],
  });
  checking = null;
  if (!one) return null;
  const pin = await dialog.pad(`${t("pin")}${badge ? "" : `: ${one.name}`}`, { secret: true, places: 0, check: (text) => (text.length < 4 ? t("pin-short") : "") });
  return pin && { who: one.user, pin: pin.value };
}

/** Have a manager let something through; returns who did. */
async function approval(what) {
  const { staff } = await ask("GET", "/v1/staff");
  const managers = staff.filter((one) => one.role === "manager" && one.user !== who());
  if (!managers.length) return null;
  const given = await proof(t("approval-title"), managers);
  if (!given) return null;
  try {
    return (await ask("POST", `${base}/approvals`, { ...given, what: what.slice(0, 100) })).approved_by;
  } catch (error) {
    await failed(error);
    return null;
  }
}

/** Check what must be before anybody pays. Returns whether it is. */
async function ready() {
  if (!state.till?.lines.length) {
    say(t("nothing-to-pay"));
    return false;
  }
  if (closed()) return commands.login().then(() => false);
  if (!who() && !(await commands.who())) return false;
  const ask18 = state.till.to_confirm;
  if (ask18.length) {
    const age = Math.max(...state.till.lines.filter((one) => ask18.includes(one.line)).map((one) => one.age_min));
    if (!(await dialog.confirm(t("age-title", { n: age }), t("age-text", { n: age }), t("age-yes", { n: age })))) return false;
    for (const one of ask18) if (!(await change("PATCH", `/lines/${one}`, { age_checked: true }))) return false;
  }
  return true;
}

/** What is still to be paid, beyond what a terminal has taken for this basket already. */
const owed = () => state.till.to_pay_minor ?? state.till.total_minor;

/** Amounts a buyer is likely to hand over. */
function notes(total) {
  const found = [];
  for (const note of [1000, 2000, 5000, 10_000, 20_000, 50_000]) {
    const next = Math.ceil(total / note) * note;
    if (next > total && !found.includes(next)) found.push(next);
  }
  return found.sort((a, b) => a - b).slice(0, 4);
}

export const commands = {
  /** After a reload: a payment nobody answered is asked for again, and is the same sale. */
  begin() {
    let paying = null;
    try {
      paying = JSON.parse(sessionStorage.getItem("karb.paying"));
    } catch {
      // Not ours.
    }
    if (paying) pay(paying);
    commands.quick();
    commands.shown();
    const theme = localStorage.getItem("karb.theme");
    if (theme) document.documentElement.dataset.theme = theme;
  },

  shown() {
    const now = state.till;
    const name = now?.staffed ? now.cashier_name : named;
    $("who").textContent = [t("till", { x: till }), name, now?.shift ? t("shift", { x: now.shift }) : ""].filter(Boolean).join(" · ");
    if (closed()) commands.login();
  },

  /** Buttons of what has no code to scan. */
  async quick() {
    try {
      const { articles } = await ask("GET", "/v1/articles?limit=20");
      fill(
        $("quick"),
        articles.map((one) =>
          make("button", { "data-scan": one.sku, "data-unit": one.unit, "data-name": one.name }, one.name, make("small", {}, weighed(one.unit) ? `${amount(one.unit_minor)} /${one.unit}` : amount(one.unit_minor))),
        ),
      );
    } catch {
      setTimeout(commands.quick, 3000);
    }
  },

  async who() {
    if (state.till?.staffed) return commands.login(true);
    const name = await dialog.line(t("who-title"), { label: t("who-label"), value: named, required: true });
    if (!name) return false;
    named = name;
    sessionStorage.setItem("karb.cashier", name);
    commands.shown();
    return true;
  },

  async cash() {
    if (!(await ready())) return;
    const total = () => owed();
    const given = await dialog.pad(t("cash-title"), {
      empty: t("exact"),
      unit: "zł",
      fast: [[make("span", {}, t("exact")), ""], ...notes(total()).map((note) => [amount(note).replace(/[.,]00$/, ""), amount(note).replace(/[.,]00$/, "").replace(/\D/g, "")])],
      yes: t("take-cash"),
      check: (value) => (value !== null && value < total() ? t("missing", { x: amount(total() - value) }) : ""),
      told: (value) => {
        const back = Math.max(0, (value ?? total()) - total());
        return make(
          "dl.facts",
          {},
          make("dt.most", {}, t("to-pay")),
          make("dd.most", {}, amount(total())),
          make("dt.most", {}, t("change")),
          make("dd.most", {}, amount(back)),
        );
      },
    });
    if (!given || !state.till.lines.length) return;
    await pay({ sale: crypto.randomUUID(), method: "cash", tendered_minor: given.value ?? total(), cashier: who() });
  },

  card: () => cashless("card"),
  blik: () => cashless("blik"),

  async quantity() {
    const found = chosen();
    if (!found) return;
    const heavy = weighed(found.unit);
    const given = await dialog.pad(heavy ? t("how-heavy", { x: found.name }) : t("how-many", { x: found.name }), {
      places: heavy ? 3 : 0,
      unit: heavy ? found.unit : t("pieces"),
      empty: quantity(found.quantity_milli, heavy ? found.unit : "").replace(/ .*$/, ""),
      check: (value) => (value === 0 ? t("zero-quantity") : ""),
    });
    if (given?.value) await change("PATCH", `/lines/${found.line}`, { quantity_milli: heavy ? given.value : given.value * 1000 });
  },

  async "more-of-it"() {
    const found = selected();
    if (found) await change("PATCH", `/lines/${found.line}`, { quantity_milli: found.quantity_milli + 1000 });
  },

  async "less-of-it"() {
    const found = selected();
    if (!found) return;
    if (found.quantity_milli > 1000) await change("PATCH", `/lines/${found.line}`, { quantity_milli: found.quantity_milli - 1000 });
    else await commands.void();
  },

  async void() {
    const found = chosen();
    if (found && (await change("DELETE", `/lines/${found.line}`))) say(t("voided", { x: found.name }));
  },

  async clear() {
    if (!state.till?.lines.length) return;
    if (await dialog.confirm(t("clear-title"), t("clear-text", { n: state.till.lines.length }), t("clear-yes"))) await change("DELETE", "/basket");
  },

  async discount() {
    const found = chosen();
    if (!found) return;
    const reason = await dialog.line(t("discount-title", { x: found.name }), {
      label: t("reason"),
      choices: [t("reason-date"), t("reason-damaged"), t("reason-shelf"), t("reason-regular")],
      required: true,
    });
    if (!reason) return;
    let percent = false;
    const worth = (value) => (percent ? share(found.total_minor, value ?? 0) : (value ?? 0));
    const kinds = ["zł", "%"].map((kind) =>
      make("button", { type: "button", "aria-pressed": String(kind === "zł"), onclick: () => toggle(kind === "%") }, kind),
    );
    const toggle = (to) => {
      percent = to;
      kinds.forEach((one, n) => one.setAttribute("aria-pressed", String(Boolean(n) === percent)));
      dialog.pad.refresh();
    };
    const given = await dialog.pad(t("discount-how-much"), {
      above: make("div.choices", {}, kinds),
      told: (value) => make("dl.facts", {}, make("dt", {}, found.name), make("dd", {}, amount(found.total_minor)), make("dt.most", {}, t("discount")), make("dd.most", {}, `−${amount(worth(value))}`)),
      check: (value) => {
        const off = worth(value);
        return off <= 0 || off > found.total_minor ? t("discount-bounds", { x: amount(found.total_minor) }) : "";
      },
    });
    if (!given) return;
    await change("PATCH", `/lines/${found.line}`, { discount: { reason, amount_minor: worth(given.value) } });
  },

  async search() {
    const found = await dialog.pick(t("search-title"), {
      label: t("search-label"),
      find: async (text) => (await ask("GET", `/v1/articles?q=${encodeURIComponent(text)}&limit=24`)).articles,
      row: (one) => [make("span", {}, one.name), make("b", {}, weighed(one.unit) ? `${amount(one.unit_minor)} /${one.unit}` : amount(one.unit_minor)), make("small", {}, one.sku)],
    });
    if (found) await scan(found.sku, found);
  },

  /** A scan tells a price and changes no basket, while this is open. */
  async price() {
    await dialog.show(t("price-title"), (end) => {
      const told = make("div");
      const field = make("input", { id: "code", autocomplete: "off", maxlength: 128, autofocus: true });
      const look = async (code) => {
        try {
          const one = await ask("GET", `/v1/articles/${encodeURIComponent(code)}`);
          const facts = [
            [one.name, `${amount(one.unit_minor)} zł`, "most"],
            [t("vat", { x: one.vat }), one.sku],
            one.deposit_minor && [t("deposit"), amount(one.deposit_minor)],
            [t("on-shelf"), one.quantity_milli === null ? "–" : quantity(one.quantity_milli, one.unit).replace(" ×", "")],
          ].filter(Boolean);
          fill(told, make("dl.facts", {}, facts.flatMap(([name, value, kind = "mut"]) => [make(`dt.${kind}`, {}, name), make(`dd.${kind}`, {}, value)])));
        } catch (error) {
          fill(told, make("p.tell", {}, error.status === 404 ? t("unknown-code", { x: error.message }) : error.message));
        }
        field.value = "";
        field.focus();
      };
      checking = look;
      return make(
        "form",
        {
          onsubmit: (event) => {
            event.preventDefault();
            if (field.value.trim()) look(field.value.trim());
          },
        },
        make("div.field", {}, make("label", { for: "code" }, t("price-label")), field),
        told,
        dialog.buttons(make("button", { type: "button", onclick: () => end(null) }, t("back"))),
      );
    });
    checking = null;
  },

  async park() {
    if (!state.till?.lines.length) return commands.recall();
    if (!who() && !(await commands.who())) return;
    const note = await dialog.line(t("park-title"), { label: t("park-label"), hint: t("park-hint"), maxlength: 100 });
    if (note === null) return;
    try {
      take(await insist("POST", `${base}/park`, { basket: crypto.randomUUID(), cashier: who(), note }));
      state.changed = null;
      draw();
      drawActions();
      say(t("parked"), "good");
    } catch (error) {
      await failed(error);
    }
  },

  async recall() {
    if (!who() && !(await commands.who())) return;
    const found = await dialog.pick(t("recall-title"), {
      find: async () => (await ask("GET", "/v1/parked")).baskets,
      row: (one) => [
        make("span", {}, one.note || one.lines.map((of) => of.name).slice(0, 3).join(", ") || t("lines", { n: 0 })),
        make("b", {}, t("lines", { n: one.lines.length })),
        make("small", {}, [t("till", { x: one.till }), one.cashier, t("ago", { x: lasting(Date.now() - one.at_ms) }), one.state === "parked" ? "" : t(`parked-${one.state}`)].filter(Boolean).join(" · ")),
      ],
    });
    if (!found) return;
    const body = { basket: found.basket, cashier: who() };
    if (found.state !== "parked") {
      const at = found.recalls.map((one) => one.till).join(", ");
      if (!(await dialog.confirm(t("take-over-title"), t("take-over-text", { x: at }), t("take-over-yes")))) return;
      body.take_over = true;
    }
    try {
      take(await insist("POST", `${base}/recall`, body));
      drawActions();
    } catch (error) {
      await failed(error);
    }
  },

  async drawer() {
    try {
      await insist("PUT", `/v1/jobs/${crypto.randomUUID()}`, { till, kind: "drawer", elements: [] });
      say(t("drawer-opens"), "good");
    } catch (error) {
      await failed(error);
    }
  },

  async copy() {
    if (!state.till?.last) return say(t("no-last-sale"));
    try {
      await ask("POST", `/v1/sales/${state.till.last.uuid}/copies`);
      say(t("copy-prints"), "good");
    } catch (error) {
      await failed(error);
    }
  },

  theme() {
    const next = { "": "light", light: "dark", dark: "" }[document.documentElement.dataset.theme ?? ""];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    localStorage.setItem("karb.theme", next);
  },

  language() {
    location.search = document.documentElement.lang === "pl" ? "?lang=en" : "?lang=pl";
  },

  async more() {
    const all = ["shift", "return", "drawer", "copy", "recall", "clear", "who", "theme", "language", "remap"];
    const found = await dialog.pick(t("action-more"), { find: async () => all, row: (name) => [make("span", {}, t(`action-${name}`)), make("b", {}, keyOf(name))] });
    if (found) await commands[found]();
  },

  /** How the node is, in words. */
  async node() {
    const node = state.node;
    if (!node) return;
    await dialog.show(t("node-title"), (end) =>
      make(
        "div",
        {},
        make(
          "dl.facts",
          {},
          [
            [t("link"), $("link-text").textContent],
            [t("to-send"), String(node.waiting)],
            [t("time-trust"), t(`trust-${node.trust}`)],
            ...node.devices.map((one) => [`${one.id} (${one.driver})`, one.problem ?? t(`state-${one.state}`)]),
            ...node.open_sales.map((one) => [t("open-sale", { x: one.receipt }), t(`waits-${one.waits_for}`)]),
          ].flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
        ),
        make("p.mut", {}, t("node-hint")),
        dialog.buttons(make("button.go", { onclick: () => end(null) }, t("ok"))),
      ),
    );
  },

  async help() {
    await dialog.show(
      t("help-title"),
      (end) =>
        make(
          "div",
          {},
          make("p", {}, t("help-scan")),
          make(
            "ul.keysheet",
            {},
            ACTIONS.map(([name]) => make("li", {}, make("kbd", {}, keyOf(name) || "–"), t(`help-${name}`))),
            [["↑ ↓", "help-arrows"], ["Del", "help-delete"], ["+ −", "help-plus"], ["3 *", "help-times"], ["Esc", "help-escape"], ["?", "help-help"]].map(([key, name]) => make("li", {}, make("kbd", {}, key), t(name))),
          ),
          dialog.buttons(make("button.go", { onclick: () => end(null) }, t("ok"))),
        ),
      { wide: true },
    );
  },

  /** Give an action another key. */
  async remap() {
    await dialog.show(
      t("remap-title"),
      (end) => {
        let taking = null;
        const list = make("ul.keysheet");
        const redraw = () =>
          fill(
            list,
            ACTIONS.map(([name]) =>
              make("li", {}, make("button", { type: "button", "aria-pressed": String(taking === name), onclick: () => ((taking = name), redraw()) }, make("kbd", {}, taking === name ? t("press-key") : keyOf(name) || "–"), ` ${t(`action-${name}`)}`)),
            ),
          );
        redraw();
        dialog.functionKey((key) => {
          if (taking) rebind(taking, key);
          taking = null;
          redraw();
          drawActions();
        });
        return make(
          "div",
          {},
          make("p.mut", {}, t("remap-hint")),
          list,
          dialog.buttons(
            make("button", { type: "button", onclick: () => (restore(), redraw(), drawActions()) }, t("remap-restore")),
            make("button.go", { type: "button", onclick: () => end(null) }, t("ok")),
          ),
        );
      },
      { wide: true },
    );
    dialog.functionKey(null);
  },

  async lock() {
    if (!state.till?.staffed) return commands.who();
    await change("POST", "/logout");
    commands.shown();
  },

  /** Until a PIN is right, nobody sells here; `other`: somebody else comes. */
  async login(other = false) {
    if (entering) return false;
    entering = true;
    try {
      const { staff } = await ask("GET", "/v1/staff");
      do {
        const given = await proof(t("login-title"), staff);
        if (!given) continue;
        try {
          take(await ask("POST", `${base}/login`, given));
          other = false;
          say("");
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          await dialog.confirm(t("login-refused"), error.message, t("again"));
        }
      } while (closed());
      commands.shown();
      return true;
    } catch (error) {
      await failed(error);
      setTimeout(commands.shown, 2000); // the node is away: later again
      return false;
    } finally {
      entering = false;
      drawActions();
    }
  },

  /** Goods that a buyer brings back: whole lines of one receipt. */
  async return() {
    if (closed()) return;
    if (!who() && !(await commands.who())) return;
    try {
      await giveBack({ till, who, approval });
    } catch (error) {
      await failed(error);
    }
  },

  /** The drawer and its shift. */
  async shift() {
    if (!who() && !(await commands.who())) return;
    const now = await ask("GET", `${base}/shift`);
    const all = now.shift ? ["drop", "in", "out", "x", "close", "reports"] : ["open", "reports"];
    const may = all.filter((name) => !["x", "reports"].includes(name) || !state.till.staffed || state.till.manager);
    const what = await dialog.pick(now.shift ? t("shift", { x: now.number }) : t("no-shift"), { find: async () => may, row: (name) => [make("span", {}, t(`shift-${name}`))] });
    if (!what) return;
    try {
      if (what === "open") await openShift();
      else if (what === "close") await closeShift(now);
      else if (what === "x") await report(t("report-x", { x: now.number }), (await ask("GET", `${base}/shift/x`)).totals);
      else if (what === "reports") await reports();
      else await moveCash(what);
    } catch (error) {
      await failed(error);
    }
    take(await ask("GET", base));
    commands.shown();
  },

  /** Whom the receipt is made out to: checked, read back, and then it stays. */
  async nip() {
    if (state.till?.under_way === undefined) return say(t("not-yet"));
    const typed = await dialog.line(t("nip-title"), { label: t("nip-label"), value: state.nip, maxlength: 20, inputmode: "numeric" });
    if (typed === null) return;
    const nip = typed.replace(/^PL|[\s-]/gi, "");
    if (nip && !nipHolds(nip)) return say(t("nip-wrong", { x: typed }));
    const shown = nip.replace(/^(...)(...)(..)(..)$/, "$1-$2-$3-$4");
    if (nip && !(await dialog.confirm(t("nip-read"), shown, t("nip-yes")))) return;
    state.nip = nip;
    draw();
  },

  async "cancel-payment"() {
    await change("DELETE", "/payments");
  },

  /** Serve the next buyer while nobody knows what became of this one's payment. */
  async aside() {
    await change("POST", "/payments/aside");
  },
};

async function cashless(method) {
  if (!(await ready())) return;
  const total = owed();
  if (!(await dialog.confirm(t(`${method}-title`), t(`${method}-text`, { x: amount(total) }), t(`${method}-yes`)))) return;
  await pay({ sale: crypto.randomUUID(), method, tendered_minor: total, cashier: who() });
}

async function openShift() {
  const given = await dialog.pad(t("shift-float"), { unit: "zł", check: (value) => (value === null ? t("count-it") : "") });
  if (given) await insist("POST", `${base}/shift`, { shift: crypto.randomUUID(), cashier: who(), float_minor: given.value });
}

async function moveCash(drawer) {
  const given = await dialog.pad(t(`shift-${drawer}`), { unit: "zł", check: (value) => (value > 0 ? "" : t("count-it")) });
  if (!given) return;
  const choices = { drop: ["why-safe"], in: ["why-change", "why-correction"], out: ["why-purchase", "why-correction"] }[drawer];
  const why = await dialog.line(t(`shift-${drawer}`), { label: t("reason"), choices: choices.map((name) => t(name)), required: true });
  if (!why) return;
  await insist("POST", `${base}/shift/cash`, { move: crypto.randomUUID(), drawer, amount_minor: given.value, why, cashier: who() });
  say(t("moved", { x: amount(given.value) }), "good");
}

/** Counted before anybody is told what should be there. */
async function closeShift(now) {
  const counted = await dialog.pad(t("shift-count"), { unit: "zł", check: (value) => (value === null ? t("count-it") : "") });
  if (!counted) return;
  if (!(await dialog.confirm(t("shift-close"), t("shift-close-text", { x: amount(counted.value) }), t("shift-close")))) return;
  const z = await insist("POST", `${base}/shift/close`, { shift: now.shift, cashier: who(), counted_minor: counted.value });
  await report(t("report-z", { x: z.number }), z.totals, z);
}

async function reports() {
  const { reports: all } = await ask("GET", `${base}/reports`);
  const found = await dialog.pick(t("shift-reports"), {
    find: async () => all,
    row: (one) => [make("span", {}, t("report-z", { x: one.number })), make("b", {}, `${amount(one.totals.sold_minor)} zł`), make("small", {}, [new Date(one.closed_ms).toLocaleString(document.documentElement.lang), one.cashier, `${t("difference")} ${amount(one.difference_minor)}`].join(" · "))],
  });
  if (found) await report(t("report-z", { x: found.number }), found.totals, found);
}

function report(title, sums, z = null) {
  const rows = [
    [t("report-sales", { n: sums.sales }), amount(sums.sold_minor)],
    ...sums.methods.map((one) => [`– ${known(one.method)}`, amount(one.taken_minor - one.returned_minor)]),
    [t("report-returns", { n: sums.returns }), amount(-sums.returned_minor)],
    sums.deposits_paid_minor && [t("report-deposits"), amount(-sums.deposits_paid_minor)],
    [t("shift-drop"), amount(-sums.drops_minor)],
    [t("shift-in"), amount(sums.in_minor)],
    [t("shift-out"), amount(-sums.out_minor)],
    sums.unfinished && [t("report-unfinished", { n: sums.unfinished }), amount(sums.unfinished_minor)],
    [t("expected"), amount(sums.expected_minor), "most"],
    z && [t("counted"), amount(z.counted_minor), "most"],
    z && [t("difference"), amount(z.difference_minor), z.difference_minor ? "most less" : "most"],
  ].filter(Boolean);
  return dialog.show(title, (end) =>
    make(
      "div",
      {},
      make("dl.facts", {}, rows.flatMap(([name, value, kind = "plain"]) => [make("dt", { class: kind }, name), make("dd", { class: kind }, value)])),
      make("p.mut", {}, [...sums.receipts, ...sums.days.map(asDay)].join(" · ")),
      dialog.buttons(make("button.go", { onclick: () => end(null) }, t("ok"))),
    ),
  );
}

const known = (method) => (["cash", "card", "blik"].includes(method) ? t(`action-${method}`) : method);
