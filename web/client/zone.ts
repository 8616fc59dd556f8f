// One timezone for the whole page, charts included. Storage is UTC; market times always say ET.

import { preference, setPreference } from "./preferences";

export type Zone = "browser" | "utc" | "et";

const MARKET_ZONE = "America/New_York";
const formats = new Map<string | undefined, Intl.DateTimeFormat>();

export function zone(): Zone {
  const value = preference("zone", "browser");
  return value === "utc" || value === "et" ? value : "browser";
}

/** The zone's name; the browser's own needs none, and to ask for it takes five times as long as to write a time. */
function timeZone(): string | undefined {
  switch (zone()) {
    case "utc":
      return "UTC";
    case "et":
      return MARKET_ZONE;
    case "browser":
      return undefined;
  }
}

function parts(ms: number, iana: string | undefined): Record<string, string> {
  let known = formats.get(iana);
  if (!known) {
    known = new Intl.DateTimeFormat("en-GB", {
      timeZone: iana,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(iana, known);
  }
  return Object.fromEntries(known.formatToParts(ms).map((part) => [part.type, part.value]));
}

/** `2026-01-05 14:30:00` in the chosen zone; shorter forms leave out the date or the year. */
export function formatInstant(ms: number, form: string): string {
  return format(ms, form, timeZone());
}

function format(ms: number, form: string, iana: string | undefined): string {
  const p = parts(ms, iana);
  const time = `${p["hour"]}:${p["minute"]}`;
  if (form === "minute") return time;
  if (form === "date") return `${p["month"]}-${p["day"]}`;
  if (form === "short") return `${p["month"]}-${p["day"]} ${time}`;
  return `${p["year"]}-${p["month"]}-${p["day"]} ${time}:${p["second"]}`;
}

/** Rewrites every `<time data-form>` below `root`. */
export function formatTimes(root: ParentNode): void {
  const iana = timeZone();
  // Neighbours are often of the same second, and no form tells less.
  let [second, form, text] = [Number.NaN, "", ""];
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[data-form]")) {
    const ms = Date.parse(element.dateTime);
    if (Number.isNaN(ms)) continue;
    const [its, wanted] = [Math.floor(ms / 1_000), element.dataset["form"] ?? ""];
    if (its !== second || wanted !== form) [second, form, text] = [its, wanted, format(ms, wanted, iana)];
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startZone(): void {
  const select = document.querySelector<HTMLSelectElement>("#zone");
  if (select) {
    select.value = zone();
    select.addEventListener("change", () => {
      setPreference("zone", select.value);
      formatTimes(document);
      document.dispatchEvent(new CustomEvent("preference:changed"));
    });
  }
  formatTimes(document);
}
