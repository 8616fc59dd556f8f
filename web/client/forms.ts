// Mutations: every form carries a key that stays the same until the server has answered it, so that a
// double submit, a retry after a lost answer included, has one effect.

const keys = new Map<string, string>();

interface ConfigRequest {
  elt: HTMLElement;
  verb: string;
  parameters: Record<string, unknown>;
  headers: Record<string, string>;
}

interface AfterRequest {
  elt: HTMLElement;
  xhr: XMLHttpRequest;
}

export function startForms(): void {
  document.addEventListener("htmx:configRequest", (event) => {
    const detail = (event as CustomEvent<ConfigRequest>).detail;
    if (detail.verb !== "post") return;
    const name = detail.elt.id;
    const key = keys.get(name) ?? crypto.randomUUID();
    keys.set(name, key);
    detail.parameters["key"] = key;
    const token = document.querySelector<HTMLMetaElement>("meta[name=csrf-token]")?.content;
    if (token) detail.headers["x-csrf-token"] = token;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr } = (event as CustomEvent<AfterRequest>).detail;
    if (!(elt instanceof HTMLFormElement)) return;
    // After no answer, or one that the server itself doubts, trying again must be the same command.
    if (xhr.status > 0 && xhr.status < 500) keys.delete(elt.id);
    if (xhr.status === 0) notice("The server did not answer. Whether it took the command is not known; try again.", true);
    else if (xhr.status >= 400) notice(xhr.responseText, true);
    else {
      elt.reset();
      const question = elt.closest<HTMLDetailsElement>("details.confirm");
      if (question) {
        question.open = false;
        question.querySelector("summary")?.focus();
      }
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.dataset["word"]) confirmWord(event.target);
  });
  // A question that was opened is answered next: its button takes the focus.
  document.addEventListener(
    "toggle",
    (event) => {
      const details = event.target;
      if (!(details instanceof HTMLDetailsElement) || !details.matches(".confirm") || !details.open) return;
      details.querySelector<HTMLButtonElement>("form button")?.focus();
    },
    true,
  );
  document.addEventListener("click", (event) => {
    if (event.target instanceof HTMLElement && event.target.dataset["copy"]) void copy(event.target);
  });
}

// The button waits for the word. The server checks it again.
function confirmWord(input: HTMLInputElement): void {
  const button = input.form?.querySelector<HTMLButtonElement>("button[type=submit]");
  if (button) button.setAttribute("aria-disabled", String(input.value.trim() !== input.dataset["word"]));
}

async function copy(button: HTMLElement): Promise<void> {
  const text = button.dataset["copy"] ?? "";
  try {
    await navigator.clipboard.writeText(text);
    notice("Copied.");
  } catch {
    notice(`Copy this: ${text}`);
  }
}

function notice(text: string, bad = false): void {
  const place = document.querySelector("#notice");
  if (!place) return;
  const line = document.createElement("span");
  line.className = bad ? "bad" : "good";
  line.textContent = text;
  place.replaceChildren(line);
}
