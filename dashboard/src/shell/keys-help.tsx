import { PAGES } from '../pages.ts';
import { Dialog } from '../parts/dialog.tsx';
import { COMMAND_KEY, Key } from '../parts/keys.tsx';
import { mayOpen, useUser } from './roles.ts';

/** Every key that does something. */
export function KeysHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  const user = useUser();
  const pages = PAGES.filter((page) => page.keys !== undefined && mayOpen(page.area, user));
  const rows: [string, string[]][] = [
    ['Search and commands', [COMMAND_KEY, 'K']],
    ['The same', ['/']],
    ['This list', ['?']],
    ['Close a window', ['Esc']],
    ...pages.map((page): [string, string[]] => [page.title, (page.keys ?? '').split(' ')]),
  ];
  return (
    <Dialog open={open} onClose={onClose} title="Keys">
      <dl className="divide-y divide-line">
        {rows.map(([name, keys]) => (
          <div key={`${name} ${keys.join()}`} className="flex items-center justify-between py-2">
            <dt>{name}</dt>
            <dd className="flex gap-1">
              {keys.map((key) => (
                <Key key={key}>{key}</Key>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
