// The page's side of live data: each message is an element as the server renders it, morphed into the
// element with the same id, so that focus and selection survive and formatting stays in one place.

import { Idiomorph } from "idiomorph";
import htmx from "htmx.org";
import type { Connection, FromPage, Port, ToPage } from "./messages";
import { refetch } from "./refetch";
import { LiveStream } from "./stream";
import { formatSizes } from "./units";
import { formatTimes } from "./zone";

type Held = Extract<ToPage, { kind: "element" }>;

const root = document.documentElement;
const CONNECTION_TEXT: Record<Connection, string> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  stale: "Stale > 5 s",
};

let connection: Connection = "connecting";
let paused = false;
// While paused, only the newest message per element is kept, so the memory held is bounded by the page.
const held = new Map<string, Held>();
let resyncing = false;

export function startLive(): void {
  const topics = (document.body.dataset["topics"] ?? "").split(",").filter((topic) => topic !== "");
  // A page of the past stays as it is.
  if (topics.length === 0) return;
  const port = openPort();
  port.listen(receive);
  const subscribe = (): void => port.post({ kind: "subscribe", topics, version: pageVersion() });
  subscribe();
  addEventListener("pagehide", () => port.post({ kind: "leave" }));
  addEventListener("pageshow", (event) => {
    if (event.persisted) subscribe();
  });
  document.querySelector("#pause")?.addEventListener("click", togglePause);
}

export function isPaused(): boolean {
  return paused;
}

export function togglePause(): void {
  paused = !paused;
  if (!paused) {
    const waiting = [...held.values()];
    held.clear();
    for (const message of waiting) apply(message);
  }
  showState();
}

function pageVersion(): number {
  return Number(root.dataset["v"] ?? "0");
}

function openPort(): Port {
  const url = document.querySelector<HTMLMetaElement>("meta[name=tapedeck-worker]")?.content;
  if (typeof SharedWorker === "function" && url) {
    const { port } = new SharedWorker(url, { type: "module", name: "tapedeck-live" });
    return {
      post: (message) => port.postMessage(message),
      listen: (handler) => {
        port.onmessage = (event: MessageEvent<ToPage>) => handler(event.data);
      },
    };
  }
  const stream = new LiveStream();
  let listener: (message: ToPage) => void = () => undefined;
  const key = {};
  return {
    post: (message: FromPage) => stream.receive(key, (reply) => listener(reply), message),
    listen: (handler) => {
      listener = handler;
    },
  };
}

function receive(message: ToPage): void {
  switch (message.kind) {
    case "element": {
      if (paused) hold(message);
      else apply(message);
      break;
    }
    case "beat":
      if (!paused) advance(message.version);
      break;
    case "resync":
      void resync(message.version);
      break;
    case "connection":
      connection = message.connection;
      break;
  }
  showState();
}

function hold(message: Held): void {
  const id = /\bid="([^"]+)"/.exec(message.html)?.[1] ?? message.topic;
  held.set(id, message);
}

function apply(message: Held): void {
  const element = parse(message.html);
  const changed = element?.dataset["nudge"];
  if (changed) {
    document.dispatchEvent(new CustomEvent("live:nudge", { detail: changed }));
    refetch(changed, replace);
  }
  else if (element) morph(element, message.version);
  advance(message.version);
}

// What a page fetched for itself: held back like any other change while the page is paused.
function replace(html: string): void {
  const element = parse(html);
  if (!element) return;
  const version = Number(element.dataset["v"] ?? "0");
  if (paused) held.set(element.id, { kind: "element", topic: element.id, version, html });
  else morph(element, version);
}

function parse(html: string): HTMLElement | undefined {
  const template = document.createElement("template");
  template.innerHTML = html;
  const element = template.content.firstElementChild;
  return element instanceof HTMLElement ? element : undefined;
}

function morph(element: HTMLElement, version: number): void {
  const target = element.id ? document.getElementById(element.id) : null;
  if (!target || Number(target.dataset["v"] ?? "0") > version) return;
  element.dataset["v"] = String(version);
  formatTimes(element);
  formatSizes(element);
  Idiomorph.morph(target, element, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      // What a person opened, typed or is waiting for is theirs until they are done.
      beforeNodeMorphed: (old) => !(old instanceof HTMLElement && old.hasAttribute("data-keep")),
      beforeAttributeUpdated: (name, node) =>
        !(name === "open" && node instanceof HTMLDetailsElement) && !(name === "tabindex" && node === document.activeElement),
    },
  });
  const now = document.getElementById(element.id);
  if (!now) return;
  htmx.process(now);
  now.dispatchEvent(new CustomEvent("live:morphed", { bubbles: true }));
}

function advance(version: number): void {
  if (version > pageVersion()) root.dataset["v"] = String(version);
}

// The server no longer knows what this page has missed: take the whole page again.
export async function resync(version: number): Promise<void> {
  if (resyncing) return;
  resyncing = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!response.ok) return;
    const fresh = showPage(await response.text(), version);
    root.dataset["v"] = String(fresh);
  } catch {
    // The connection is gone again; the stream says so and asks for another resync when it is back.
  } finally {
    resyncing = false;
  }
}

/** Shows a page that was fetched, element by element; returns the version that it holds. */
export function showPage(html: string, version = 0): number {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = Number(page.documentElement.dataset["v"] ?? String(version));
  for (const target of document.querySelectorAll<HTMLElement>("[id][data-v]:not(html)")) delete target.dataset["v"];
  for (const element of page.querySelectorAll<HTMLElement>("[id][data-v]:not(html)")) {
    morph(document.importNode(element, true), fresh);
  }
  return fresh;
}

function showState(): void {
  const state = paused ? "paused" : connection;
  if (root.dataset["live"] !== state) root.dataset["live"] = state;
  const text = document.querySelector("#live-text");
  const label = paused ? `Paused${held.size > 0 ? ` · ${held.size} waiting` : ""}` : CONNECTION_TEXT[connection];
  if (text && text.textContent !== label) text.textContent = label;
  const button = document.querySelector<HTMLButtonElement>("#pause");
  if (button) {
    button.setAttribute("aria-pressed", String(paused));
    const verb = paused ? "Resume live" : "Pause";
    if (button.textContent !== verb) button.textContent = verb;
  }
}
