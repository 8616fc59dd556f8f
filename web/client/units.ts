// Units of sizes: decimal (MB) or binary (MiB), for the whole page.

import { preference, setPreference } from "./preferences";

const NAMES = {
  decimal: { base: 1_000, units: ["B", "kB", "MB", "GB", "TB"] },
  binary: { base: 1_024, units: ["B", "KiB", "MiB", "GiB", "TiB"] },
};

function formatSize(bytes: number): string {
  const { base, units } = preference("units", "decimal") === "binary" ? NAMES.binary : NAMES.decimal;
  const step = bytes < base ? 0 : Math.min(Math.floor(Math.log(bytes) / Math.log(base)), units.length - 1);
  return step === 0 ? `${bytes} B` : `${(bytes / base ** step).toFixed(1)} ${units[step]}`;
}

/** Rewrites every `<data data-size>` below `root`. */
export function formatSizes(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLDataElement>("data[data-size]")) {
    const text = formatSize(Number(element.value));
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startUnits(): void {
  formatSizes(document);
  const select = document.querySelector<HTMLSelectElement>("#units");
  if (!select) return;
  select.value = preference("units", "decimal");
  select.addEventListener("change", () => {
    setPreference("units", select.value);
    formatSizes(document);
  });
}
