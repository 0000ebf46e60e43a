import { Dialog } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Boxes, FileText, Keyboard, type LucideIcon, Monitor, Moon, Search, Sun } from 'lucide-react';
import { useEffect, useEffectEvent, useId, useState } from 'react';
import { market } from '../api.ts';
import { PAGES } from '../pages.ts';
import { cx } from '../parts/class-names.ts';
import { Key } from '../parts/keys.tsx';
import { setTheme } from '../parts/theme.ts';
import { mayOpen, useUser } from './roles.ts';

/** The control (on a Mac, command) key with K, from anywhere, also while writing. */
export function usePaletteKey(open: () => void): void {
  const show = useEffectEvent(open);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        show();
      }
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, []);
}

interface Command {
  readonly id: string;
  readonly group: string;
  readonly name: string;
  /** What it is found by as well. */
  readonly also?: string;
  readonly icon: LucideIcon;
  readonly keys?: string | undefined;
  readonly run: () => void;
}

const SHOWN = 12;

/** Every page, every model and the few things that can be done from anywhere, found by typing. */
export function Palette({
  open,
  onClose,
  onHelp,
}: {
  open: boolean;
  onClose: () => void;
  onHelp: () => void;
}) {
  return (
    <Dialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/45" />
        <Dialog.Popup className="fixed top-[14vh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-2xl border border-line bg-surface shadow-high">
          <Dialog.Title className="sr-only">Search and commands</Dialog.Title>
          <Finder onClose={onClose} onHelp={onHelp} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Finder({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const commands = useCommands(onHelp);
  const [wish, setWish] = useState('');
  const [at, setAt] = useState(0);
  const id = useId();
  const words = wish.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands
    .filter(({ name, also, group }) => {
      const text = `${name} ${also ?? ''} ${group}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .slice(0, SHOWN);
  const run = (command: Command | undefined): void => {
    if (!command) return;
    onClose();
    command.run();
  };
  return (
    <>
      <div className="flex items-center gap-3 border-b border-line px-4">
        <Search size={16} className="text-faint" aria-hidden />
        <input
          role="combobox"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={found[at] ? `${id}-${at}` : undefined}
          aria-label="Search pages, models and commands"
          placeholder="Search pages, models and commands"
          value={wish}
          onChange={(event) => {
            setWish(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
            if (step !== 0 && found.length > 0) {
              event.preventDefault();
              setAt((at + step + found.length) % found.length);
            } else if (event.key === 'Enter') {
              event.preventDefault();
              run(found[at]);
            }
          }}
          className="h-12 flex-1 bg-transparent text-lg outline-none placeholder:text-faint"
        />
        <Key>Esc</Key>
      </div>
      <div id={`${id}-list`} role="listbox" aria-label="Found" className="max-h-96 overflow-y-auto p-2">
        {found.map((command, place) => (
          <div key={command.id}>
            {command.group !== found[place - 1]?.group && (
              <p className="px-2.5 pt-2 pb-1 text-xs font-medium text-faint" role="presentation">
                {command.group}
              </p>
            )}
            {/* The keyboard works through the field above. */}
            <div
              id={`${id}-${place}`}
              role="option"
              tabIndex={-1}
              aria-selected={place === at}
              onMouseMove={() => setAt(place)}
              onClick={() => run(command)}
              onKeyDown={(event) => event.key === 'Enter' && run(command)}
              className={cx(
                'flex cursor-pointer items-center gap-3 rounded-lg px-2.5 py-2',
                place === at && 'bg-hover',
              )}
            >
              <command.icon size={16} className="text-faint" aria-hidden />
              <span className="min-w-0 flex-1 truncate">{command.name}</span>
              {command.also !== undefined && (
                <span className="truncate text-sm text-faint max-sm:hidden">{command.also}</span>
              )}
              {command.keys?.split(' ').map((key) => (
                <Key key={key}>{key}</Key>
              ))}
            </div>
          </div>
        ))}
        {found.length === 0 && (
          <p className="px-3 py-8 text-center text-soft">Nothing is called that. Try a model or a page.</p>
        )}
      </div>
    </>
  );
}

function useCommands(onHelp: () => void): Command[] {
  const user = useUser();
  const navigate = useNavigate();
  const models = useQuery(market.models()).data ?? [];
  const go = (to: string) => (): void => void navigate({ to });
  return [
    ...PAGES.filter((page) => page.icon && mayOpen(page.area, user)).map((page) => ({
      id: page.path,
      group: 'Pages',
      name: page.title,
      ...(page.section !== undefined && { also: page.section }),
      icon: page.icon ?? FileText,
      keys: page.keys,
      run: go(page.path),
    })),
    ...models.map((model) => ({
      id: model.id,
      group: 'Models',
      name: model.name,
      also: model.id,
      icon: Boxes,
      run: go(`/models/${model.id}`),
    })),
    { id: 'light', group: 'Commands', name: 'Light theme', icon: Sun, run: () => setTheme('light') },
    { id: 'dark', group: 'Commands', name: 'Dark theme', icon: Moon, run: () => setTheme('dark') },
    {
      id: 'system',
      group: 'Commands',
      name: 'Theme as the system',
      icon: Monitor,
      run: () => setTheme('system'),
    },
    {
      id: 'keys',
      group: 'Commands',
      name: 'Keys',
      also: 'shortcuts',
      icon: Keyboard,
      keys: '?',
      run: onHelp,
    },
    {
      id: 'docs',
      group: 'Commands',
      name: 'API reference',
      icon: FileText,
      run: () => location.assign('/docs'),
    },
  ];
}
