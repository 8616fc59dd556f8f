// Moving through the rows of tables with the keyboard: the focus itself moves, so that what a row shows
// of itself (a ring) and what Enter does need nothing of their own.

const ROWS = "main table.rows tbody tr";

/** Moves the focus by so many rows; true when there is a row to move to. */
export function moveRow(step: number): boolean {
  const rows = [...document.querySelectorAll<HTMLTableRowElement>(ROWS)].filter((row) => row.checkVisibility());
  if (rows.length === 0) return false;
  const focused = document.activeElement?.closest<HTMLTableRowElement>(ROWS);
  const at = focused ? rows.indexOf(focused) : -1;
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  const row = rows[next];
  if (!row) return false;
  row.setAttribute("tabindex", "-1");
  row.focus();
  row.scrollIntoView({ block: "nearest" });
  return true;
}

/** Opens the row that has the focus; a control inside it keeps its own Enter. */
export function openRow(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLTableRowElement)) return false;
  const link = target.querySelector<HTMLAnchorElement>("a[data-open]") ?? target.querySelector<HTMLAnchorElement>("a[href]");
  if (link) location.assign(link.href);
  return link !== null;
}
