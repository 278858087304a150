import { useQuery } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

import { api, ok, type Role, type User } from './api';
import { session, type SessionState } from './session';

const ASK_AGAIN_MS = 15_000;
const RANK: Record<Role, number> = { viewer: 1, operator: 2, admin: 3 };

export function useSession(): SessionState {
  return useSyncExternalStore(session.subscribe, () => session.state);
}

export function useMe(): User | undefined {
  return useQuery({
    queryKey: ['me'],
    queryFn: () => ok(api.GET('/auth/me')),
    staleTime: 60_000,
    // nothing is offered to nobody: it is asked until there is an answer
    refetchInterval: ({ state }) => (state.data ? false : ASK_AGAIN_MS),
  }).data;
}

/** Whether the one who is signed in has this role, or more. What it may not do is not offered. */
export function useMay(role: Role): boolean {
  const me = useMe();
  return me !== undefined && RANK[me.role] >= RANK[role];
}
