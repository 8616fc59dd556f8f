// Charts state what they show, so that a test or a person at the console can ask.
interface ChartState {
  points: number;
  first: number | null;
  last: number | null;
  lastValue: number | null;
  loading: boolean;
}

interface Window {
  __charts: Record<string, { state(): ChartState }>;
}
