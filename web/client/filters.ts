// Filters: plain forms that put their fields into the address. The script only leaves out what is empty,
// so that an address says no more than it must.

export function startFilters(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "get") return;
    const empty = [...form.elements].filter(
      (field): field is HTMLInputElement | HTMLSelectElement =>
        (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) && !field.disabled && field.value.trim() === "",
    );
    for (const field of empty) field.disabled = true;
    // Back on the page, by the browser's own way, they are fields again.
    setTimeout(() => {
      for (const field of empty) field.disabled = false;
    });
  });
}
