// Fire COUNT fetches at once; print how many were answered 201, and how many different ids came.
const [url, count] = [process.argv[2], Number(process.argv[3])];
const body = JSON.stringify({ namespace: "shop", queue: "work", data: { n: 1 } });
const headers = { "Content-Type": "application/json" };
const sent = Array.from({ length: count }, async () => {
  const answer = await fetch(`${url}/jobs`, { method: "POST", headers, body });
  return { status: answer.status, id: (await answer.json()).id };
});
const settled = await Promise.allSettled(sent);
const accepted = settled.filter((each) => each.status === "fulfilled" && each.value.status === 201);
console.log(JSON.stringify({ accepted: accepted.length, ids: new Set(accepted.map((each) => each.value.id)).size }));
