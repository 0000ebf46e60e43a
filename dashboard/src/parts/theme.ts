import { useSyncExternalStore } from 'react';
import { keep, kept } from './storage.ts';

/** Light, dark, or as the system is. `theme.js` applies the wish before anything is drawn; this changes it. */
export type Theme = 'light' | 'dark' | 'system';

const listeners = new Set<() => void>();
const systemDark = matchMedia('(prefers-color-scheme: dark)');
systemDark.addEventListener('change', apply);

function wish(): Theme {
  const value = kept('theme');
  return value === 'light' || value === 'dark' ? value : 'system';
}

function apply(): void {
  const dark = wish() === 'dark' || (wish() === 'system' && systemDark.matches);
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
  for (const listener of listeners) listener();
}

export function setTheme(theme: Theme): void {
  keep('theme', theme === 'system' ? undefined : theme);
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** What was wished, and what is shown. */
export function useTheme(): { theme: Theme; shown: 'light' | 'dark' } {
  const theme = useSyncExternalStore(subscribe, wish);
  const shown = useSyncExternalStore(subscribe, () =>
    document.documentElement.dataset['theme'] === 'dark' ? 'dark' : 'light',
  );
  return { theme, shown };
}
