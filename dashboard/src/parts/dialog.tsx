import { Dialog as Base } from '@base-ui/react/dialog';
import { X } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Button, IconButton } from './button.tsx';
import { cx } from './class-names.ts';
import { TextField } from './form.tsx';

/** A window over the page. The focus stays inside and goes back when it closes; Escape closes it. */
export function Dialog({
  open,
  onClose,
  title,
  children,
  footer,
  wide = false,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
}) {
  return (
    <Base.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-black/45 transition-opacity data-ending-style:opacity-0 data-starting-style:opacity-0" />
        <Base.Popup
          className={cx(
            'fixed top-[12vh] left-1/2 z-50 flex max-h-[76vh] w-[calc(100vw-2rem)] -translate-x-1/2 flex-col rounded-2xl border border-line bg-surface shadow-high transition-all data-ending-style:opacity-0 data-starting-style:translate-y-2 data-starting-style:opacity-0',
            wide ? 'max-w-2xl' : 'max-w-md',
          )}
        >
          <header className="flex items-center justify-between gap-4 px-5 pt-4 pb-2">
            <Base.Title className="text-xl font-semibold">{title}</Base.Title>
            <Base.Close render={<IconButton icon={X} label="Close" />} />
          </header>
          <div className="overflow-y-auto px-5 pb-5">{children}</div>
          {footer && (
            <footer className="flex justify-end gap-2 border-t border-line px-5 py-3">{footer}</footer>
          )}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

/**
 * A button for what cannot be taken back. It asks once more and, where `type` is given, has that word typed first; only
 * then `act` runs, and the window stays until it is done.
 */
export function ConfirmButton({
  label,
  title,
  children,
  confirm = label,
  type,
  act,
  danger = true,
  size = 'sm',
  disabled = false,
}: {
  label: string;
  title: string;
  /** What will happen, and what will not. */
  children: ReactNode;
  confirm?: string;
  type?: string;
  act: () => Promise<unknown>;
  danger?: boolean;
  size?: 'sm' | 'md';
  disabled?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string>();
  const close = (): void => {
    setOpen(false);
    setTyped('');
    setFailed(undefined);
  };
  const go = async (): Promise<void> => {
    setBusy(true);
    setFailed(undefined);
    try {
      await act();
      close();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : 'It did not work.');
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button
        kind={danger ? 'danger' : 'plain'}
        size={size}
        disabled={disabled}
        onClick={() => setOpen(true)}
      >
        {label}
      </Button>
      <Dialog
        open={open}
        onClose={close}
        title={title}
        footer={
          <>
            <Button onClick={close}>Cancel</Button>
            <Button
              kind={danger ? 'danger' : 'primary'}
              busy={busy}
              disabled={type !== undefined && typed !== type}
              onClick={() => void go()}
            >
              {confirm}
            </Button>
          </>
        }
      >
        <div className="text-soft">{children}</div>
        {type !== undefined && (
          <div className="mt-4">
            <TextField
              label={`Type ${type} to confirm`}
              value={typed}
              onChange={setTyped}
              autoComplete="off"
            />
          </div>
        )}
        {failed !== undefined && (
          <p role="alert" className="mt-3 text-bad">
            {failed}
          </p>
        )}
      </Dialog>
    </>
  );
}
