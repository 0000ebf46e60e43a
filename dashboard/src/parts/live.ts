import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useState } from 'react';

/**
 * Server-sent events, for what changes while it is looked at: `useLive('/api/v1/events', ['balance'], …)`. `onEvent` gets each
 * event's name and its data, read as JSON.
 * The browser comes back by itself after a break; `state` says how it is, so that a page can say so too.
 */
export function useLive(
  path: string | undefined,
  names: readonly string[],
  onEvent: (name: string, data: unknown) => void,
): 'connecting' | 'live' | 'broken' {
  const [state, setState] = useState<'connecting' | 'live' | 'broken'>('connecting');
  const hear = useEffectEvent(onEvent);
  const list = names.join(' ');
  useEffect(() => {
    if (path === undefined) return undefined;
    const source = new EventSource(path);
    source.addEventListener('open', () => setState('live'));
    source.addEventListener('error', () => setState('broken'));
    for (const name of list.split(' '))
      source.addEventListener(name, (event: MessageEvent<string>) => hear(name, JSON.parse(event.data)));
    return () => source.close();
  }, [path, list]);
  return state;
}

/** The same, where an event means only that something must be asked for again: `stale` gives its query key. */
export function useLiveQueries(
  path: string | undefined,
  stale: Readonly<Record<string, readonly unknown[]>>,
): 'connecting' | 'live' | 'broken' {
  const queries = useQueryClient();
  return useLive(path, Object.keys(stale), (name) => {
    const queryKey = stale[name];
    if (queryKey) void queries.invalidateQueries({ queryKey });
  });
}
