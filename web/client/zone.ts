// One timezone for the whole page, charts included. Storage is UTC; market times always say ET.

import { preference, setPreference } from "./preferences";

export type Zone = "browser" | "utc" | "et";

const MARKET_ZONE = "America/New_York";
const formats = new Map<string, Intl.DateTimeFormat>();

export function zone(): Zone {
  const value = preference("zone", "browser");
  return value === "utc" || value === "et" ? value : "browser";
}

function timeZone(): string {
  switch (zone()) {
    case "utc":
      return "UTC";
    case "et":
      return MARKET_ZONE;
    case "browser":
      return Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
}

function parts(ms: number, iana: string): Record<string, string> {
  let format = formats.get(iana);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: iana,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(iana, format);
  }
  return Object.fromEntries(format.formatToParts(ms).map((part) => [part.type, part.value]));
}

/** `2026-01-05 14:30:00` in the chosen zone; shorter forms leave out the date or the year. */
export function formatInstant(ms: number, form: string, iana = timeZone()): string {
  const p = parts(ms, iana);
  const time = `${p["hour"]}:${p["minute"]}`;
  if (form === "minute") return time;
  if (form === "date") return `${p["month"]}-${p["day"]}`;
  if (form === "short") return `${p["month"]}-${p["day"]} ${time}`;
  return `${p["year"]}-${p["month"]}-${p["day"]} ${time}:${p["second"]}`;
}

/** Rewrites every `<time data-form>` below `root`. */
export function formatTimes(root: ParentNode): void {
  // Asked for once: the browser takes ten times as long to name its zone as to write a time.
  const iana = timeZone();
  // Neighbours are often of the same second, and no form tells less.
  let [second, form, text] = [Number.NaN, "", ""];
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[data-form]")) {
    const ms = Date.parse(element.dateTime);
    if (Number.isNaN(ms)) continue;
    const [its, wanted] = [Math.floor(ms / 1_000), element.dataset["form"] ?? ""];
    if (its !== second || wanted !== form) [second, form, text] = [its, wanted, formatInstant(ms, wanted, iana)];
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
