import { Boxes, Download, Trash2 } from 'lucide-react';
import { useMemo, useState } from 'react';
import { ApiError } from '../../api.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Meter, PartsBar, Weighed } from '../../parts/bars.tsx';
import { Button, IconButton } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { CodeBlock } from '../../parts/code.tsx';
import { CopyButton, Id } from '../../parts/copy.tsx';
import { CsvLink, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton, Dialog } from '../../parts/dialog.tsx';
import { Checkbox, Problem, Segments, Select, TextArea, TextField } from '../../parts/form.tsx';
import { duration, percent, short, usd } from '../../parts/format.ts';
import { Notice } from '../../parts/notice.tsx';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Qr } from '../../parts/qr.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';

const DAY_MS = 86_400_000;
const FIRST = Date.UTC(2026, 0, 1);
const WAVES = Array.from({ length: 30 }, (_, place) =>
  Math.round(400 + 260 * Math.sin(place / 3) + place * 9),
);
const ROWS = [
  { name: 'First', tokens: 1_234_567, cost: '0.042' },
  { name: 'Second', tokens: 890, cost: '0.0000021' },
];

/** Every part that pages are made of, in all its states: for whoever makes a page, and for the browser tests. */
export default function Parts() {
  const [text, setText] = useState('');
  const [choice, setChoice] = useState('a');
  const [checked, setChecked] = useState(true);
  const [open, setOpen] = useState(false);
  const chart = useMemo(
    () => ({
      times: WAVES.map((_, place) => FIRST + place * DAY_MS),
      series: [
        { name: 'All', values: WAVES },
        { name: 'Paid', values: WAVES.map((value) => Math.round(value * 0.6)) },
      ],
    }),
    [],
  );
  return (
    <>
      <PageHead title="Parts" actions={<CsvLink href="/status.json" />}>
        What pages are made of. Figures on this page are examples.
      </PageHead>
      <div className="grid gap-6 lg:grid-cols-2">
        <Card title="Buttons" hint="One primary on a screen">
          <div className="flex flex-wrap items-center gap-2">
            <Button kind="primary">Primary</Button>
            <Button icon={Download}>Plain</Button>
            <Button kind="quiet">Quiet</Button>
            <Button kind="danger">Danger</Button>
            <span data-example>
              <Button busy>Busy</Button>
            </span>
            <IconButton icon={Trash2} label="Delete" />
          </div>
          <div className="mt-4 flex flex-wrap gap-2">
            <Button size="sm" onClick={() => toast.done('The change is saved.')}>
              Toast
            </Button>
            <Button size="sm" onClick={() => setOpen(true)}>
              Dialog
            </Button>
            <ConfirmButton
              label="Revoke"
              title="Revoke this key?"
              type="revoke"
              act={async () => toast.done('Revoked.')}
            >
              Whoever uses it is refused at once. This cannot be taken back.
            </ConfirmButton>
          </div>
          <Dialog open={open} onClose={() => setOpen(false)} title="A window">
            <p className="text-soft">The focus stays inside, and goes back when it closes.</p>
          </Dialog>
        </Card>
        <Card title="Words and states">
          <div className="flex flex-wrap items-center gap-2">
            <Badge>Neutral</Badge>
            <Badge tone="accent">Accent</Badge>
            <Badge tone="good">Good</Badge>
            <Badge tone="warn">Warn</Badge>
            <Badge tone="bad">Bad</Badge>
          </div>
          <div className="mt-4 flex flex-wrap gap-4">
            <StateDot tone="good">Healthy</StateDot>
            <StateDot tone="warn">Slow</StateDot>
            <StateDot tone="bad">Down</StateDot>
          </div>
          <div className="mt-4">
            <Facts
              rows={[
                ['Id', <Id key="id" value="req_01hzx3k8m9n2p4q6r8s0t2v4w6" />],
                ['When', <Time key="when" at={new Date(FIRST).toISOString()} />],
                ['Money', usd('1234.5')],
              ]}
            />
          </div>
        </Card>
        <Card title="Forms">
          <div className="space-y-4">
            <TextField label="Name" hint="As it will be listed" value={text} onChange={setText} />
            <TextField
              label="With an error"
              error="has fewer than 8 characters"
              value="short"
              onChange={() => {}}
            />
            <Select
              label="Choice"
              value={choice}
              onChange={setChoice}
              options={[
                { value: 'a', label: 'The first' },
                { value: 'b', label: 'The second' },
              ]}
            />
            <Segments
              label="Segments"
              value={choice}
              onChange={setChoice}
              options={[
                { value: 'a', label: 'Day' },
                { value: 'b', label: 'Week' },
              ]}
            />
            <TextArea label="Note" rows={2} value={text} onChange={setText} />
            <Checkbox label="Remind me" checked={checked} onChange={setChecked} />
            <Problem>
              The balance does not cover this request. Add money to the balance, then try again.
            </Problem>
          </div>
        </Card>
        <Card title="Chart" hint="Values under the pointer stand above">
          <Chart label="An example" {...chart} by="day" format={short} />
          <Chart
            label="An example of bars"
            times={chart.times}
            series={chart.series.slice(0, 1)}
            as="bars"
            by="day"
            format={short}
            height={120}
          />
        </Card>
        <div className="grid grid-cols-2 gap-3" data-example>
          <Stat name="Spent" value={usd('12.3456')} hint="last 24 hours" trend={WAVES} />
          <Stat name="First token" value={duration(840)} hint={`${percent(0.9987)} answered`} />
          <Stat name="Loading" value={undefined} hint="…" />
          <div className="rounded-xl border border-line bg-surface p-4">
            <Skeleton className="h-5 w-24" />
          </div>
        </div>
        <CodeBlock
          label="An example"
          samples={[
            { name: 'curl', code: '# a comment\ncurl https://example.org/v1 -d "text"' },
            { name: 'Python', code: 'from openai import OpenAI' },
          ]}
        />
        <Card title="Table" flush actions={<CopyButton text="text" label="Copy the table" words="Copy" />}>
          <DataTable
            caption="An example"
            columns={[
              { name: 'Name', sort: (row) => row.name, show: (row) => row.name },
              { name: 'Tokens', number: true, sort: (row) => row.tokens, show: (row) => short(row.tokens) },
              { name: 'Cost', number: true, sort: (row) => Number(row.cost), show: (row) => usd(row.cost) },
            ]}
            rows={ROWS}
            rowKey={(row) => row.name}
            first="Tokens"
            empty={null}
          />
        </Card>
        <Card title="Nothing yet">
          <Empty icon={Boxes} title="No keys yet" action={<Button kind="primary">Make a key</Button>}>
            Programs show a key to use your balance.
          </Empty>
        </Card>
        <Card title="Failed">
          <Failure
            error={new ApiError('The marketplace cannot look that up right now.', { status: 503, code: 'x' })}
            retry={() => {}}
          />
        </Card>
        <Card title="Notices">
          <div className="space-y-3">
            <Notice title="To know" action={<Button size="sm">What to do</Button>}>
              What follows from it.
            </Notice>
            <Notice tone="warn" title="To mind" />
            <Notice tone="bad" title="It has stopped">
              Nothing goes on until this is put right.
            </Notice>
          </div>
        </Card>
        <Card title="Parts of a whole">
          <PartsBar
            label="Who gets what of a dollar"
            parts={[
              { name: 'Provider', value: 0.7, shown: '$0.70' },
              { name: 'Market', value: 0.2, shown: '$0.20' },
              { name: 'Burn', value: 0.1, shown: '$0.10' },
            ]}
          />
          <div className="mt-4 space-y-3">
            <Meter label="Tokens left" share={0.62} />
            <Meter label="Images left" share={0.06} tone="warn" />
            <p className="text-right">
              <Weighed share={0.4}>$40.00</Weighed>
            </p>
          </div>
        </Card>
        <Card title="QR and a chart that loads">
          <Qr text="ethereum:0x0000000000000000000000000000000000000000" label="An address as a QR code" />
          <div data-example className="mt-4">
            <ChartSkeleton height={80} />
          </div>
        </Card>
      </div>
    </>
  );
}
