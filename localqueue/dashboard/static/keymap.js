// List the keys of the page: for the help, which needs no handlers.

export const KEYS = [
  ["j / k", "next or previous job"],
  ["Enter", "open the job"],
  ["Esc", "close the job; clear the selection"],
  ["[ / ]", "previous or next attempt"],
  ["/", "find jobs by ID, payload or response"],
  ["r", "retry the job or the selected jobs, or run the next try now"],
  ["e", "enqueue a job"],
  ["x", "select or deselect the job"],
  ["a", "go to the actions on the selected jobs"],
  ["p", "pause or resume the queue"],
  ["n", "advance the clock to the next due time"],
  ["u", "show times in UTC, or local times"],
  ["?", "show this help"],
];
