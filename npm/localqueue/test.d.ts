import type { components } from "./api.js";

/** A duration in ms, or as text: "250ms", "5s", "2m", "24h", "7d". */
export type Duration = number | `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d`;

/** A job with its data and attempts. */
export type Job = components["schemas"]["WholeJob"];
export type JobState = Job["state"];
export type Attempt = components["schemas"]["Attempt"];
export type EndedAttempt = components["schemas"]["EndedAttempt"];
export type QueueSettings = Partial<Record<"concurrency" | "retries" | "retryDelayMs" | "timeoutMs", number>>;

/** What an attempt gets instead of a delivery; "slow=250" and "lost-ack" call the service. */
export type Outcome = number | "ok" | "timeout" | "reset" | "refuse" | "lost-ack" | `slow=${number}`;

/** A catalog: the path of a file, or its content. */
export type Catalog = string | { metadata: { name: string; [key: string]: unknown }; spec: { [key: string]: unknown } };

export interface StartOptions {
  /** Default: the catalogs that `localqueue up` finds in the current folder. */
  catalog?: Catalog | Catalog[];
  /** Default: "virtual". */
  clock?: "virtual" | "wall";
  /** Base URL of the service. Default: http://localhost and the port of the catalog. */
  target?: string | URL;
  /** Options of `localqueue up`, in camelCase: { seed: 42, noTimeouts: true }. */
  options?: Record<string, string | number | boolean | string[] | undefined>;
}

export interface LocalQueue {
  /** The value of IEC_QUEUE_URL. */
  readonly url: string;
  /** The namespace of the (first) service. */
  readonly namespace: string;
  /** The variables of a service; they are also set in process.env until `close()`. */
  readonly env: { IEC_QUEUE_URL: string; SERVICE_NAMESPACE?: string };

  enqueue(queue: string, data?: unknown, options?: { namespace?: string }): Promise<{ id: string }>;
  job(id: string | { id: string }): Promise<Job>;
  jobs(filter?: { queue?: string; state?: JobState; namespace?: string }): Promise<Job[]>;
  ledger(): Promise<string>;

  /** Advance the clock by a duration, to an instant (ISO 8601 or Date), or to the "next" due time. */
  advance(by: Duration | "next" | Date | string, options?: { settle?: Duration }): Promise<EndedAttempt[]>;
  /** Run one attempt, the one that starts next. */
  step(): Promise<EndedAttempt[]>;
  /** Run until every job has finished; rejects with what is left if that takes longer than `timeout` (30 s). */
  drain(options?: { timeout?: Duration; settle?: Duration; queue?: string; namespace?: string }): Promise<EndedAttempt[]>;

  /** Script the outcomes of the next attempts of a queue. */
  stub(queue: string, options?: { namespace?: string }): { replies(...outcomes: Outcome[]): Promise<void> };
  deliverTo(url: string | URL, options?: { namespace?: string }): Promise<void>;
  configure(queue: string, settings: QueueSettings, options?: { namespace?: string }): Promise<unknown>;
  trigger(schedule: string, options?: { namespace?: string }): Promise<components["schemas"]["Firing"]>;

  /** Reject unless such jobs were enqueued; matchers such as expect.any(Number) may be in the data. */
  assertEnqueued(
    queue: string,
    expected?: { data?: unknown; dataContains?: unknown; count?: number; namespace?: string },
  ): Promise<Job[]>;

  /** Delete every job and restore the initial state. */
  reset(): Promise<void>;
  /** End the queue, and restore process.env. */
  close(): Promise<void>;
}

/** Start a queue: a process of its own, on a free port, with a temporary database and virtual time. */
export function startLocalQueue(options?: StartOptions): Promise<LocalQueue>;
