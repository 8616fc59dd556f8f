// Keys that help to read. No single key places, cancels or halts anything.

import { togglePause } from "./live";
import { openPalette } from "./palette";
import { preference, setPreference } from "./preferences";
import { moveRow, openRow } from "./rows";

// After `g` the letter of a page must follow within this time.
const GO_MS = 1_500;

let goUntil = 0;

export function startKeys(): void {
  const help = document.querySelector<HTMLDialogElement>("#help");
  const enabled = document.querySelector<HTMLInputElement>("#keys-enabled");
  if (enabled) {
    enabled.checked = keysOn();
    enabled.addEventListener("change", () => setPreference("keys", enabled.checked ? "on" : "off"));
  }
  for (const button of document.querySelectorAll("[data-open-help]")) {
    button.addEventListener("click", () => help?.showModal());
  }
  for (const button of document.querySelectorAll("[data-open-palette]")) {
    button.addEventListener("click", () => openPalette());
  }
  document.addEventListener("keydown", (event) => {
    if (!keysOn()) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "?") {
      event.preventDefault();
      if (help?.open) help.close();
      else help?.showModal();
      return;
    }
    // Behind a dialog nothing moves.
    if (document.querySelector("dialog[open]")) return;
    if (plain(event)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !(event.target instanceof HTMLElement)) return;
    const question = event.target.closest<HTMLDetailsElement>("details.confirm[open]");
    if (question) {
      // Not answered: back to where it was asked.
      question.open = false;
      question.querySelector("summary")?.focus();
    } else if (event.target.closest(".filters")) event.target.blur();
  });
}

/** A key without modifiers, outside inputs; true when it did something. */
function plain(event: KeyboardEvent): boolean {
  if (Date.now() < goUntil) {
    goUntil = 0;
    const link = document.querySelector<HTMLAnchorElement>(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) location.assign(link.href);
    return link !== null;
  }
  switch (event.key) {
    case "g":
      goUntil = Date.now() + GO_MS;
      return true;
    case "/": {
      const filter = document.querySelector<HTMLElement>("[data-filter]");
      filter?.focus();
      return filter !== null;
    }
    case "j":
      return moveRow(1);
    case "k":
      return moveRow(-1);
    case "Enter":
      return openRow(event.target);
    case " ":
      if (pressable(event.target)) return false;
      togglePause();
      return true;
    default:
      return false;
  }
}

function keysOn(): boolean {
  return preference("keys", "on") === "on";
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, select, textarea, [contenteditable]");
}

// Space belongs to the control that has the focus.
function pressable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, summary, [role=button]") !== null;
}
