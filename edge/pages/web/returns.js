// Goods that a buyer brings back: found by the receipt, whole lines, each once.

import { ask, insist, Refused } from "./api.js";
import * as dialog from "./dialog.js";
import { make } from "./dom.js";
import { amount, quantity } from "./format.js";
import { t } from "./texts.js";
import { say } from "./view.js";

/** What a whole line is worth, its deposits included; half up, as the node adds up. */
const worth = (line) => line.total_minor + Math.floor((line.quantity_milli * line.deposit_minor + 500) / 1000);

export async function giveBack({ till, who, approval }) {
  const number = await dialog.line(t("return-title"), { label: t("return-receipt"), hint: t("return-hint"), required: true });
  const [series, last] = number ? [number.slice(0, number.lastIndexOf("/")), number.slice(number.lastIndexOf("/") + 1)] : [];
  if (!number) return;
  if (!series || !/^\d+$/.test(last)) return say(t("return-no-receipt", { x: number }));
  const { sale, returned_milli } = await ask("GET", `/v1/receipts/${encodeURIComponent(series)}/${last}`);
  const left = sale.lines.map((line, n) => ({ ...line, n })).filter((line) => !returned_milli[line.n]);
  if (!left.length) return say(t("return-nothing"));
  const everything = { name: t("return-all"), all: left };
  const chosen = await dialog.pick(t("return-what", { x: number }), {
    find: async () => (left.length > 1 ? [...left, everything] : left),
    row: (line) => [make("span", {}, line.all ? line.name : `${quantity(line.quantity_milli, line.unit)} ${line.name || line.sku}`), make("b", {}, amount(line.all ? line.all.reduce((sum, one) => sum + worth(one), 0) : worth(line)))],
  });
  if (!chosen) return;
  const reason = await dialog.line(t("return-title"), { label: t("return-reason"), choices: [t("reason-broken"), t("reason-changed"), t("reason-wrong")], required: true });
  if (!reason) return;
  const lines = chosen.all ?? [chosen];
  const due = lines.reduce((sum, line) => sum + worth(line), 0);
  const methods = [...new Set(sale.payments.map((one) => one.method))];
  const method = methods.length === 1 ? methods[0] : "cash";
  if (!(await dialog.confirm(t("return-title"), t("return-text", { x: amount(due), y: t(`action-${method}`) }), t("return-yes")))) return;
  const id = crypto.randomUUID();
  const body = { sale: sale.uuid, till, cashier: who(), payments: [{ method, amount_minor: due }], reason, lines: lines.map((line) => ({ line: line.n })) };
  try {
    await insist("PUT", `/v1/returns/${id}`, body);
  } catch (error) {
    const manager = error instanceof Refused && JSON.stringify(error.problem.errors ?? []).includes("payments") ? await approval(error.message) : null;
    if (!manager) throw error;
    body.payments = [{ method: "cash", amount_minor: due }];
    await insist("PUT", `/v1/returns/${id}`, { ...body, approved_by: manager });
  }
  say(t("returned", { x: amount(due), y: t(`action-${body.payments[0].method}`) }), "good");
  try {
    await ask("POST", `/v1/returns/${id}/protocol`);
  } catch {
    say(t("return-no-protocol", { x: amount(due) }));
  }
}
