// Fire COUNT fetches at once, as Promise.allSettled over a fan-out does; say how many were answered 201, and when.
const [url, count] = [process.argv[2], Number(process.argv[3])];
const headers = { "Content-Type": "application/json" };
const body = (n) => JSON.stringify({ namespace: "bench", queue: "work", data: { n } });
const begin = performance.now();
const sent = Array.from({ length: count }, async (_, n) => {
  const answer = await fetch(`${url}/jobs`, { method: "POST", headers, body: body(n) });
  await answer.json();
  return { status: answer.status, ms: performance.now() - begin };
});
const settled = (await Promise.allSettled(sent)).map((each) => each.value ?? { status: 0, ms: 0 });
const statuses = {};
for (const { status } of settled) statuses[status] = (statuses[status] ?? 0) + 1;
console.log(JSON.stringify({ statuses, ms: Math.max(...settled.map((each) => each.ms)) }));
