import { Check, CircleAlert, X } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import { after, freshName } from '../surroundings.ts';

/** Short words that something was done, or was not. They leave by themselves; nothing that must be read is only here. */
interface Toast {
  readonly id: string;
  readonly kind: 'done' | 'failed';
  readonly words: string;
}

const SHOWN_MS = 5_000;
let toasts: readonly Toast[] = [];
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

function dismiss(id: string): void {
  set(toasts.filter((toast) => toast.id !== id));
}

function show(kind: Toast['kind'], words: string): void {
  const id = freshName();
  set([...toasts.slice(-3), { id, kind, words }]);
  after(SHOWN_MS, () => dismiss(id));
}

export const toast = {
  done: (words: string): void => show('done', words),
  failed: (words: string): void => show('failed', words),
};

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div
      role="status"
      aria-live="polite"
      className="fixed right-4 bottom-4 z-60 flex w-80 max-w-[calc(100vw-2rem)] flex-col gap-2"
    >
      {shown.map(({ id, kind, words }) => (
        <div
          key={id}
          className="flex animate-[rise_.18s_ease-out] items-start gap-2.5 rounded-xl border border-line bg-surface px-3.5 py-3 shadow-high"
        >
          {kind === 'done' ? (
            <Check size={16} className="mt-0.5 shrink-0 text-good" aria-hidden />
          ) : (
            <CircleAlert size={16} className="mt-0.5 shrink-0 text-bad" aria-hidden />
          )}
          <p className="flex-1">{words}</p>
          <button
            type="button"
            aria-label="Dismiss"
            className="text-faint hover:text-ink"
            onClick={() => dismiss(id)}
          >
            <X size={14} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
