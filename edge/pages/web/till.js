// The till page: keys, touch and the node's news go in; what the node answers is shown.

import { keys } from "./actions.js";
import { Burst } from "./burst.js";
import { commands, scan } from "./commands.js";
import * as dialog from "./dialog.js";
import { $ } from "./dom.js";
import { t } from "./texts.js";
import { draw, drawActions, drawNode, entry, say, state, take } from "./view.js";

export const till = document.documentElement.dataset.till;
const burst = new Burst();
let begun = null; // The field a scan began in, and what stood there.

function run(name) {
  const command = commands[name];
  if (!command) return;
  Promise.resolve(command()).catch((error) => {
    console.error(error);
    say(error.message, "bad");
  });
}

/** Take back what a scan has typed into a window. */
function undo() {
  dialog.pad.rewind?.();
  if (!begun) return;
  begun.field.value = begun.value;
  begun.field.dispatchEvent(new Event("input"));
}

function key(event) {
  if (event.isComposing || event.metaKey) return;
  const field = event.target instanceof HTMLInputElement ? event.target : null;
  const found = burst.key({
    key: event.key,
    time: event.timeStamp,
    ctrl: event.ctrlKey,
    alt: event.altKey,
    caps: event.getModifierState("CapsLock"),
  });
  const stop = () => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  if (found.part === 1) {
    begun = field ? { field, value: field.value } : null;
    dialog.pad.mark?.();
  }
  if (found.code !== undefined) {
    stop();
    if (dialog.open()) undo();
    state.entry = "";
    entry();
    scan(found.code);
    return;
  }
  if (found.quiet && !(state.entry && !dialog.open())) return stop();
  if (found.separator) return stop();
  if (/^F([1-9]|1[0-2])$/.test(event.key) && !event.altKey && !event.ctrlKey) {
    stop();
    const action = keys().get(event.key);
    if (dialog.open()) {
      if (dialog.onFunctionKey(event.key)) return;
      if (action === "cash") document.querySelector("#dialog .go")?.click();
      return;
    }
    if (action) run(action);
    return;
  }
  if (dialog.open() || event.ctrlKey || event.altKey) return;
  typing(event, stop);
}

/** Keys of the main view: what is typed is a code or a quantity, wherever the focus is. */
function typing(event, stop) {
  const moves = { ArrowUp: -1, ArrowDown: 1 };
  if (event.key === "Enter") {
    if (!state.entry) return;
    stop();
    const code = state.entry;
    state.entry = "";
    entry();
    scan(code);
  } else if (event.key === "Escape") {
    stop();
    [state.entry, state.times] = ["", null];
    say("");
    entry();
  } else if (event.key === "Backspace") {
    stop();
    state.entry = state.entry.slice(0, -1);
    entry();
  } else if (event.key === "Delete") {
    stop();
    run("void");
  } else if (event.key in moves) {
    stop();
    select(moves[event.key]);
  } else if (event.key === "?" && !state.entry) {
    stop();
    run("help");
  } else if (event.key === "*" && /^\d{1,4}([.,]\d{1,3})?$/.test(state.entry)) {
    stop();
    burst.reset();
    state.times = Math.round(Number(state.entry.replace(",", ".")) * 1000) || null;
    state.entry = "";
    entry();
  } else if ((event.key === "+" || event.key === "-") && !state.entry) {
    stop();
    run(event.key === "+" ? "more-of-it" : "less-of-it");
  } else if (event.key.length === 1 && !(event.key === " " && !state.entry)) {
    stop();
    state.entry = (state.entry + event.key).slice(0, 128);
    entry();
  }
}

function select(by) {
  const lines = state.till?.lines ?? [];
  const at = lines.findIndex((line) => line.line === state.selected);
  const next = lines[Math.min(Math.max(at + by, 0), lines.length - 1)];
  if (next) {
    state.selected = next.line;
    state.changed = null;
    draw();
  }
}

document.addEventListener("keydown", key, { capture: true });
document.addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (row) {
    state.selected = Number(row.dataset.line);
    state.changed = null;
    draw();
  }
  const button = event.target.closest("button");
  if (!button || dialog.open()) return;
  if (event.detail) button.blur(); // a touch: the next Enter is not this button's
  if (button.dataset.scan) scan(button.dataset.scan, button.dataset);
  else if (button.dataset.do) run(button.dataset.do);
});

function listen() {
  const news = new EventSource(`/till/${till}/live`);
  let first = true;
  news.addEventListener("open", () => {
    first = true;
    state.lost = false;
    drawNode();
  });
  news.addEventListener("till", (event) => {
    const answer = JSON.parse(event.data);
    if (first && state.till) state.till.version = -1; // the node may have begun anew
    first = false;
    take(answer);
    drawActions();
    dialog.pad.refresh?.();
    commands.shown();
  });
  news.addEventListener("node", (event) => {
    state.node = JSON.parse(event.data);
    drawNode();
  });
  news.addEventListener("error", () => {
    state.lost = true;
    drawNode();
    if (news.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  });
}

drawActions();
draw();
drawNode();
commands.begin();
listen();
setInterval(drawNode, 10_000);
$("lines").setAttribute("aria-label", t("basket"));
document.documentElement.dataset.ready = "yes";
