// List the keys of the page: for the help, which needs no handlers.

export const KEYS = [
  ["j / k", "next or previous job"],
  ["Enter", "open the job"],
  ["Esc", "close the job"],
  ["[ / ]", "previous or next attempt"],
  ["/", "find jobs by ID, payload or response"],
  ["r", "retry the job, or run its next try now"],
  ["e", "enqueue a job"],
  ["p", "pause or resume the queue"],
  ["n", "advance the clock to the next due time"],
  ["?", "show this help"],
];
