// The tail of the Logs page: asks for the lines that follow when the stream says that there are some, keeps
// at most a thousand, and stops moving as soon as its reader scrolls away from the end.

import { preference, setPreference } from "./preferences";
import { formatTimes } from "./zone";

const LINES_MAX = 1_000;
// Least time between two requests: a thousand lines a second come as four pieces, not as a thousand.
const REST_MS = 250;
// Pixels from the end within which the reader counts as being there.
const NEAR_PX = 24;

const panel = document.getElementById("logs");
let following = true;
let running = false;
let again = false;
// Where this script put the view last. The reader is away from the end once the view is above that, whoever
// scrolled last: lines that come while the wheel turns must not take the view back.
let placed = 0;

function list(): HTMLElement | null {
  return document.getElementById("log-lines");
}

function address(fields: Record<string, string>): string {
  const url = new URL(panel?.dataset["more"] ?? "/logs/lines", location.href);
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  return url.pathname + url.search;
}

function last(): string {
  return panel?.dataset["after"] ?? "0";
}

function toEnd(): void {
  const lines = list();
  if (!lines) return;
  lines.scrollTop = lines.scrollHeight;
  placed = lines.scrollTop;
}

function atEnd(lines: HTMLElement): boolean {
  return lines.scrollHeight - lines.scrollTop - lines.clientHeight <= NEAR_PX;
}

function isAway(lines: HTMLElement): boolean {
  return lines.scrollTop < placed - NEAR_PX && !atEnd(lines);
}

function show(fresh = 0): void {
  const button = document.querySelector<HTMLButtonElement>("#log-follow");
  if (!button) return;
  button.setAttribute("aria-pressed", String(following));
  const count = fresh >= 10_000 ? "10,000 or more" : fresh.toLocaleString("en-US");
  button.textContent = following ? "Following" : `${count} new`;
}

async function append(): Promise<void> {
  const after = last();
  const response = await fetch(address({ after }));
  const lines = list();
  if (!response.ok || !panel || !lines || !following) return;
  const piece = document.createElement("template");
  piece.innerHTML = await response.text();
  if (last() !== after || !following) return;
  if (isAway(lines)) return stop();
  panel.dataset["after"] = response.headers.get("x-last") ?? after;
  if (piece.content.childElementCount === 0) return;
  formatTimes(piece.content);
  document.getElementById("log-empty")?.remove();
  lines.append(piece.content);
  trim(lines);
  toEnd();
}

function trim(lines: HTMLElement): void {
  const surplus = lines.childElementCount - LINES_MAX;
  if (surplus <= 0) return;
  const range = document.createRange();
  range.setStart(lines, 0);
  const kept = lines.children[surplus];
  if (kept) range.setEndBefore(kept);
  range.deleteContents();
}

async function look(): Promise<void> {
  if (following) return append();
  const response = await fetch(address({ after: last(), count: "yes" }));
  if (response.ok) show(Number(await response.text()));
}

async function run(): Promise<void> {
  if (running) {
    again = true;
    return;
  }
  running = true;
  do {
    again = false;
    const began = performance.now();
    try {
      // A page that nobody sees does not move.
      if (!document.hidden) await look();
    } catch {
      // The connection is gone; the stream says so, and tells of news when it is back.
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(REST_MS, performance.now() - began)));
  } while (again);
  running = false;
}

// Follows again: from where it stopped, or, when more came than is kept, from the newest lines.
async function follow(): Promise<void> {
  following = true;
  show();
  const response = await fetch(address({ after: last(), count: "yes" }));
  const missed = response.ok ? Number(await response.text()) : 0;
  const skipped = document.querySelector("#log-skipped");
  if (skipped) skipped.textContent = missed > LINES_MAX ? `${(missed - LINES_MAX).toLocaleString("en-US")} or more lines skipped` : "";
  if (missed > LINES_MAX) {
    const newest = await fetch(address({}));
    const lines = list();
    if (newest.ok && panel && lines) {
      lines.innerHTML = await newest.text();
      panel.dataset["after"] = newest.headers.get("x-last") ?? last();
      formatTimes(lines);
    }
  }
  // Its reader may have left again while the lines were fetched.
  if (following) toEnd();
  void run();
}

function stop(): void {
  if (!following) return;
  following = false;
  show();
}

function start(): void {
  const lines = list();
  if (!panel || !lines) return;
  const wrap = document.querySelector<HTMLButtonElement>("#log-wrap");
  const setWrap = (on: boolean): void => {
    lines.classList.toggle("log-nowrap", !on);
    wrap?.setAttribute("aria-pressed", String(on));
  };
  setWrap(preference("wrap", "on") === "on");
  wrap?.addEventListener("click", () => {
    const on = wrap.getAttribute("aria-pressed") !== "true";
    setPreference("wrap", on ? "on" : "off");
    setWrap(on);
    if (following) toEnd();
  });
  let seen = lines.scrollTop;
  lines.addEventListener("scroll", () => {
    const down = lines.scrollTop > seen;
    seen = lines.scrollTop;
    if (following && isAway(lines)) stop();
    else if (!following && down && atEnd(lines)) void follow();
  });
  // The wheel says so before the view has moved.
  lines.addEventListener("wheel", ({ deltaY }) => {
    if (deltaY < 0 && lines.scrollTop > 0) stop();
  }, { passive: true });
  document.querySelector("#log-follow")?.addEventListener("click", () => (following ? stop() : void follow()));
  document.querySelector("#log-top")?.addEventListener("click", () => {
    stop();
    lines.scrollTop = 0;
  });
  document.querySelector("#log-bottom")?.addEventListener("click", () => void follow());
  document.addEventListener("live:nudge", (event) => {
    if (event instanceof CustomEvent && event.detail === "logs") void run();
  });
  toEnd();
}

start();
