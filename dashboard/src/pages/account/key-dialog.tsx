import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { KeyAnswerBody } from '#wire/console.ts';
import { market } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Checkbox, Problem, Segments, Select, TextArea, TextField, useForm } from '../../parts/form.tsx';
import { toast } from '../../parts/toast.tsx';
import { wallMs } from '../../surroundings.ts';
import { account, change, type KeyLimits } from './api.ts';
import { Secret } from './secret.tsx';

const DAY_MS = 86_400_000;
const ENDS = [
  { value: '', label: 'Never' },
  { value: '7', label: 'In 7 days' },
  { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' },
  { value: '365', label: 'In a year' },
] as const;

/** Makes a key and shows its secret once; with `of`, changes what a key may do. */
export function KeyDialog({
  open,
  onClose,
  of,
}: {
  open: boolean;
  onClose: () => void;
  of?: KeyAnswerBody | undefined;
}) {
  const [secret, setSecret] = useState<string>();
  const close = (): void => {
    onClose();
    setSecret(undefined);
  };
  return (
    <Dialog
      open={open}
      onClose={close}
      title={secret === undefined ? (of ? `Change ${of.name}` : 'New key') : 'Your new key'}
      wide
      footer={
        secret === undefined ? undefined : (
          <Button kind="primary" onClick={close}>
            I have kept it
          </Button>
        )
      }
    >
      {secret === undefined ? (
        <KeyForm
          of={of}
          onDone={(made) => (made === undefined ? close() : setSecret(made))}
          onCancel={close}
        />
      ) : (
        <Secret secret={secret} />
      )}
    </Dialog>
  );
}

function KeyForm({
  of,
  onDone,
  onCancel,
}: {
  of: KeyAnswerBody | undefined;
  onDone: (secret: string | undefined) => void;
  onCancel: () => void;
}) {
  const queries = useQueryClient();
  const [name, setName] = useState(of?.name ?? '');
  const [day, setDay] = useState(of?.cap_day_usd ?? '');
  const [month, setMonth] = useState(of?.cap_month_usd ?? '');
  const [perMinute, setPerMinute] = useState(of?.requests_per_minute?.toString() ?? '');
  const [addresses, setAddresses] = useState(of?.addresses?.join('\n') ?? '');
  const [models, setModels] = useState<string[] | null>(of?.models ?? null);
  const [ends, setEnds] = useState<string>(of?.expires_at ? 'kept' : '');
  const form = useForm(async () => {
    const limits: KeyLimits = {
      name: name.trim() === '' ? 'Key' : name.trim(),
      models,
      cap_day_usd: day.trim() === '' ? null : day.trim(),
      cap_month_usd: month.trim() === '' ? null : month.trim(),
      addresses: addresses.trim() === '' ? null : addresses.trim().split(/[\s,]+/),
      requests_per_minute: perMinute.trim() === '' ? null : Number(perMinute),
      expires_at:
        ends === 'kept'
          ? (of?.expires_at ?? null)
          : ends === ''
            ? null
            : new Date(wallMs() + Number(ends) * DAY_MS).toISOString(),
    };
    const secret = of ? undefined : (await change.makeKey(limits)).api_key;
    if (of) {
      await change.keepKey(of.id, limits);
      toast.done(`${limits.name} is changed.`);
    }
    await queries.invalidateQueries({ queryKey: account.keys().queryKey });
    onDone(secret);
  });
  return (
    <form onSubmit={form.onSubmit} className="space-y-5">
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        placeholder="Production"
        maxLength={200}
        hint="Where it is used, so that you know later what to revoke."
        error={form.errorOf('name')}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Cap for a day, in dollars"
          inputMode="decimal"
          placeholder="No cap"
          value={day}
          onChange={setDay}
          error={form.errorOf('cap_day_usd')}
        />
        <TextField
          label="Cap for a month, in dollars"
          inputMode="decimal"
          placeholder="No cap"
          value={month}
          onChange={setMonth}
          error={form.errorOf('cap_month_usd')}
        />
        <TextField
          label="Requests a minute"
          type="number"
          min={1}
          placeholder="As your plan"
          value={perMinute}
          onChange={setPerMinute}
          error={form.errorOf('requests_per_minute')}
        />
        <Select
          label="Ends"
          value={ends}
          onChange={setEnds}
          options={[
            ...(of?.expires_at ? [{ value: 'kept', label: `As it was: ${of.expires_at.slice(0, 10)}` }] : []),
            ...ENDS,
          ]}
          error={form.errorOf('expires_at')}
        />
      </div>
      <ModelChoice models={models} onChange={setModels} />
      <TextArea
        label="Addresses that may use it"
        hint="One a line, such as 203.0.113.7 or 2001:db8::/32. Empty: from anywhere."
        rows={2}
        className="font-mono text-sm"
        value={addresses}
        onChange={setAddresses}
        error={form.errorOf('addresses')}
      />
      <Problem>{form.problem}</Problem>
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" kind="primary" busy={form.busy}>
          {of ? 'Keep changes' : 'Make the key'}
        </Button>
      </div>
    </form>
  );
}

function ModelChoice({
  models,
  onChange,
}: {
  models: string[] | null;
  onChange: (models: string[] | null) => void;
}) {
  const all = useQuery(market.models()).data ?? [];
  const chosen = new Set(models);
  return (
    <fieldset>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <legend className="float-left text-sm font-medium">Models that it may call</legend>
        <Segments
          label="Models"
          value={models === null ? 'all' : 'some'}
          options={[
            { value: 'all', label: 'All' },
            { value: 'some', label: models === null ? 'Chosen ones' : `Chosen ones: ${models.length}` },
          ]}
          onChange={(value) => onChange(value === 'all' ? null : (models ?? []))}
        />
      </div>
      {models !== null && (
        <div
          className="mt-2 max-h-44 space-y-2 overflow-y-auto rounded-lg border border-line bg-sunken p-3"
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by the keyboard
          tabIndex={0}
          role="group"
          aria-label="Models to choose"
        >
          {all.map(({ id, name }) => (
            <Checkbox
              key={id}
              label={name}
              checked={chosen.has(id)}
              onChange={(on) => onChange(on ? [...models, id] : models.filter((each) => each !== id))}
            />
          ))}
        </div>
      )}
    </fieldset>
  );
}
