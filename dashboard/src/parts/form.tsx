import { type ComponentProps, type FormEvent, type ReactNode, useId, useState } from 'react';
import { ApiError, adviceOn } from '../api.ts';
import { cx } from './class-names.ts';

const BOX =
  'block w-full rounded-lg border border-line-strong bg-surface px-3 text-base text-ink shadow-low placeholder:text-faint aria-invalid:border-bad disabled:opacity-60';

interface FieldLook {
  label: string;
  /** What belongs in here, where the label does not say it. */
  hint?: ReactNode;
  /** What is wrong with it. */
  error?: string | undefined;
  hideLabel?: boolean;
}

function Field({
  label,
  hint,
  error,
  hideLabel,
  children,
}: FieldLook & { children: (ids: FieldIds) => ReactNode }) {
  const id = useId();
  const about = error !== undefined || hint !== undefined ? `${id}-about` : undefined;
  return (
    <div>
      <label htmlFor={id} className={cx('mb-1.5 block text-sm font-medium', hideLabel && 'sr-only')}>
        {label}
      </label>
      {children({ id, 'aria-describedby': about, 'aria-invalid': error === undefined ? undefined : true })}
      {about !== undefined && (
        <p id={about} className={cx('mt-1.5 text-sm', error === undefined ? 'text-soft' : 'text-bad')}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

interface FieldIds {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': true | undefined;
}

/** A line of text with its label, a hint, and what is wrong with it. */
export function TextField({
  label,
  hint,
  error,
  hideLabel,
  onChange,
  className,
  ...rest
}: FieldLook & { onChange: (value: string) => void } & Omit<ComponentProps<'input'>, 'onChange'>) {
  return (
    <Field label={label} hint={hint} error={error} hideLabel={hideLabel ?? false}>
      {(ids) => (
        <input
          {...rest}
          {...ids}
          onChange={(event) => onChange(event.target.value)}
          className={cx(BOX, 'h-9', className)}
        />
      )}
    </Field>
  );
}

export function TextArea({
  label,
  hint,
  error,
  hideLabel,
  onChange,
  className,
  ...rest
}: FieldLook & { onChange: (value: string) => void } & Omit<ComponentProps<'textarea'>, 'onChange'>) {
  return (
    <Field label={label} hint={hint} error={error} hideLabel={hideLabel ?? false}>
      {(ids) => (
        <textarea
          {...rest}
          {...ids}
          onChange={(event) => onChange(event.target.value)}
          className={cx(BOX, 'py-2', className)}
        />
      )}
    </Field>
  );
}

export function Select<T extends string>({
  label,
  hint,
  error,
  hideLabel,
  value,
  options,
  onChange,
  disabled,
}: FieldLook & {
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
  disabled?: boolean;
}) {
  return (
    <Field label={label} hint={hint} error={error} hideLabel={hideLabel ?? false}>
      {(ids) => (
        <select
          {...ids}
          value={value}
          disabled={disabled}
          onChange={(event) => onChange(event.target.value as T)}
          className={cx(BOX, 'h-9 pr-8')}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function Checkbox({
  label,
  checked,
  onChange,
}: {
  label: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  return (
    <label className="flex cursor-pointer items-start gap-2.5">
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
        className="mt-0.5 size-4 accent-accent"
      />
      <span>{label}</span>
    </label>
  );
}

/** A choice of a few, side by side. */
export function Segments<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
}) {
  return (
    <div
      role="group"
      aria-label={label}
      className="inline-flex max-w-full overflow-x-auto rounded-lg bg-sunken p-0.5"
    >
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
          className={cx(
            'h-8 rounded-md px-3 text-sm font-medium whitespace-nowrap transition-colors',
            option.value === value ? 'bg-raised text-ink shadow-low' : 'text-soft hover:text-ink',
          )}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

/**
 * Sends a form. `submit` runs once at a time; a refusal that names a field (`param`) is shown at it through `errorOf`, any
 * other as `problem`, with what to do.
 */
export function useForm(submit: () => Promise<unknown>): {
  busy: boolean;
  problem: string | undefined;
  errorOf: (field: string) => string | undefined;
  onSubmit: (event: FormEvent) => void;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const param = error instanceof ApiError ? error.param : undefined;
  const message = error instanceof Error ? error.message : undefined;
  const go = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await submit();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return {
    busy,
    problem: error === undefined || param !== undefined ? undefined : `${message} ${adviceOn(error)}`,
    errorOf: (field) => (param === field ? message : undefined),
    onSubmit: (event) => {
      event.preventDefault();
      if (!busy) void go();
    },
  };
}

/** What is wrong with a form as a whole. */
export function Problem({ children }: { children: string | undefined }) {
  if (children === undefined) return null;
  return (
    <p role="alert" className="rounded-lg bg-bad-wash px-3 py-2 text-bad">
      {children}
    </p>
  );
}
