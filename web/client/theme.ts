// Dark, light, or whatever the system says.

import { setPreference } from "./preferences";

export function startTheme(): void {
  const select = document.querySelector<HTMLSelectElement>("#theme");
  select?.addEventListener("change", () => {
    document.documentElement.dataset["theme"] = select.value;
    setPreference("theme", select.value);
    document.dispatchEvent(new CustomEvent("preference:changed"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("preference:changed"));
  });
}
