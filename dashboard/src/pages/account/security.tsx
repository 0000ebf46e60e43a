import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { SessionsAnswer } from '#wire/dashboard.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Checkbox, Problem, TextField, useForm } from '../../parts/form.tsx';
import { plural } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { useUser } from '../../shell/roles.ts';
import { account, change } from './api.ts';
import { DebugLog } from './debug-log.tsx';
import { SecondFactor } from './second-factor.tsx';
import { keysWords, programName } from './words.ts';

/** How an account is kept: the password, the second factor, where it is signed in, and what the market keeps of it. */
export default function Security() {
  const user = useUser();
  return (
    <>
      <PageHead title="Security and privacy">
        {user && (
          <>
            Signed in as <b className="font-medium text-ink">{user.email}</b>
          </>
        )}
      </PageHead>
      <div className="space-y-4">
        <div className="grid gap-4 lg:grid-cols-2">
          <Password />
          <SecondFactor />
        </div>
        <Sessions />
        <Privacy />
        <DebugLog />
      </div>
    </>
  );
}

const PASSWORD_MIN = 8;

function Password() {
  const queries = useQueryClient();
  const [present, setPresent] = useState('');
  const [next, setNext] = useState('');
  const [keys, setKeys] = useState(false);
  const form = useForm(async () => {
    const out = await change.password(present, next, keys);
    setPresent('');
    setNext('');
    setKeys(false);
    await queries.invalidateQueries({ queryKey: account.sessions().queryKey });
    await queries.invalidateQueries({ queryKey: account.keys().queryKey });
    toast.done(`The password is changed. Every other session has ended.${keysWords(out)}`);
  });
  return (
    <Card title="Password" hint="A new one ends every session but this.">
      <form onSubmit={form.onSubmit} className="space-y-4">
        <TextField
          label="Present password"
          type="password"
          autoComplete="current-password"
          required
          value={present}
          onChange={setPresent}
          error={form.errorOf('present_password')}
        />
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          minLength={PASSWORD_MIN}
          hint={`At least ${PASSWORD_MIN} characters.`}
          value={next}
          onChange={setNext}
          error={form.errorOf('new_password')}
        />
        <Checkbox label="Also revoke keys that those sessions made" checked={keys} onChange={setKeys} />
        <Problem>{form.problem}</Problem>
        <Button type="submit" busy={form.busy}>
          Change the password
        </Button>
      </form>
    </Card>
  );
}

type Session = SessionsAnswer['sessions'][number];

function Sessions() {
  const queries = useQueryClient();
  const query = useQuery(account.sessions());
  const look = async (): Promise<void> => {
    await queries.invalidateQueries({ queryKey: account.sessions().queryKey });
  };
  const [keys, setKeys] = useState(false);
  const others = query.data?.sessions.filter(({ current }) => !current).length ?? 0;
  return (
    <Card
      title="Where you are signed in"
      flush
      className="overflow-hidden"
      actions={
        others > 0 && (
          <ConfirmButton
            label="End all others"
            title="End every other session?"
            act={async () => {
              const out = await change.endOtherSessions(keys);
              setKeys(false);
              await look();
              await queries.invalidateQueries({ queryKey: account.keys().queryKey });
              toast.done(`${plural(out.ended, 'session')} ended.${keysWords(out)}`);
            }}
          >
            <p>Whoever uses one of them has to sign in again. This one goes on.</p>
            <div className="mt-3">
              <Checkbox label="Also revoke keys that they made" checked={keys} onChange={setKeys} />
            </div>
          </ConfirmButton>
        )
      }
    >
      <Loaded query={query} skeleton={<Skeleton className="m-5 h-24" />}>
        {({ sessions }) => (
          <DataTable
            caption="Sessions"
            columns={COLUMNS}
            rows={sessions}
            rowKey={(row) => row.id}
            empty={<p className="px-5 pb-6 text-soft">No session.</p>}
          />
        )}
      </Loaded>
    </Card>
  );
}

function EndSession({ of }: { of: Session }) {
  const queries = useQueryClient();
  const [keys, setKeys] = useState(false);
  return (
    <ConfirmButton
      label="End"
      title="End this session?"
      act={async () => {
        const out = await change.endSession(of.id, keys);
        await queries.invalidateQueries({ queryKey: account.sessions().queryKey });
        await queries.invalidateQueries({ queryKey: account.keys().queryKey });
        if (out.keys_made > 0) toast.done(`The session ended.${keysWords(out)}`);
      }}
    >
      <p>
        {programName(of.program)} at {of.address} has to sign in again.
      </p>
      <div className="mt-3">
        <Checkbox label="Also revoke keys that it made" checked={keys} onChange={setKeys} />
      </div>
    </ConfirmButton>
  );
}

const COLUMNS: readonly Column<Session>[] = [
  {
    name: 'Program',
    show: (row) => (
      <span className="flex items-center gap-2 font-medium" title={row.program}>
        {programName(row.program)}
        {row.current && <Badge tone="good">This one</Badge>}
      </span>
    ),
  },
  { name: 'From', wide: true, show: (row) => <span className="figures">{row.address}</span> },
  { name: 'Since', show: (row) => <Time at={row.created_at} /> },
  { name: 'Ends', wide: true, show: (row) => <Time at={row.expires_at} /> },
  {
    name: 'What to do',
    hideName: true,
    number: true,
    show: (row) => !row.current && <EndSession of={row} />,
  },
];

function Privacy() {
  return (
    <Card title="What this market keeps of your requests">
      <Facts
        rows={[
          [
            'Prompts, answers, images and recordings, while there is no debug log',
            <StateDot key="words" tone="good">
              Not kept
            </StateDot>,
          ],
          ['Counts, times, model, key and outcome', 'Kept, for billing and your usage page'],
          ['The way that a request took', 'Kept for a while, then dropped'],
          ['Passwords and keys', 'Only as hashes'],
        ]}
      />
      <p className="mt-3 text-sm text-soft">
        A provider sees what you send to its models while it answers. Choose models and providers with that in
        mind.
      </p>
    </Card>
  );
}
