// Preferences live in cookies, so that the server renders a page right the first time.

const YEAR_S = 31_536_000;

export function preference(name: string, fallback: string): string {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : fallback;
}

export function setPreference(name: string, value: string): void {
  document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=${YEAR_S}; SameSite=Strict`;
}
