import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { DebugEntriesAnswer, DebugEntryAnswer, DebugLogAnswer } from '#wire/dashboard.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { CodeBlock } from '../../parts/code.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton, Dialog } from '../../parts/dialog.tsx';
import { Problem, Select, useForm } from '../../parts/form.tsx';
import { plural } from '../../parts/format.ts';
import { Card } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { wallMs } from '../../surroundings.ts';
import { account, change } from './api.ts';

const HOUR_MS = 3_600_000;
const STRETCHES = [
  { value: '1', label: 'For an hour' },
  { value: '8', label: 'For 8 hours' },
  { value: '24', label: 'For a day' },
  { value: '71', label: 'For three days' },
] as const;
type Stretch = (typeof STRETCHES)[number]['value'];

/** What an account asked and was answered, kept only while it wants that, and shown to nobody else. */
export function DebugLog() {
  const queries = useQueryClient();
  const query = useQuery(account.debugLog());
  const [opened, setOpened] = useState<string>();
  const look = async (): Promise<void> => {
    await queries.invalidateQueries({ queryKey: account.debugLog().queryKey });
    await queries.invalidateQueries({ queryKey: account.debugEntries().queryKey });
  };
  return (
    <Card
      title="Debug log"
      hint="Keeps what you ask and are answered while you look for a fault: encrypted, without keys, addresses and card numbers, for your eyes alone."
    >
      <Loaded query={query} skeleton={<Skeleton className="h-24" />}>
        {(log) => (
          <div className="space-y-4">
            <Standing log={log} look={look} />
            {log.entries > 0 && <Entries open={setOpened} />}
            {log.readings[0] && (
              <p className="text-sm text-soft">
                Last read <Time at={log.readings[0].at} as="ago" />, from{' '}
                <span className="figures">{log.readings[0].address}</span>.
              </p>
            )}
          </div>
        )}
      </Loaded>
      {opened !== undefined && (
        <Entry
          id={opened}
          onClose={() => {
            setOpened(undefined);
            // That it was read is noted too.
            void look();
          }}
        />
      )}
    </Card>
  );
}

function Standing({ log, look }: { log: DebugLogAnswer; look: () => Promise<void> }) {
  const [hours, setHours] = useState<Stretch>('1');
  const form = useForm(async () => {
    await change.keepDebugLog(new Date(wallMs() + Number(hours) * HOUR_MS).toISOString());
    await look();
    toast.done('The debug log is on.');
  });
  const off = useForm(async () => {
    await change.endDebugLog();
    await look();
    toast.done('The debug log is off. What it has goes by itself, or at once if you say so.');
  });
  return (
    <>
      <div className="flex flex-wrap items-end justify-between gap-4">
        <p className="self-center">
          {log.enabled && log.until !== null ? (
            <StateDot tone="warn">
              On until <Time at={log.until} as="short" />
            </StateDot>
          ) : (
            <StateDot tone="good">Off: nothing is kept</StateDot>
          )}
          {log.entries > 0 && (
            <span className="text-soft">
              {' '}
              · {plural(log.entries, 'request')} of at most {log.entries_max}
            </span>
          )}
        </p>
        <div className="flex flex-wrap items-end gap-2">
          {log.entries > 0 && (
            <ConfirmButton
              label="Delete all"
              size="md"
              title="Delete everything in the debug log?"
              act={async () => {
                await change.emptyDebugLog();
                await look();
                toast.done('The debug log is empty.');
              }}
            >
              It is gone at once, for good.
            </ConfirmButton>
          )}
          {log.enabled ? (
            <form onSubmit={off.onSubmit}>
              <Button type="submit" busy={off.busy}>
                End the log
              </Button>
            </form>
          ) : (
            <form onSubmit={form.onSubmit} className="flex items-end gap-2">
              <Select
                label="How long to keep a debug log"
                hideLabel
                value={hours}
                options={STRETCHES}
                onChange={setHours}
              />
              <Button type="submit" busy={form.busy}>
                Start the log
              </Button>
            </form>
          )}
        </div>
      </div>
      <Problem>{form.problem ?? off.problem}</Problem>
    </>
  );
}

type Head = DebugEntriesAnswer['entries'][number];

function Entries({ open }: { open: (id: string) => void }) {
  const query = useQuery(account.debugEntries());
  const columns = useMemo(() => columnsWith(open), [open]);
  return (
    <Loaded query={query} skeleton={<Skeleton className="h-40" />}>
      {({ entries, next }) => (
        <>
          <DataTable
            caption="Kept requests"
            columns={columns}
            rows={entries}
            rowKey={(row) => row.id}
            onOpen={(row) => open(row.id)}
            empty={<p className="text-soft">Nothing is kept.</p>}
          />
          {next !== null && (
            <p className="mt-2 text-sm text-soft">
              The newest {entries.length} are shown. All of them:{' '}
              <code>GET /api/v1/user/me/debug-log/entries</code>.
            </p>
          )}
        </>
      )}
    </Loaded>
  );
}

function columnsWith(open: (id: string) => void): readonly Column<Head>[] {
  return [
    {
      name: 'Request',
      show: (row) => (
        <button
          type="button"
          onClick={() => open(row.id)}
          className="font-mono text-sm underline-offset-2 group-hover:underline"
        >
          {row.id}
        </button>
      ),
    },
    { name: 'When', show: (row) => <Time at={row.at} as="short" /> },
    { name: 'Call', wide: true, show: (row) => row.endpoint },
    {
      name: 'Answer',
      show: (row) => (
        <Badge tone={row.status >= 200 && row.status < 300 ? 'good' : 'warn'}>
          {row.status === 0 ? 'You left' : row.status}
        </Badge>
      ),
    },
    { name: 'Gone', wide: true, show: (row) => <Time at={row.expires_at} as="day" /> },
  ];
}

function Entry({ id, onClose }: { id: string; onClose: () => void }) {
  const query = useQuery(account.debugEntry(id));
  return (
    <Dialog open onClose={onClose} title="What was asked and answered" wide>
      <Loaded query={query} skeleton={<Skeleton className="h-64" />}>
        {(entry) => <Texts entry={entry} />}
      </Loaded>
    </Dialog>
  );
}

function Texts({ entry }: { entry: DebugEntryAnswer }) {
  return (
    <div className="space-y-3">
      <p className="text-soft">
        {entry.model ?? 'No model that is sold here'}, <Time at={entry.at} />
        {entry.left && '. You left before the answer was whole'}
        {(entry.request_cut || entry.answer_cut) && '. What was too long is cut'}.
      </p>
      <CodeBlock
        label="What was kept"
        samples={[
          { name: 'Answer', code: entry.answer === '' ? '(nothing)' : entry.answer },
          { name: 'Request', code: entry.request },
        ]}
      />
    </div>
  );
}
