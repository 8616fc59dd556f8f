// What passes between a page and the one that holds its connection (a shared worker, or the page itself).

/** Connection as a person sees it. Stale: no word from the server for more than five seconds. */
export type Connection = "connecting" | "live" | "reconnecting" | "stale";

/** A page says what it shows, and from which version on it wants to know more. */
export type FromPage =
  | { kind: "subscribe"; topics: string[]; version: number }
  | { kind: "leave" };

export type ToPage =
  | { kind: "element"; topic: string; version: number; html: string }
  | { kind: "beat"; version: number }
  | { kind: "resync"; version: number }
  | { kind: "connection"; connection: Connection };

/** Both ends of a conversation, whether a worker's port or a stand-in on the page. */
export interface Port {
  post(message: FromPage): void;
  listen(handler: (message: ToPage) => void): void;
}
