import { useEffect } from 'react';
import { after } from '../surroundings.ts';

/** On a Mac the command key, elsewhere the control key. */
export const COMMAND_KEY = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';

/** How long the second key of a pair is waited for. */
const PAIR_MS = 1_200;

/**
 * Keys that do something everywhere: one (`?`), or a pair pressed one after the other (`g m`). They rest while somebody
 * writes or a window is open.
 */
export function useKeys(keys: Readonly<Record<string, () => void>>): void {
  useEffect(() => {
    let began = '';
    let forget = (): void => {};
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return;
      forget();
      const pressed = began === '' ? event.key : `${began} ${event.key}`;
      began = '';
      const act = keys[pressed];
      if (act) {
        event.preventDefault();
        act();
      } else if (Object.keys(keys).some((each) => each.startsWith(`${event.key} `))) {
        began = event.key;
        forget = after(PAIR_MS, () => {
          began = '';
        });
      }
    };
    document.addEventListener('keydown', press);
    return () => {
      document.removeEventListener('keydown', press);
      forget();
    };
  }, [keys]);
}

function isBusy(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest('input, textarea, select, [contenteditable], [role="dialog"]') !== null
  );
}

/** A key, as it is drawn. */
export function Key({ children }: { children: string }) {
  return (
    <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded border border-line-strong bg-sunken px-1 font-sans text-xs text-soft">
      {children}
    </kbd>
  );
}
