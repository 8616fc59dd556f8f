// The palette: pages and symbols by name. Loaded when first opened.

interface Place {
  title: string;
  hint: string;
  url: string;
}

const SHOWN_MAX = 12;

let places: Promise<Place[]> | undefined;
let matches: Place[] = [];
let chosen = 0;

export function openPalette(): void {
  const dialog = document.querySelector<HTMLDialogElement>("#palette");
  const input = dialog?.querySelector<HTMLInputElement>("input");
  if (!dialog || !input || dialog.open) return;
  dialog.showModal();
  input.value = "";
  void show("");
}

export function startPalette(): void {
  const dialog = document.querySelector<HTMLDialogElement>("#palette");
  const input = dialog?.querySelector<HTMLInputElement>("input");
  if (!dialog || !input) return;
  input.addEventListener("input", () => void show(input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const place = matches[chosen];
      if (place) location.assign(place.url);
    }
  });
}

async function load(): Promise<Place[]> {
  const response = await fetch("/palette.json");
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as Place[];
}

async function show(typed: string): Promise<void> {
  const list = document.querySelector<HTMLElement>("#palette-list");
  if (!list) return;
  try {
    places ??= load();
    const wanted = typed.trim().toLowerCase();
    const all = await places;
    const rank = (place: Place): number => place.title.toLowerCase().indexOf(wanted);
    matches = all
      .filter((place) => rank(place) >= 0)
      .sort((a, b) => (wanted === "" ? 0 : rank(a) - rank(b)))
      .slice(0, SHOWN_MAX);
  } catch {
    places = undefined;
    matches = [];
    list.textContent = "The list cannot be loaded now.";
    return;
  }
  list.replaceChildren(...matches.map(option));
  if (matches.length === 0) list.textContent = "Nothing of that name.";
  choose(0);
}

function option(place: Place, index: number): HTMLElement {
  const item = document.createElement("a");
  item.id = `palette-${index}`;
  item.href = place.url;
  item.setAttribute("role", "option");
  item.tabIndex = -1;
  const hint = document.createElement("span");
  hint.className = "muted";
  hint.textContent = place.hint;
  item.append(place.title, hint);
  return item;
}

function choose(index: number): void {
  chosen = Math.min(Math.max(index, 0), Math.max(matches.length - 1, 0));
  const input = document.querySelector<HTMLInputElement>("#palette input");
  for (const [at, item] of [...document.querySelectorAll("#palette-list [role=option]")].entries()) {
    item.setAttribute("aria-selected", String(at === chosen));
  }
  if (matches.length > 0) input?.setAttribute("aria-activedescendant", `palette-${chosen}`);
  else input?.removeAttribute("aria-activedescendant");
}
