// A queue for tests: a localqueue process of its own, on a free port, with virtual time.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { isDeepStrictEqual } = require("node:util");
const { findBinary } = require("./binary.cjs");

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const send = http.request; // now, before a test replaces it

/** Start a queue; it is ready when the promise is fulfilled. */
async function startLocalQueue({ catalog, clock = "virtual", target, options = {}, ...unknown } = {}) {
  const [wrong] = Object.keys(unknown);
  if (wrong !== undefined) throw new TypeError(`unknown key "${wrong}"; known: catalog, clock, target, options`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "localqueue-"));
  const catalogs = [catalog ?? []].flat().map((source, index) => catalogFile(source, path.join(folder, `catalog-${index}.yaml`)));
  const words = ["up", "--port", "0", "--ephemeral", "--log", "json", "--clock", clock, "--stop-on-eof"];
  words.push(...catalogs.flatMap((file) => ["--catalog", file]), ...(target ? ["--target", String(target)] : []), ...flags(options));
  // Its standard input ends with this process, however that ends: jest calls no exit handlers, and may kill its workers.
  const child = spawn(findBinary(), words, { stdio: ["pipe", "pipe", "pipe"] });
  try {
    const ready = await firstLine(child);
    return await LocalQueue.connect(ready, child, folder);
  } catch (error) {
    child.kill("SIGKILL");
    fs.rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function catalogFile(catalog, file) {
  if (typeof catalog === "string") return path.resolve(catalog);
  fs.writeFileSync(file, JSON.stringify({ apiVersion: "backstage.io/v1alpha1", kind: "Component", ...catalog }));
  return file;
}

/** Return options such as { seed: 42, noTimeouts: true } as words of the command line. */
function flags(options) {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === false || value === undefined || value === null) return [];
    return [value].flat().flatMap((element) => (element === true ? [flag] : [flag, String(element)]));
  });
}

/** Return the first line of a process as JSON; reject with its errors if it ends before. */
function firstLine(child) {
  return new Promise((resolve, reject) => {
    let output = "";
    let errors = "";
    child.once("error", (error) => reject(new Error(`localqueue can't be started: ${error.message}`)));
    child.once("close", () => reject(new Error(`localqueue didn't start:\n${errors.trim()}`)));
    child.stderr.on("data", (chunk) => (errors += chunk));
    child.stdout.on("data", function read(chunk) {
      output += chunk;
      if (!output.includes("\n")) return;
      child.stdout.off("data", read);
      child.stdout.resume(); // nobody reads the rest, and it must not block the process
      for (const handle of [child, child.stdin, child.stdout, child.stderr]) handle.unref(); // a forgotten close() must not hold the test run
      resolve(JSON.parse(output.slice(0, output.indexOf("\n"))));
    });
  });
}

class LocalQueue {
  #child;
  #folder;
  #agent = new http.Agent({ keepAlive: true });
  #before = {};
  #pending = Promise.resolve();
  #target = null;

  constructor(url, child, folder) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  static async connect(ready, child, folder) {
    const queue = new LocalQueue(ready.url, child, folder);
    const { services } = await queue.#control("GET", "/status");
    queue.namespace = services[0]?.namespace ?? "";
    queue.env = { IEC_QUEUE_URL: queue.url, ...(services.length === 1 ? { SERVICE_NAMESPACE: queue.namespace } : {}) };
    for (const [name, value] of Object.entries(queue.env)) {
      queue.#before[name] = process.env[name];
      process.env[name] = value;
    }
    return queue;
  }

