// One EventSource for every page of this browser. Seven pages with a connection each would exhaust the
// six that HTTP/1.1 allows, and the seventh would hang.
//
// A page that joins later than the connection may have missed versions, so the connection starts again
// from the oldest version that any page holds; pages ignore what they already have.

import type { Connection, FromPage, ToPage } from "./messages";

const STALE_MS = 5_000;
const RETRY_MS = 1_000;

interface Subscriber {
  topics: Set<string>;
  send(message: ToPage): void;
}

export class LiveStream {
  private readonly subscribers = new Map<object, Subscriber>();
  private source: EventSource | undefined;
  private topics: string[] = [];
  private version = 0;
  private connection: Connection = "connecting";
  private lastWordMs = Date.now();
  private retry: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    setInterval(() => this.watch(), 1_000);
  }

  receive(key: object, send: (message: ToPage) => void, message: FromPage): void {
    if (message.kind === "leave") {
      this.subscribers.delete(key);
      if (this.subscribers.size === 0) this.close();
      return;
    }
    const first = this.source === undefined;
    this.subscribers.set(key, { topics: new Set(message.topics), send });
    send({ kind: "connection", connection: this.connection });
    const missing = message.topics.some((topic) => !this.topics.includes(topic));
    const behind = message.version < this.version;
    if (first || missing || behind) {
      this.version = first ? message.version : Math.min(this.version, message.version);
      this.open();
    }
  }

  private open(): void {
    this.close();
    const topics = new Set<string>();
    for (const subscriber of this.subscribers.values()) {
      for (const topic of subscriber.topics) topics.add(topic);
    }
    this.topics = [...topics].sort();
    const query = new URLSearchParams({ topics: this.topics.join(","), after: String(this.version) });
    const source = new EventSource(`/live?${query}`);
    this.source = source;
    source.addEventListener("open", () => this.heard());
    source.addEventListener("error", () => this.failed(source));
    source.addEventListener("beat", (event) => this.beat(event));
    source.addEventListener("resync", (event) => this.resync(event));
    for (const topic of this.topics) {
      source.addEventListener(topic, (event) => this.element(topic, event));
    }
  }

  private close(): void {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = undefined;
  }

  private element(topic: string, event: MessageEvent<string>): void {
    this.heard();
    const version = Number(event.lastEventId);
    this.version = Math.max(this.version, version);
    for (const subscriber of this.subscribers.values()) {
      if (subscriber.topics.has(topic)) subscriber.send({ kind: "element", topic, version, html: event.data });
    }
  }

  private beat(event: MessageEvent<string>): void {
    this.heard();
    this.version = Math.max(this.version, Number(event.lastEventId));
    this.broadcast({ kind: "beat", version: this.version });
  }

  private resync(event: MessageEvent<string>): void {
    this.heard();
    this.version = Number(event.lastEventId);
    this.broadcast({ kind: "resync", version: this.version });
  }

  private heard(): void {
    this.lastWordMs = Date.now();
    this.set("live");
  }

  private failed(source: EventSource): void {
    if (source !== this.source) return;
    if (this.connection !== "stale") this.set("reconnecting");
    // A browser gives up for good when the server answers with an error; the page does not.
    if (source.readyState === EventSource.CLOSED) {
      clearTimeout(this.retry);
      this.retry = setTimeout(() => this.open(), RETRY_MS);
    }
  }

  private watch(): void {
    if (this.subscribers.size > 0 && Date.now() - this.lastWordMs > STALE_MS) this.set("stale");
  }

  private set(connection: Connection): void {
    if (connection === this.connection) return;
    this.connection = connection;
    this.broadcast({ kind: "connection", connection });
  }

  private broadcast(message: ToPage): void {
    for (const subscriber of this.subscribers.values()) subscriber.send(message);
  }
}
