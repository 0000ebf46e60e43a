import { type UseQueryOptions, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { SlaEvidenceAnswer } from '#wire/operator.ts';
import { Button } from './button.tsx';
import { type Column, DataTable } from './data-table.tsx';
import { Dialog } from './dialog.tsx';
import { whole } from './format.ts';
import { Loaded, Skeleton } from './states.tsx';
import { Time } from './time.tsx';

type Failure = SlaEvidenceAnswer['failures'][number];

const COLUMNS: readonly Column<Failure>[] = [
  { name: 'Minute', sort: (row) => row.minute, show: (row) => <Time at={row.minute} /> },
  {
    name: 'Model',
    sort: (row) => row.model,
    show: (row) => <span className="font-mono text-sm wrap-anywhere">{row.model}</span>,
  },
  { name: 'How', sort: (row) => row.error, show: (row) => row.error.replaceAll('-', ' ') },
  { name: 'Requests', number: true, sort: (row) => row.requests, show: (row) => whole(row.requests) },
];

/** How a page asks for what one charge rests on. */
type Asked = UseQueryOptions<SlaEvidenceAnswer, Error, SlaEvidenceAnswer, string[]>;

/**
 * What a charge for a service level rests on, for the provider that was charged and for whoever decides its appeal. `of` tells
 * whoever cannot see the row which one this is about.
 */
export function SlaEvidenceButton({ of, month, asked }: { of: string; month: string; asked: Asked }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button size="sm" kind="quiet" onClick={() => setOpen(true)}>
        Evidence<span className="sr-only"> of {of}</span>
      </Button>
      <Dialog open={open} onClose={() => setOpen(false)} title={`What ${month} was charged for`}>
        <Found asked={asked} />
      </Dialog>
    </>
  );
}

/** Asked for when somebody looks: it is computed from a month of requests. */
function Found({ asked }: { asked: Asked }) {
  const query = useQuery(asked);
  return (
    <Loaded query={query} skeleton={<Skeleton className="h-40" />}>
      {(found) => <SlaEvidence found={found} />}
    </Loaded>
  );
}

function SlaEvidence({ found }: { found: SlaEvidenceAnswer }) {
  return (
    <div className="space-y-3">
      <p className="text-soft">
        In each of these minutes every request that the consumer sent failed, and failed at this provider
        alone, with nobody tried before. They are computed anew from the requests that the report was made
        from.
      </p>
      <div className="max-h-96 overflow-y-auto" tabIndex={0} role="group" aria-label="Minutes">
        <DataTable
          caption="Minutes that were charged"
          columns={COLUMNS}
          rows={found.failures}
          rowKey={(row) => `${row.minute} ${row.model} ${row.error}`}
          empty={<p className="py-4 text-soft">Those requests are not kept any more.</p>}
        />
      </div>
      {found.more && <p className="text-sm text-soft">There are more than stand here.</p>}
    </div>
  );
}
