// One dialog at a time, and each gives one answer or null. A scan goes through it to the basket.

import { $, fill, make } from "./dom.js";
import { amount, comma, typed } from "./format.js";
import { t } from "./texts.js";

const box = $("dialog");
let ended = null;

export const open = () => box.open;

let taker = null;

/** Give F keys to `take` while a dialog is open; null: to nobody. */
export const functionKey = (take) => (taker = take);

/** Whether the dialog took an F key. */
export function onFunctionKey(key) {
  taker?.(key);
  return Boolean(taker);
}

/** Show what `build(end)` makes; `end(value)` closes it. */
export function show(title, build, { wide = false } = {}) {
  close(null);
  return new Promise((done) => {
    ended = done;
    fill(box, make("h2#dialog-title", {}, title), build((value) => close(value)));
    box.setAttribute("aria-labelledby", "dialog-title");
    box.classList.toggle("wide", wide);
    box.showModal();
    const first = box.querySelector("[autofocus]") ?? box.querySelector("input, .go, button");
    first?.focus();
  });
}

export function close(value) {
  if (!box.open) return;
  const done = ended;
  ended = null;
  box.onkeydown = pad.mark = pad.rewind = pad.refresh = null;
  box.close();
  done?.(value);
}

box.addEventListener("cancel", (event) => {
  event.preventDefault();
  close(null);
});

export const buttons = (...all) => make("div.buttons", {}, all);

export function confirm(title, text, yes) {
  return show(title, (end) =>
    make(
      "div",
      {},
      make("p", {}, text),
      buttons(
        make("button", { onclick: () => end(false) }, t("no")),
        make("button.go", { onclick: () => end(true), autofocus: true }, yes),
      ),
    ),
  );
}

/** A line of text, with choices to begin from. */
export function line(title, { label, value = "", choices = [], hint = "", maxlength = 64, required = false, type = "text", inputmode }) {
  return show(title, (end) => {
    const field = make("input", { value, maxlength, autocomplete: "off", type, inputmode, autofocus: true, id: "line" });
    const form = make(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          if (!required || field.value.trim()) end(field.value.trim());
        },
      },
      choices.length &&
        make(
          "div.choices",
          {},
          choices.map((one) => make("button", { type: "button", onclick: () => end(one) }, one)),
        ),
      make("div.field", {}, make("label", { for: "line" }, label), field),
      hint && make("p.mut", {}, hint),
      buttons(
        make("button", { type: "button", onclick: () => end(null) }, t("back")),
        make("button.go", {}, t("ok")),
      ),
    );
    return form;
  });
}

/**
 * A number by keys or by touch.
 *
 * `told(value)` returns what is shown below: value is in units of the last place, null where
 * nothing (or no number) is typed. `check(value)` returns what is wrong, or "".
 */
export function pad(title, { places = 2, empty = "", unit = "", fast = [], told = null, check = () => "", yes = t("ok"), above = null, secret = false, keep = "" }) {
  let text = keep;
  return show(title, (end) => {
    const shown = make("b", { "data-empty": empty });
    const below = make("div");
    const go = make("button.go", { onclick: () => finish() }, yes);
    const value = () => (secret ? text : typed(text, places));
    const update = () => {
      shown.textContent = secret ? "●".repeat(text.length) : text;
      const wrong = check(value());
      fill(below, told?.(value()), wrong && text ? make("p.tell", {}, wrong) : null);
      go.setAttribute("aria-disabled", String(Boolean(wrong))); // a disabled one would lose the keys
    };
    const press = (key) => {
      if (key === "back") text = text.slice(0, -1);
      else if (key === "clear") text = "";
      else if (secret) text = (text + key).slice(0, 12);
      else {
        const next = text + (key === "." || key === "," ? comma : key);
        if (typed(next, places) !== null || next === comma) text = next;
      }
      update();
    };
    const finish = () => {
      if (!check(value())) end({ value: value() });
    };
    let marked = text;
    pad.mark = () => (marked = text);
    pad.rewind = () => {
      text = marked;
      update();
    };
    pad.refresh = update;
    box.onkeydown = (event) => {
      if (/^[0-9.,]$/.test(event.key)) press(event.key);
      else if (event.key === "Backspace") press("back");
      else if (event.key === "Delete") press("clear");
      else if (event.key === "Enter" && !event.target.matches("button:not(.go)")) finish();
      else return;
      event.preventDefault();
    };
    const point = places && !secret ? comma : "clear";
    const keys = ["7", "8", "9", "4", "5", "6", "1", "2", "3", point, "0", "back"].map((key) =>
      make(
        "button",
        { type: "button", tabindex: -1, onclick: () => press(key), "aria-label": { back: t("erase"), clear: t("clear") }[key] },
        { back: "⌫", clear: "C" }[key] ?? key,
      ),
    );
    const made = make(
      "div.pad",
      {},
      above,
      make("div.shown", {}, shown, make("span.mut", {}, unit)),
      make(
        fast.length ? "div.sides" : "div.sides.one",
        {},
        make("div.keys", {}, keys),
        fast.length &&
          make(
            "div.fast",
            {},
            fast.map(([label, worth]) =>
              make("button", { type: "button", tabindex: -1, onclick: () => ((text = worth), update()) }, label),
            ),
          ),
      ),
      below,
      buttons(make("button", { type: "button", tabindex: -1, onclick: () => end(null) }, t("back")), go),
    );
    go.toggleAttribute("autofocus", true);
    update();
    return made;
  });
}

/** Choose of a list: arrows and Enter, or a touch. `find(text)` returns rows, `row(one)` its parts. */
export function pick(title, { find, row, label, hint = "", placeholder = "" }) {
  return show(
    title,
    (end) => {
      const list = make("div.list", { role: "listbox", "aria-label": title, tabindex: label ? -1 : 0, autofocus: !label });
      const field = label && make("input", { id: "sought", type: "search", autocomplete: "off", placeholder, autofocus: true });
      let rows = [];
      let at = 0;
      let asked = 0;
      const mark = () => {
        [...list.children].forEach((one, n) => one.setAttribute("aria-selected", String(n === at)));
        list.children[at]?.scrollIntoView({ block: "nearest" });
      };
      const look = async () => {
        const nth = ++asked;
        const found = await find(field ? field.value : "");
        if (nth !== asked) return;
        rows = found;
        at = 0;
        fill(
          list,
          rows.map((one) => make("button", { type: "button", role: "option", tabindex: -1, onclick: () => end(one) }, row(one))),
          rows.length ? [] : make("p.mut", {}, t("nothing-found")),
        );
        mark();
      };
      let later = 0;
      field?.addEventListener("input", () => {
        clearTimeout(later);
        later = setTimeout(look, 120);
      });
      box.onkeydown = (event) => {
        if (event.key === "ArrowDown") at = Math.min(at + 1, rows.length - 1);
        else if (event.key === "ArrowUp") at = Math.max(at - 1, 0);
        else if (event.key === "Enter" && rows[at] && !event.target.matches(".buttons button")) return event.preventDefault(), end(rows[at]);
        else return;
        event.preventDefault();
        mark();
      };
      look();
      return make(
        "div",
        {},
        field && make("div.field", {}, make("label", { for: "sought" }, label), field),
        hint && make("p.mut", {}, hint),
        list,
        buttons(make("button", { type: "button", onclick: () => end(null) }, t("back"))),
      );
    },
    { wide: true },
  );
}

export const price = (minor) => `${amount(minor)} zł`;
