// The timeline's slider. On a live page, letting go leads to the past; on a page of the past, moving it
// takes the page along: one request at a time, the last position wins.

import { showPage } from "./live";

let running = false;
let wanted: string | undefined;

export function startTimeline(): void {
  document.addEventListener("input", (event) => {
    const field = slider(event.target);
    const form = field?.form;
    if (!field || !form) return;
    const text = form.elements.namedItem("as_of");
    if (text instanceof HTMLInputElement) text.value = `seq:${field.value}`;
    field.setAttribute("aria-valuetext", `after event ${field.value} of ${field.max}`);
    if (document.documentElement.dataset["live"] === "past") void follow(address(form));
  });
  document.addEventListener("change", (event) => {
    const field = slider(event.target);
    if (field?.form && document.documentElement.dataset["live"] !== "past") location.assign(address(field.form));
  });
}

function slider(target: EventTarget | null): HTMLInputElement | undefined {
  return target instanceof HTMLInputElement && target.type === "range" && target.form?.hasAttribute("data-timeline")
    ? target
    : undefined;
}

function address(form: HTMLFormElement): string {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && value !== "") query.set(name, value);
  }
  return `${new URL(form.action).pathname}?${query}`;
}

async function follow(url: string): Promise<void> {
  wanted = url;
  if (running) return;
  running = true;
  try {
    while (wanted !== undefined) {
      const next: string = wanted;
      wanted = undefined;
      const response = await fetch(next, { headers: { accept: "text/html" } });
      if (!response.ok) continue;
      history.replaceState(null, "", next);
      showPage(await response.text());
    }
  } catch {
    // The server is gone; the address and the page stay where they were.
  } finally {
    running = false;
  }
}
