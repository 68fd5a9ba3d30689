// Follow the event stream and pass on what comes; reconnect when it breaks. All tabs share one stream: a browser allows
// six connections to a server. So this runs in a worker, or in the page where the browser has no shared workers.

const RECONNECT_MS = 2000;

/** The event stream. What comes is passed on as {name, data}; `name` is also "live", "lost" or "closed" (by the server). */
export class Stream {
  #source = null;
  #url;
  #names;
  #send;
  #latest = null;
  #isWanted = true;

  constructor({ url, names }, send) {
    [this.#url, this.#names, this.#send] = [url, names, send];
    this.connect();
  }

  /** Connect now. */
  connect() {
    this.close();
    this.#isWanted = true;
    this.#source = new EventSource(this.#url);
    this.#source.onerror = () => this.#failed();
    for (const name of this.#names) {
      this.#source.addEventListener(name, ({ data }) => {
        if (name === "hello") this.#tell("live");
        this.#send({ name, data });
      });
    }
  }

  /** Return how it stands, for a tab that comes later: {name}, or null before anything came. */
  get status() {
    return this.#latest;
  }

  close() {
    this.#isWanted = false;
    this.#source?.close();
    this.#source = null;
  }

  #tell(name) {
    this.#latest = { name };
    this.#send(this.#latest);
  }

  #failed() {
    const isClosed = this.#source?.readyState === EventSource.CLOSED; // else the browser reconnects by itself
    this.#tell(isClosed ? "closed" : "lost");
    if (isClosed) setTimeout(() => this.#isWanted && this.#source.readyState === EventSource.CLOSED && this.connect(), RECONNECT_MS);
  }
}
