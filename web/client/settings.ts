// The Settings page repeats the controls of the header: one preference, two places, always the same.

export function startSettings(): void {
  for (const mirror of document.querySelectorAll<HTMLElement>("[data-mirrors]")) {
    const original = document.querySelector<HTMLElement>(mirror.dataset["mirrors"] ?? "");
    if (!original) continue;
    copy(original, mirror);
    original.addEventListener("change", () => copy(original, mirror));
    mirror.addEventListener("change", () => {
      copy(mirror, original);
      original.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
}

function copy(from: HTMLElement, to: HTMLElement): void {
  if (from instanceof HTMLSelectElement && to instanceof HTMLSelectElement) to.value = from.value;
  if (from instanceof HTMLInputElement && to instanceof HTMLInputElement) to.checked = from.checked;
}
