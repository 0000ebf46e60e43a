import { useState } from 'react';
import type { SettleAnswer } from '#wire/dashboard.ts';
import { Button } from '../../parts/button.tsx';
import { TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { plural, usd } from '../../parts/format.ts';
import { toast } from '../../parts/toast.tsx';
import { TOKENS, tokenShort } from '../../parts/tokens.ts';
import { wallMs } from '../../surroundings.ts';
import { useOperate } from './api.ts';

const WHY: Readonly<Record<SettleAnswer['carried_over'][number]['reason'], string>> = {
  'in-debt': 'owes the market',
  'below-minimum': 'is owed less than that',
  'without-wallet': 'has proven no wallet',
  'below-a-unit': 'is owed less than one unit of the token',
};

/** Pays out now what the night would pay: first what it comes to, then the word for it. */
export function SettleNow({ asset }: { asset: 'USD' | 'SWAN' }) {
  const operate = useOperate();
  const [until, setUntil] = useState('');
  const [minimum, setMinimum] = useState('');
  const [plan, setPlan] = useState<SettleAnswer>();
  const wish = {
    asset,
    until,
    ...(asset === 'USD' && minimum.trim() !== '' && { minimum_usd: minimum.trim() }),
  };
  const pays = plan !== undefined && plan.payouts > 0;
  /** What was seen is no longer what would happen. */
  const changed = (set: (value: string) => void) => (value: string) => {
    set(value);
    setPlan(undefined);
  };
  return (
    <FormButton
      label="Pay out now"
      title="Pay out now"
      confirm={pays ? 'Make the batch' : 'See what it would pay'}
      onOpen={() => {
        setUntil(new Date(wallMs()).toISOString().slice(0, 10));
        setMinimum('');
        setPlan(undefined);
      }}
      keepOpen={!pays}
      act={async () => {
        if (!pays) {
          setPlan(await operate<SettleAnswer>('POST', '/settlements', { ...wish, dry_run: true }));
          return;
        }
        const made = await operate<SettleAnswer>('POST', '/settlements', wish);
        toast.done(
          made.batch === null
            ? 'Nobody is due a payout.'
            : `Batch ${made.batch} is made. It may be collected once its time lock has passed.`,
        );
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">
            The market does this by itself after each midnight (UTC). By hand it may be through today, and
            once from less on.
          </p>
          <TextField
            label="Through this day"
            type="date"
            required
            value={until}
            onChange={changed(setUntil)}
            error={errorOf('until')}
          />
          {asset === 'USD' && (
            <TextField
              label="From this many dollars on"
              inputMode="decimal"
              placeholder="As the market has it"
              hint="0 pays everybody who has proven a wallet. Each batch costs a transaction’s fee."
              value={minimum}
              onChange={changed(setMinimum)}
              error={errorOf('minimum_usd')}
            />
          )}
          {plan && <Rehearsed plan={plan} asset={asset} />}
        </>
      )}
    </FormButton>
  );
}

function Rehearsed({ plan, asset }: { plan: SettleAnswer; asset: 'USD' | 'SWAN' }) {
  const [all, setAll] = useState(false);
  const left = all ? plan.carried_over : plan.carried_over.slice(0, 5);
  return (
    <div className="space-y-2 rounded-lg border border-line bg-canvas px-4 py-3" role="status">
      <p className="font-medium">
        {plan.payouts === 0
          ? 'Nobody would be paid.'
          : `${plural(plan.payouts, 'provider')} would be paid ${tokenShort(plan.increase, plan.decimals)} ${TOKENS[asset]}.`}
      </p>
      {left.length > 0 && (
        <ul className="list-disc space-y-0.5 pl-5 text-sm text-soft">
          {left.map((each) => (
            <li key={each.provider} className="wrap-anywhere">
              {each.name ?? each.provider} {WHY[each.reason]}:{' '}
              {asset === 'USD' ? usd(each.owed) : `${tokenShort(each.owed, plan.decimals)} SWAN`}
            </li>
          ))}
        </ul>
      )}
      {!all && plan.carried_over.length > left.length && (
        <Button size="sm" kind="quiet" onClick={() => setAll(true)}>
          {plural(plan.carried_over.length - left.length, 'other')} not paid
        </Button>
      )}
    </div>
  );
}
