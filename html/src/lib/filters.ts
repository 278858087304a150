// The filter of the job list: in the address, so that it can be kept, sent and gone back to.

export const FILTER_KEYS = ['status', 'type', 'queue', 'priority', 'q', 'created_after', 'created_before', 'created_by', 'internal'] as const;
export type FilterKey = (typeof FILTER_KEYS)[number];
export type Filter = Partial<Record<FilterKey, string>>;

export function filterOf(search: string): Filter {
  const parameters = new URLSearchParams(search);
  const filter: Filter = {};
  for (const key of FILTER_KEYS) {
    const value = parameters.get(key);
    if (value) {
      filter[key] = value;
    }
  }
  return filter;
}

export function searchOf(filter: Filter): string {
  const parameters = new URLSearchParams();
  for (const key of FILTER_KEYS) {
    const value = filter[key];
    if (value) {
      parameters.set(key, value);
    }
  }
  return parameters.toString();
}

export function toggled(list: string | undefined, item: string): string {
  const items = (list ?? '').split(',').filter(Boolean);
  return (items.includes(item) ? items.filter((other) => other !== item) : [...items, item]).join(',');
}

export interface View {
  name: string;
  search: string;
}

const STORED = 'taskforge.views';

export function storedViews(): View[] {
  try {
    const views: unknown = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    return Array.isArray(views) ? (views as View[]).filter((view) => typeof view.name === 'string' && typeof view.search === 'string') : [];
  } catch {
    return [];
  }
}

export function storeViews(views: View[]): void {
  localStorage.setItem(STORED, JSON.stringify(views.slice(-20)));
}
