import { startLocalQueue, type Job, type Outcome } from "localqueue/test";
import type { components } from "localqueue/api";
const outcomes: Outcome[] = [500, "timeout", "slow=250"];
const queue = await startLocalQueue({ catalog: { metadata: { name: "x" }, spec: {} }, options: { seed: 1 } });
await queue.stub("work").replies(...outcomes);
const jobs: Job[] = await queue.jobs({ state: "failed" });
const status: components["schemas"]["Status"]["counts"] = { queued: 0, running: 0, retrying: 0, completed: 0, failed: 0, cancelled: 0 };
await queue.advance("5s", { settle: 100 });
// @ts-expect-error: no such outcome
await queue.stub("work").replies("explode");
// @ts-expect-error: no such state
await queue.jobs({ state: "lost" });
console.log(jobs[0]?.attempts[0]?.explanation?.command, status.failed);
