// Share one event stream between all tabs.

import { Stream } from "./stream.js";

const ports = new Set();
let stream = null;

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data: { what, ...wanted } }) => ASKED[what](port, wanted);
});

const ASKED = {
  follow(port, wanted) {
    ports.add(port);
    if (stream === null) stream = new Stream(wanted, (message) => ports.forEach((tab) => tab.postMessage(message)));
    else if (stream.status) port.postMessage(stream.status);
  },
  connect: (port, wanted) => (stream === null ? ASKED.follow(port, wanted) : stream.connect()),
  /** A tab is closed, or kept for the back button. Without tabs, the server needs no stream. */
  leave(port) {
    ports.delete(port);
    if (ports.size > 0) return;
    stream?.close();
    stream = null;
  },
};
