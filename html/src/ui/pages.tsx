import { useInfiniteQuery } from '@tanstack/react-query';

import { explain } from '../lib/api';

interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

interface Options {
  limit: number;
  /** of each page: they are read again one after the other */
  refetchInterval?: number;
}

/** A list that comes in pages, the first ones together. */
export function usePages<T>(key: readonly unknown[], read: (query: { limit: number; cursor?: string }) => Promise<Page<T>>, { limit, refetchInterval }: Options) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => read({ limit, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
    // of a number that keeps its digits (lib/exact-json.ts) a copy is none
    structuralSharing: false,
    refetchInterval: refetchInterval === undefined ? false : ({ state }) => refetchInterval * (state.data?.pages.length ?? 1),
  });
  return { query, items: query.data?.pages.flatMap((page) => page.items) ?? [] };
}

export function More({ query }: { query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown; isFetchNextPageError: boolean; error: unknown } }) {
  return query.hasNextPage ? (
    <div className="p-3 text-center">
      {query.isFetchNextPageError && <p role="alert" className="mb-2 text-xs text-bad">{explain(query.error)}</p>}
      <button type="button" className="button" disabled={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>Show more</button>
    </div>
  ) : null;
}