  /** Enqueue a job as a service does. */
  async enqueue(name, data = null, { namespace } = {}) {
    await this.#scripted();
    const job = { namespace: namespace ?? (await this.#namespaceOf(name)), queue: name, data };
    return this.#call("POST", "/jobs", job);
  }

  /** Return a job with its data and attempts. */
  job(id) {
    return this.#control("GET", `/jobs/${encodeURIComponent(typeof id === "string" ? id : id.id)}`);
  }

  /** Return the jobs that fit, oldest first, with their data and attempts. */
  async jobs({ queue, state, namespace } = {}) {
    if (queue !== undefined) namespace = await this.#namespaceOf(queue, namespace);
    const jobs = [];
    for (let after = null; ; ) {
      const parameters = Object.entries({ queue, state, namespace, after }).filter(([, value]) => value !== undefined && value !== null);
      const page = await this.#control("GET", `/jobs?${new URLSearchParams([["details", "true"], ["limit", "200"], ...parameters])}`);
      jobs.push(...page.jobs);
      if (page.next === null) return jobs.reverse();
      after = page.next;
    }
  }

  /** Return one line per attempt. */
  async ledger() {
    await this.#scripted();
    return this.#send("GET", "/_localqueue/ledger");
  }

  /** Advance the clock, and return the attempts that it ran. */
  async advance(by, { settle = 0 } = {}) {
    const move = by === "next" || by instanceof Date || isInstant(by) ? { to: by instanceof Date ? by.toISOString() : by } : { ms: milliseconds(by) };
    return (await this.#control("POST", "/clock/advance", { ...move, settleMs: milliseconds(settle) })).attempts;
  }

  /** Run one attempt, the one that starts next. */
  async step() {
    return (await this.#control("POST", "/clock/step", {})).attempts;
  }

  /** Run until every job has finished; reject with what is left if that takes too long. */
  async drain({ timeout = "30s", settle = 0, queue, namespace } = {}) {
    if (queue !== undefined) namespace = await this.#namespaceOf(queue, namespace);
    const drained = await this.#control("POST", "/drain", { timeoutMs: milliseconds(timeout), settleMs: milliseconds(settle), queue, namespace });
    if (drained.idle) return drained.attempts;
    const listed = drained.unfinished.map((job) => `  ${job.queue} ${job.jobId.slice(-8)} ${job.state}, attempt ${job.attempt}/${job.maxAttempts}`);
    throw new Error(`${drained.unfinishedCount} unfinished jobs after ${timeout}:\n${listed.join("\n")}`);
  }

  /** Script the outcomes of the next attempts of a queue; a status or "timeout" needs no service. */
  stub(queue, { namespace } = {}) {
    const replies = (...outcomes) => {
      this.#pending = this.#pending.then(async () =>
        this.#call("POST", "/_localqueue/faults", { namespace: await this.#namespaceOf(queue, namespace), queue, outcomes }));
      const done = this.#pending.then(() => undefined);
      for (const promise of [this.#pending, done]) promise.catch(() => {}); // if nobody waits for it, the next call reports it
      return done;
    };
    return { replies };
  }

  /** Deliver to another base URL; it outlasts resets. */
  async deliverTo(url, { namespace = this.namespace } = {}) {
    this.#target = { namespace, url: String(url) };
    await this.#control("PUT", `/targets/${encodeURIComponent(namespace)}`, { url: String(url) });
  }

  /** Change settings of a queue, under the catalog's names, until the next reset. */
  async configure(queue, settings, { namespace } = {}) {
    const name = await this.#namespaceOf(queue, namespace);
    return this.#control("PATCH", `/queues/${encodeURIComponent(name)}/${encodeURIComponent(queue)}`, settings);
  }

  /** Fire a schedule now. */
  trigger(schedule, { namespace = this.namespace } = {}) {
    return this.#control("POST", `/schedules/${encodeURIComponent(namespace)}/${encodeURIComponent(schedule)}/trigger`, {});
  }

  /** Reject unless jobs were enqueued with this data, this many; return them. */
  async assertEnqueued(queue, { data, dataContains, count, namespace } = {}) {
    const jobs = await this.jobs({ queue, namespace });
    const matching = jobs.filter((job) => (data === undefined || equals(data, job.data)) && (dataContains === undefined || contains(dataContains, job.data)));
    if (count === undefined ? matching.length > 0 : matching.length === count) return matching;
    const expected = count === undefined ? "a job" : `${count} jobs`;
    const wanted = [data === undefined ? "" : ` with data ${JSON.stringify(data)}`, dataContains === undefined ? "" : ` that contain ${JSON.stringify(dataContains)}`];
    const listed = jobs.map((job) => `  ${job.queue} ${job.shortId} ${job.state} ${JSON.stringify(job.data)}`);
    throw new Error(`expected ${expected} in ${queue}${wanted.join("")}, got ${matching.length}; these were enqueued:\n${listed.join("\n") || "  none"}`);
  }

  /** Delete every job and restore the initial state. */
  async reset() {
    await this.#scripted().catch(() => {});
    await this.#control("POST", "/reset", {});
    if (this.#target) await this.deliverTo(this.#target.url, this.#target);
  }

  /** End the queue, and restore the environment. */
  async close() {
    for (const [name, value] of Object.entries(this.#before)) {
      if (process.env[name] !== this.env[name]) continue;
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    this.#agent.destroy();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.ref();
      const ended = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGTERM");
      await ended;
    }
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  async #namespaceOf(name, namespace) {
    const { queues } = await this.#call("GET", "/_localqueue/queues");
    const matching = queues.filter((queue) => queue.name === name && (namespace === undefined || queue.namespace === namespace));
    if (matching.length === 1) return matching[0].namespace;
    if (matching.length > 1) throw new Error(`several services have a queue "${name}": ${matching.map((queue) => queue.namespace).join(", ")}; give a namespace`);
    throw new Error(`unknown queue "${name}"; declared: ${queues.map((queue) => queue.name).join(", ") || "none"}`);
  }

  /** Wait for the replies that are being scripted; a failure is reported once. */
  #scripted() {
    const pending = this.#pending;
    this.#pending = Promise.resolve();
    return pending;
  }

  async #control(method, route, body) {
    await this.#scripted();
    return this.#call(method, `/_localqueue${route}`, body);
  }

  async #call(method, route, body) {
    return JSON.parse(await this.#send(method, route, body));
  }

  #send(method, route, body) {
    const content = body === undefined ? "" : JSON.stringify(body);
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(content) };
    return new Promise((resolve, reject) => {
      const request = send(new URL(route, this.url), { method, headers, agent: this.#agent }, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode < 300) resolve(text);
          else reject(refused(method, route, response.statusCode, text));
        });
      });
      request.on("error", (error) => reject(new Error(`the queue at ${this.url} doesn't respond: ${error.message}`)));
      request.end(content);
    });
  }
}

function refused(method, route, status, text) {
  try {
    const { code, message, hint } = JSON.parse(text).error;
    return Object.assign(new Error([message, hint].filter(Boolean).join("\n")), { code, status });
  } catch {
    return new Error(`${method} ${route}: ${status} ${text}`);
  }
}

function isInstant(by) {
  return typeof by === "string" && /^\d{4}-/.test(by);
}

/** Return a number of ms, or a duration such as "250ms", "5s" or "24h", in ms. */
function milliseconds(duration) {
  if (typeof duration === "number") return duration;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) ?? [];
  if (unit === undefined) throw new TypeError(`${JSON.stringify(duration)} isn't a duration such as "250ms", "5s" or "24h"`);
  return Math.round(Number(amount) * UNITS[unit]);
}

/** Return whether data is as expected; matchers of jest and vitest, such as expect.any(Number), may be in it. */
function equals(expected, data) {
  if (typeof expected?.asymmetricMatch === "function") return Boolean(expected.asymmetricMatch(data));
  if (expected === null || typeof expected !== "object") return isDeepStrictEqual(expected, data);
  if (data === null || typeof data !== "object" || Array.isArray(expected) !== Array.isArray(data)) return false;
  const names = Object.keys(expected);
  return names.length === Object.keys(data).length && names.every((name) => name in data && equals(expected[name], data[name]));
}

/** Return whether data has everything that is expected, at any depth; arrays must be as long. */
function contains(expected, data) {
  if (expected === null || typeof expected !== "object" || typeof expected.asymmetricMatch === "function") return equals(expected, data);
  if (data === null || typeof data !== "object") return false;
  if (Array.isArray(expected)) return Array.isArray(data) && expected.length === data.length && expected.every((element, index) => contains(element, data[index]));
  return Object.keys(expected).every((name) => name in data && contains(expected[name], data[name]));
}

module.exports = { startLocalQueue };
