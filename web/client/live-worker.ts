// The shared worker: holds the one connection for all pages of this browser.

import type { FromPage } from "./messages";
import { LiveStream } from "./stream";

interface WorkerScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

const stream = new LiveStream();

(self as unknown as WorkerScope).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  port.onmessage = (message: MessageEvent<FromPage>) => {
    stream.receive(port, (reply) => port.postMessage(reply), message.data);
  };
};
