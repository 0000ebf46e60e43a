import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { KeyRound, Pencil, Plus, RotateCw } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { KeyAnswerBody } from '#wire/console.ts';
import { Badge } from '../../parts/badge.tsx';
import { Button, IconButton } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton, Dialog } from '../../parts/dialog.tsx';
import { Problem, Select, TextField, useForm } from '../../parts/form.tsx';
import { NOTHING, plural, usd, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { account, change } from './api.ts';
import { KeyDialog } from './key-dialog.tsx';
import { MoneyNotice, useBalance } from './money.tsx';
import { Secret } from './secret.tsx';
import { programName, shortModel } from './words.ts';

type Row = KeyAnswerBody & { readonly spent: string | undefined };

/** An account's keys: made, limited, rotated, revoked. */
export default function Keys() {
  const query = useQuery(account.keys());
  const usage = useQuery(account.usageBy('key')).data;
  const { balance } = useBalance();
  const [making, setMaking] = useState(false);
  const [changing, setChanging] = useState<KeyAnswerBody>();
  const [rotating, setRotating] = useState<KeyAnswerBody>();
  const [ended, showEnded] = useState(false);
  const spent = useMemo(() => new Map(usage?.rows.map((row) => [row.id, row.spend_usd])), [usage]);
  const all = query.data?.keys.map((key) => ({ ...key, spent: spent.get(key.id) }));
  const gone = all?.filter(({ status }) => status !== 'active') ?? [];
  const rows = ended ? all : all?.filter(({ status }) => status === 'active');
  const columns = useMemo(() => columnsFor(setChanging, setRotating), []);
  return (
    <>
      <PageHead
        title="Keys"
        actions={
          <Button kind="primary" icon={Plus} onClick={() => setMaking(true)}>
            New key
          </Button>
        }
      >
        Give each program its own, with a cap: what leaks then costs little, and is revoked alone.
      </PageHead>
      <MoneyNotice balance={balance} />
      <Card flush className="overflow-hidden">
        {query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Your keys"
            columns={columns}
            rows={rows}
            rowKey={(key) => key.id}
            skeletonRows={3}
            empty={
              <Empty
                icon={KeyRound}
                title="No key is active"
                action={
                  <Button kind="primary" icon={Plus} onClick={() => setMaking(true)}>
                    New key
                  </Button>
                }
              >
                Make one to send requests. It can be limited to models, to an amount, and to a time.
              </Empty>
            }
          />
        )}
      </Card>
      <div className="mt-3 flex flex-wrap items-center gap-2">
        {gone.length > 0 && (
          <Button kind="quiet" size="sm" onClick={() => showEnded(!ended)}>
            {ended ? 'Hide what is over' : `Show ${plural(gone.length, 'key')} revoked or expired`}
          </Button>
        )}
        {all?.some(({ status }) => status === 'active') && <RevokeSince keys={all} />}
      </div>
      <KeyDialog open={making} onClose={() => setMaking(false)} />
      <KeyDialog
        key={changing?.id}
        open={changing !== undefined}
        of={changing}
        onClose={() => setChanging(undefined)}
      />
      {rotating && <Rotation of={rotating} onClose={() => setRotating(undefined)} />}
    </>
  );
}

function columnsFor(
  onChange: (key: KeyAnswerBody) => void,
  onRotate: (key: KeyAnswerBody) => void,
): readonly Column<Row>[] {
  return [
    {
      name: 'Name',
      sort: (key) => key.name,
      show: (key) => (
        <>
          <span className="flex items-center gap-2 font-medium">
            <Link to="/account/usage" search={{ key: key.id }} className="hover:text-accent">
              {key.name}
            </Link>
            {key.status !== 'active' && <Badge>{key.status === 'revoked' ? 'Revoked' : 'Expired'}</Badge>}
          </span>
          <code className="font-mono text-sm whitespace-nowrap text-faint">{key.prefix}…</code>
          <span className="block text-sm text-faint" title={key.made_in?.program}>
            <Time at={key.created_at} />
            {key.made_in && `, ${programName(key.made_in.program)} at ${key.made_in.address}`}
          </span>
        </>
      ),
    },
    { name: 'Limits', wide: true, show: (key) => <Limits of={key} /> },
    {
      name: '30 days',
      number: true,
      wide: true,
      sort: (key) => Number(key.spent ?? 0),
      show: (key) => (key.spent === undefined ? NOTHING : usd(key.spent)),
    },
    {
      name: 'Last used',
      wide: true,
      sort: (key) => key.last_used_on,
      show: (key) =>
        key.last_used_on === null ? <span className="text-faint">Never</span> : bookDay(key.last_used_on),
    },
    {
      name: 'Ends',
      wide: true,
      show: (key) =>
        key.expires_at === null ? (
          <span className="text-faint">Never</span>
        ) : (
          <Time at={key.expires_at} as="day" />
        ),
    },
    {
      name: 'What to do',
      hideName: true,
      number: true,
      show: (key) =>
        key.status === 'active' && (
          <span className="inline-flex items-center gap-1">
            <IconButton icon={Pencil} label={`Change ${key.name}`} onClick={() => onChange(key)} />
            <IconButton icon={RotateCw} label={`Rotate ${key.name}`} onClick={() => onRotate(key)} />
            <Revoke of={key} />
          </span>
        ),
    },
  ];
}

