import type { LucideIcon } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import { Button, type ButtonKind } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { Problem, useForm } from './form.tsx';

/**
 * A button that opens a window with a form. `act` sends it; the window closes when that is done, and shows at its field, or
 * below, what the server refused.
 */
export function FormButton({
  label,
  about,
  title,
  confirm = label,
  kind = 'plain',
  confirmKind = 'primary',
  size = 'sm',
  icon,
  wide = false,
  disabled = false,
  onOpen,
  keepOpen = false,
  act,
  children,
}: {
  label: string;
  /** What the label is about, for whoever cannot see what stands beside it. */
  about?: string;
  title: string;
  confirm?: string;
  kind?: ButtonKind;
  confirmKind?: 'primary' | 'danger';
  size?: 'sm' | 'md';
  icon?: LucideIcon;
  wide?: boolean;
  disabled?: boolean;
  /** Before it opens: fields get their first values here. */
  onOpen?: () => void;
  /** Whether the window stays after `act`: there is another step. */
  keepOpen?: boolean;
  act: () => Promise<unknown>;
  children: (errorOf: (field: string) => string | undefined) => ReactNode;
}) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const form = useForm(async () => {
    await act();
    if (!keepOpen) setOpen(false);
  });
  return (
    <>
      <Button
        kind={kind}
        size={size}
        disabled={disabled}
        {...(icon && { icon })}
        onClick={() => {
          onOpen?.();
          setOpen(true);
        }}
      >
        {label}
        {about !== undefined && <span className="sr-only"> {about}</span>}
      </Button>
      <Dialog
        open={open}
        onClose={() => setOpen(false)}
        title={title}
        wide={wide}
        footer={
          <>
            <Button onClick={() => setOpen(false)}>Cancel</Button>
            <Button type="submit" form={id} kind={confirmKind} busy={form.busy}>
              {confirm}
            </Button>
          </>
        }
      >
        <form id={id} onSubmit={form.onSubmit} className="space-y-4">
          {children(form.errorOf)}
          <Problem>{form.problem}</Problem>
        </form>
      </Dialog>
    </>
  );
}
