import { useQueryClient } from '@tanstack/react-query';
import { useLive } from '../../parts/live.ts';
import { allPayouts, provider } from './api.ts';

/** Asks again as soon as a node comes, goes, or has something else in flight, or a batch of payouts moves on. */
export function useProviderLive(): 'connecting' | 'live' | 'broken' {
  const queries = useQueryClient();
  return useLive('/api/v1/events?topics=nodes,settlement', ['nodes', 'settlement'], (name) => {
    const stale = name === 'nodes' ? [provider.nodes(), provider.onboarding()] : allPayouts;
    for (const { queryKey } of stale) void queries.invalidateQueries({ queryKey });
  });
}
