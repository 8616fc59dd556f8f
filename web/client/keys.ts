// Keys that help to read. No single key places, cancels or halts anything.

import { togglePause } from "./live";
import { preference, setPreference } from "./preferences";

export function startKeys(): void {
  const help = document.querySelector<HTMLDialogElement>("#help");
  const enabled = document.querySelector<HTMLInputElement>("#keys-enabled");
  if (enabled) {
    enabled.checked = preference("keys", "on") === "on";
    enabled.addEventListener("change", () => setPreference("keys", enabled.checked ? "on" : "off"));
  }
  for (const button of document.querySelectorAll("[data-open-help]")) {
    button.addEventListener("click", () => help?.showModal());
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (preference("keys", "on") !== "on") return;
    if (event.key === "?") {
      event.preventDefault();
      if (help?.open) help.close();
      else help?.showModal();
    } else if (event.key === "/") {
      const filter = document.querySelector<HTMLInputElement>("[data-filter]");
      if (!filter) return;
      event.preventDefault();
      filter.focus();
    } else if (event.key === " " && !pressable(event.target)) {
      event.preventDefault();
      togglePause();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target instanceof HTMLElement && event.target.matches("[data-filter]")) {
      event.target.blur();
    }
  });
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, select, textarea, [contenteditable]");
}

// Space belongs to the control that has the focus.
function pressable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, summary, a, [role=button]") !== null;
}
