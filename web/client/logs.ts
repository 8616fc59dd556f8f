// The tail of the Logs page: asks for the lines that follow when the stream says that there are some, keeps
// at most a thousand, and stops moving as soon as its reader scrolls away from the end. Lines are put in a few
// per frame, so that whoever types while they come never waits for more than one frame.

import { preference, setPreference } from "./preferences";
import { formatTimes } from "./zone";

// The server gives no more at once either.
const LINES_MAX = 1_000;
// Lines put in per frame. A frame has a price of its own, because the lines that stay move up: fewer at a time would
// make each a little shorter and all of them together much longer.
const FRAME_LINES_MAX = 50;
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

interface Waiting {
  /** Elements, the oldest first. */
  lines: string[];
  /** How many lines before them are left out. */
  skipped: number;
}

async function count(): Promise<number | undefined> {
  const response = await fetch(address({ after: last(), count: "yes" }));
  return response.ok ? Number(await response.text()) : undefined;
}

// The lines of an answer. A message has no bracket of its own: the server wrote it as `&lt;`.
async function read(response: Response): Promise<string[]> {
  return (await response.text()).match(/<li\b[^]*?<\/li>/g) ?? [];
}

// What follows the last line. Of more than the page keeps only the newest: the others would be put in to be
// taken out again.
async function waiting(): Promise<Waiting | undefined> {
  const response = await fetch(address({ after: last() }));
  if (!response.ok) return undefined;
  const lines = await read(response);
  const skipped = lines.length < LINES_MAX ? 0 : ((await count()) ?? 0) - LINES_MAX;
  if (skipped <= 0) return { lines, skipped: 0 };
  const newest = await fetch(address({}));
  return newest.ok ? { lines: await read(newest), skipped } : undefined;
}

async function append(): Promise<void> {
  const found = await waiting();
  if (!found) return;
  for (let first = 0; first < found.lines.length; first += FRAME_LINES_MAX) {
    await frame();
    const lines = list();
    if (!lines || !following) return;
    if (isAway(lines)) return stop();
    if (first === 0 && found.skipped > 0) {
      lines.replaceChildren();
      tellSkipped(found.skipped);
    }
    put(lines, found.lines.slice(first, first + FRAME_LINES_MAX));
  }
}

// Ends where the browser is about to lay out and paint: what is read of the view after that is computed once.
function frame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

function put(lines: HTMLElement, told: string[]): void {
  const piece = document.createElement("template");
  piece.innerHTML = told.join("");
  const end = piece.content.lastElementChild;
  if (!panel || !(end instanceof HTMLElement)) return;
  // What was not put in counts as new when the reader leaves now.
  panel.dataset["after"] = end.dataset["seq"] ?? last();
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
  const fresh = await count();
  if (fresh !== undefined) show(fresh);
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

function tellSkipped(lines: number): void {
  const told = document.querySelector("#log-skipped");
  if (told) told.textContent = lines > 0 ? `${lines.toLocaleString("en-US")} or more lines skipped` : "";
}

// Follows again: from where it stopped, or, when more came than is kept, from the newest lines.
function follow(): void {
  following = true;
  show();
  tellSkipped(0);
  toEnd();
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
    else if (!following && down && atEnd(lines)) follow();
  });
  // The wheel says so before the view has moved.
  lines.addEventListener("wheel", ({ deltaY }) => {
    if (deltaY < 0 && lines.scrollTop > 0) stop();
  }, { passive: true });
  document.querySelector("#log-follow")?.addEventListener("click", () => (following ? stop() : follow()));
  document.querySelector("#log-top")?.addEventListener("click", () => {
    stop();
    lines.scrollTop = 0;
  });
  document.querySelector("#log-bottom")?.addEventListener("click", () => follow());
  document.addEventListener("live:nudge", (event) => {
    if (event instanceof CustomEvent && event.detail === "logs") void run();
  });
  toEnd();
}

start();
