// Share one event stream between all tabs.

import { Stream } from "./stream.js";

const ports = new Set();
let stream = null;

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data: { what, ...given } }) => ASKED[what](port, given);
});

const ASKED = {
  follow(port, given) {
    ports.add(port);
    if (stream === null) stream = new Stream(given, (message) => ports.forEach((each) => each.postMessage(message)));
    else if (stream.status) port.postMessage(stream.status);
  },
  connect: (port, given) => (stream === null ? ASKED.follow(port, given) : stream.connect()),
  /** A tab is closed, or kept for the back button. Without tabs, the server needs no stream. */
  leave(port) {
    ports.delete(port);
    if (ports.size > 0) return;
    stream?.close();
    stream = null;
  },
};
