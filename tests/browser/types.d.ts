// Charts on the pages under test state what they show.
interface Window {
  __charts: Record<string, { state(): { points: number; last: number | null; loading: boolean } & Record<string, unknown> } | undefined>;
}
