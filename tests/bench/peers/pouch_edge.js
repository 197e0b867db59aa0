// A till on PouchDB (leveldb): a put a sale, live replication to the centre with retry.
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");
const { performance } = require("node:perf_hooks");
const root = process.argv[2];
const of = (name) => require(require.resolve(name, { paths: [root] }));
const PouchDB = of("pouchdb-core")
  .plugin(of("pouchdb-adapter-leveldb"))
  .plugin(of("pouchdb-adapter-http"))
  .plugin(of("pouchdb-replication"));

const db = new PouchDB(process.argv[3], { adapter: "leveldb" });
db.replicate.to(process.argv[4], { live: true, retry: true, batch_size: 500, batches_limit: 10 })
  .on("error", () => {});

async function one(row) {
  try {
    await db.put({ ...row.doc, _id: row.id });
  } catch (error) {
    if (error.status !== 409) throw error; // a till that got no answer asks again
  }
}

async function record({ sales, first, last, tills, ack }) {
  const rows = fs.readFileSync(sales, "utf8").trim().split("\n").slice(first, last)
    .map((line) => JSON.parse(line));
  const told = fs.openSync(ack, "a");
  const times = [];
  const began = performance.now();
  await Promise.all([...Array(tills).keys()].map(async (till) => {
    for (let at = till; at < rows.length; at += tills) {
      const start = performance.now();
      await one(rows[at]);
      times.push(performance.now() - start);
      fs.writeSync(told, rows[at].id + "\n");
    }
  }));
  const seconds = (performance.now() - began) / 1000;
  fs.closeSync(told);
  times.sort((a, b) => a - b);
  return {
    n: times.length, seconds,
    p50_ms: times[times.length >> 1], p99_ms: times[Math.floor(times.length * 0.99)],
  };
}

console.log(JSON.stringify("ready"));
readline.createInterface({ input: process.stdin })
  .on("line", async (line) => console.log(JSON.stringify(await record(JSON.parse(line)))))
  .on("close", () => process.exit(0));