function Limits({ of }: { of: KeyAnswerBody }) {
  const words = [
    of.cap_day_usd !== null && `${usd(of.cap_day_usd)} a day`,
    of.cap_month_usd !== null && `${usd(of.cap_month_usd)} a month`,
    of.requests_per_minute !== null && `${whole(of.requests_per_minute)} a minute`,
    of.models !== null &&
      (of.models.length === 1 ? shortModel(of.models[0] ?? '') : plural(of.models.length, 'model')),
    of.categories !== null && of.categories.join(', '),
    of.addresses !== null && plural(of.addresses.length, 'address', 'addresses'),
  ].filter((each) => each !== false);
  if (words.length === 0) return <span className="text-faint">None</span>;
  return (
    <span className="flex max-w-64 flex-wrap gap-1">
      {words.map((each) => (
        <Badge key={each}>{each}</Badge>
      ))}
    </span>
  );
}

function Revoke({ of }: { of: KeyAnswerBody }) {
  const queries = useQueryClient();
  return (
    <ConfirmButton
      label="Revoke"
      title={`Revoke ${of.name}?`}
      act={async () => {
        await change.revokeKey(of.id);
        await queries.invalidateQueries({ queryKey: account.keys().queryKey });
        toast.done(`${of.name} is revoked.`);
      }}
    >
      Programs that use <code className="font-mono text-sm">{of.prefix}…</code> are refused from the next
      request on. It cannot be taken back. To change it without a gap, rotate it instead.
    </ConfirmButton>
  );
}

/** After somebody else was signed in: what was made since then goes, and what was there before stays. */
function RevokeSince({ keys }: { keys: readonly KeyAnswerBody[] }) {
  const queries = useQueryClient();
  const [since, setSince] = useState('');
  const from = since === '' ? undefined : new Date(since);
  const gone = keys.filter(
    ({ status, created_at }) => status === 'active' && from !== undefined && new Date(created_at) >= from,
  );
  return (
    <ConfirmButton
      label="Revoke all made since…"
      confirm="Revoke"
      title="Revoke every key that was made since a moment?"
      act={async () => {
        if (!from) throw new Error('Say since when.');
        const { revoked } = await change.revokeKeysSince(from.toISOString());
        setSince('');
        await queries.invalidateQueries({ queryKey: account.keys().queryKey });
        toast.done(`${plural(revoked.length, 'key')} revoked.`);
      }}
    >
      <p className="mb-3">
        For when somebody else was signed in here. Programs that use one of these keys are refused from the
        next request on, and it cannot be taken back. Keys of your provider are among them.
      </p>
      <TextField label="Since" type="datetime-local" required value={since} onChange={setSince} />
      <p className="mt-3 text-soft">
        {gone.length === 0 ? 'No active key of this list.' : gone.map(({ name }) => name).join(', ')}
      </p>
    </ConfirmButton>
  );
}

const OVERLAPS = [
  { value: '24', label: 'For a day' },
  { value: '168', label: 'For a week' },
  { value: '1', label: 'For an hour' },
  { value: '0', label: 'Not at all' },
] as const;

function Rotation({ of, onClose }: { of: KeyAnswerBody; onClose: () => void }) {
  const queries = useQueryClient();
  const [overlap, setOverlap] = useState<(typeof OVERLAPS)[number]['value']>('24');
  const [made, setMade] = useState<{ secret: string; until: string }>();
  const form = useForm(async () => {
    const rotated = await change.rotateKey(of.id, Number(overlap));
    setMade({ secret: rotated.api_key, until: rotated.old_key_works_until });
    await queries.invalidateQueries({ queryKey: account.keys().queryKey });
  });
  if (made) {
    return (
      <Dialog
        open
        onClose={onClose}
        title="The new key"
        wide
        footer={
          <Button kind="primary" onClick={onClose}>
            I have kept it
          </Button>
        }
      >
        <Secret secret={made.secret} />
        {overlap !== '0' && (
          <p className="mt-4 text-soft">
            The old one works until <Time at={made.until} />.
          </p>
        )}
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title={`Rotate ${of.name}`}>
      <form onSubmit={form.onSubmit} className="space-y-5">
        <p className="text-soft">
          A new key with the same name and limits takes its place. Put it in, then let the old one end.
        </p>
        <Select label="The old key goes on" value={overlap} options={OVERLAPS} onChange={setOverlap} />
        <Problem>{form.problem}</Problem>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={form.busy}>
            Rotate
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
