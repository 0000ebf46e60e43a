import { useQuery } from '@tanstack/react-query';
import { BookCheck, ShieldQuestionMark } from 'lucide-react';
import { useState } from 'react';
import type { AuditNowAnswer, AuditsAnswer } from '#wire/operator.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { Problem, TextArea, useForm } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { duration, plural } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { operator, useOperate } from './api.ts';
import { ListSkeleton, Notice } from './pieces.tsx';

type Stranger = AuditsAnswer['unknown_to_the_ledger'][number];

/** Whether the books are right, and what the chain shows that they do not know. */
export default function Audits() {
  const query = useQuery(operator.audits());
  return (
    <>
      <PageHead title="Audits">
        Each night every entry is added up again and compared with the chain. While something differs, nothing
        is paid out.
      </PageHead>
      <Loaded query={query} skeleton={<ListSkeleton rows={5} />}>
        {(data) => <Report data={data} />}
      </Loaded>
    </>
  );
}

function Report({ data }: { data: AuditsAnswer }) {
  const [last] = data.audits;
  return (
    <div className="space-y-6">
      {data.held_by !== null ? (
        <Notice tone="bad" title="Payouts are held">
          {data.held_by}
        </Notice>
      ) : (
        last?.balanced && (
          <Notice tone="good" title="The books balance">
            As of <Time at={last.at} />
            {last.chain_asked ? ', and they agree with the chain.' : '.'}
          </Notice>
        )
      )}
      <Card
        title="Unknown to the ledger"
        hint="What the chain shows and the books cannot explain. Payouts wait until you have said what it is."
      >
        {data.unknown_to_the_ledger.length === 0 ? (
          <Empty icon={ShieldQuestionMark} title="The chain shows nothing strange">
            Money at an address that nobody was given, or a slash that nobody found, would appear here.
          </Empty>
        ) : (
          <ul className="divide-y divide-line">
            {data.unknown_to_the_ledger.map((each) => (
              <StrangerLine key={each.id} stranger={each} />
            ))}
          </ul>
        )}
      </Card>
      <Card title="Audits" actions={<AuditNow />}>
        {data.audits.length === 0 ? (
          <Empty icon={BookCheck} title="No audit yet">
            The first one is made tonight, or now by you. It reads the whole ledger and asks the chain.
          </Empty>
        ) : (
          <ul className="divide-y divide-line">
            {data.audits.map((each) => (
              <li key={each.at} className="py-3 first:pt-0 last:pb-0">
                <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-1">
                  <span className="flex flex-wrap items-center gap-x-4 gap-y-1">
                    <StateDot tone={each.balanced ? 'good' : 'bad'}>
                      {each.balanced ? 'Balanced' : plural(each.differences.length, 'difference')}
                    </StateDot>
                    <span className="text-soft">
                      <Time at={each.at} />
                    </span>
                  </span>
                  <span className="figures flex flex-wrap items-center gap-2 text-sm text-soft">
                    <Badge>{each.occasion === 'nightly' ? 'Nightly' : 'By hand'}</Badge>
                    <Badge tone={each.chain_asked ? 'good' : 'neutral'}>
                      {each.chain_asked ? 'Chain asked' : 'Books alone'}
                    </Badge>
                    took {duration(each.took_ms)}
                  </span>
                </div>
                {each.differences.length > 0 && (
                  <ul className="mt-3 space-y-2">
                    {each.differences.slice(0, 20).map((difference) => (
                      <li
                        key={`${difference.what} ${difference.where}`}
                        className="rounded-lg bg-bad-wash px-4 py-2.5 text-bad"
                      >
                        <p className="font-medium">{difference.what}</p>
                        <p className="font-mono text-sm wrap-anywhere">{difference.where}</p>
                        <p className="figures text-sm">
                          found {difference.found}, expected {difference.expected}
                        </p>
                      </li>
                    ))}
                  </ul>
                )}
              </li>
            ))}
          </ul>
        )}
      </Card>
    </div>
  );
}

function AuditNow() {
  const operate = useOperate();
  const form = useForm(async () => {
    const { balanced } = await operate<AuditNowAnswer>('POST', '/audits');
    if (balanced === null) toast.done('It goes on. What it finds stands here when it is done.');
    else if (balanced) toast.done('The books balance.');
    else throw new Error('The books do not balance: see below.');
  });
  return (
    <form onSubmit={form.onSubmit} className="flex flex-wrap items-center gap-3">
      <Problem>{form.problem}</Problem>
      <Button type="submit" size="sm" busy={form.busy}>
        Audit now
      </Button>
    </form>
  );
}

function StrangerLine({ stranger }: { stranger: Stranger }) {
  const operate = useOperate();
  const [resolution, setResolution] = useState('');
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 py-3 first:pt-0 last:pb-0">
      <div className="min-w-0 flex-1 basis-64">
        <p className="flex items-center gap-2">
          <Badge tone="bad">{stranger.what === 'deposit' ? 'Deposit' : 'Slash'}</Badge>
          <span className="text-sm text-faint">
            found <Time at={stranger.found_at} as="ago" />
          </span>
        </p>
        <p className="mt-1 wrap-anywhere">{stranger.detail}</p>
      </div>
      <FormButton
        label="Explain"
        title="What is it?"
        confirm="Take my word"
        onOpen={() => setResolution('')}
        act={async () => {
          await operate('POST', `/strangers/${encodeURIComponent(stranger.id)}/explanation`, { resolution });
          toast.done('It is explained.');
        }}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">
              Was a backup restored? Then the newest ledger is to come back first: what is explained away here
              is paid out of the market’s pocket.
            </p>
            <TextArea
              label="Explanation"
              hint="Kept for good. Once the last one is explained, payouts go on."
              required
              rows={3}
              value={resolution}
              onChange={setResolution}
              error={errorOf('resolution')}
            />
          </>
        )}
      </FormButton>
    </li>
  );
}
