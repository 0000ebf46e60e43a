import { useQuery } from '@tanstack/react-query';
import { History } from 'lucide-react';
import { useDeferredValue, useMemo, useState } from 'react';
import type { LogAnswer } from '#wire/dashboard.ts';
import { StateDot } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Select, TextField } from '../../parts/form.tsx';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { changes } from './about-log.tsx';
import { operator } from './api.ts';
import { actionWords, OUTCOMES, plainly, shortId } from './pieces.tsx';

type Action = LogAnswer['actions'][number];

/** What operators did: who, when, from where, to what, and how it ended. */
export default function Log() {
  const [about, setAbout] = useUrlState('about', '');
  const [actor, setActor] = useUrlState('actor', '');
  const [what, setWhat] = useUrlState('what', '');
  const [outcome, setOutcome] = useUrlState('outcome', '');
  const [before, setBefore] = useUrlState('before', '');
  const [open, setOpen] = useState<Action>();
  const wanted = useDeferredValue({ about, actor, what });
  const query = useQuery(operator.log({ ...wanted, outcome, before, limit: '50' }));
  const next = query.data?.next;
  const filtered = about !== '' || actor !== '' || what !== '' || outcome !== '';
  const columns = useMemo(() => columnsFor(setOpen), []);
  return (
    <>
      <PageHead title="Log">
        Each change is written down before it is made, and nothing rewrites it. Secrets are left out.
      </PageHead>
      <div className="mb-4 grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
        <TextField
          label="What"
          type="search"
          placeholder="price, endpoints, DELETE"
          value={what}
          onChange={setWhat}
        />
        <TextField label="Who" type="search" placeholder="Address or id" value={actor} onChange={setActor} />
        <TextField
          label="About"
          type="search"
          placeholder="An id, in full"
          value={about}
          onChange={setAbout}
        />
        <Select
          label="Ended"
          value={outcome}
          onChange={setOutcome}
          options={[
            { value: '', label: 'Anyhow' },
            { value: 'done', label: 'Done' },
            { value: 'refused', label: 'Refused' },
            { value: 'failed', label: 'Failed' },
            { value: 'open', label: 'Not ended' },
          ]}
        />
      </div>
      <Card flush className="overflow-hidden">
        {query.isError && !query.data ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Actions of operators"
            columns={columns}
            rows={query.data?.actions}
            rowKey={(row) => row.id}
            onOpen={setOpen}
            empty={
              <Empty icon={History} title={filtered ? 'Nothing is like that' : 'Nobody did anything yet'}>
                {filtered
                  ? 'Widen the filters: what is looked for stands in the name of the call.'
                  : 'The first approval, price or note that an operator makes begins the log.'}
              </Empty>
            }
          />
        )}
      </Card>
      {(next || before !== '') && (
        <div className="mt-4 flex justify-end gap-2">
          {before !== '' && (
            <Button size="sm" onClick={() => setBefore('')}>
              To the newest
            </Button>
          )}
          {next && (
            <Button size="sm" onClick={() => setBefore(next)}>
              Earlier ones
            </Button>
          )}
        </div>
      )}
      <Dialog
        open={open !== undefined}
        onClose={() => setOpen(undefined)}
        title={open ? actionWords(open) : ''}
        wide
      >
        {open && <Details action={open} />}
      </Dialog>
    </>
  );
}

function columnsFor(open: (action: Action) => void): Column<Action>[] {
  return [
    {
      name: 'When',
      show: (row) => <Time at={row.at} />,
    },
    {
      name: 'What',
      show: (row) => (
        <>
          <button type="button" className="text-left font-medium hover:text-accent" onClick={() => open(row)}>
            {actionWords(row)}
          </button>
          <p className="max-w-80 truncate text-sm text-faint">{changes(row.before, row.after)}</p>
        </>
      ),
    },
    {
      name: 'Who',
      show: (row) => <span className="block max-w-48 truncate">{row.email ?? shortId(row.actor)}</span>,
    },
    {
      name: 'About',
      wide: true,
      show: (row) => <span className="font-mono text-sm">{row.about === '' ? '–' : shortId(row.about)}</span>,
    },
    {
      name: 'Ended',
      show: (row) => {
        const { tone, words } = OUTCOMES[row.outcome ?? 'open'] ?? { tone: 'neutral' as const, words: '' };
        return <StateDot tone={tone}>{words}</StateDot>;
      },
    },
  ];
}

function Details({ action }: { action: Action }) {
  const asked = Object.entries(action.asked);
  return (
    <Facts
      rows={[
        ['When', <Time key="when" at={action.at} />],
        ['Who', action.email ?? action.actor],
        ['From', action.address],
        [
          'Call',
          <code key="call" className="font-mono text-sm">
            {action.what}
          </code>,
        ],
        ['About', action.about === '' ? '–' : <Id key="about" value={action.about} keep={36} />],
        [
          'Ended',
          `${OUTCOMES[action.outcome ?? 'open']?.words ?? ''}${action.code === null ? '' : ` (${action.code})`}`,
        ],
        ...asked.map(([name, value]) => [`Asked: ${name.replaceAll('_', ' ')}`, plainly(value)] as const),
        ['Changed', changes(action.before, action.after) || 'nothing'],
      ]}
    />
  );
}
