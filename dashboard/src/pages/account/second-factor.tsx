import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Smartphone } from 'lucide-react';
import { useState } from 'react';
import type { FactorAnswer, FactorBeginAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { CopyButton } from '../../parts/copy.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Checkbox, Problem, TextField, useForm } from '../../parts/form.tsx';
import { plural } from '../../parts/format.ts';
import { Notice } from '../../parts/notice.tsx';
import { Card } from '../../parts/page.tsx';
import { Qr } from '../../parts/qr.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { account, change } from './api.ts';
import { keysWords } from './words.ts';

const CODES_FEW = 3;

/** The password is asked for once, and shown to the market again with the first code. */
interface Begun extends FactorBeginAnswer {
  readonly password: string;
}

/** A second factor: turned on with an authenticator, and recovery codes for when it is lost. */
export function SecondFactor() {
  const query = useQuery(account.factor());
  // Kept here: the window with the recovery codes stays, whatever is asked again meanwhile.
  const [begun, setBegun] = useState<Begun>();
  return (
    <Card
      title="Two-factor sign-in"
      hint="A code from your phone, beside the password."
      actions={
        query.data && (
          <Badge tone={query.data.enabled ? 'good' : 'neutral'}>{query.data.enabled ? 'On' : 'Off'}</Badge>
        )
      }
    >
      <Loaded query={query} skeleton={<Skeleton className="h-24" />}>
        {(factor) => (factor.enabled ? <On factor={factor} /> : <Off onBegun={setBegun} />)}
      </Loaded>
      {begun && <Enrolment begun={begun} onClose={() => setBegun(undefined)} />}
    </Card>
  );
}

function Off({ onBegun }: { onBegun: (begun: Begun) => void }) {
  const [password, setPassword] = useState('');
  const begin = useForm(async () => {
    onBegun({ ...(await change.beginFactor(password)), password });
    setPassword('');
  });
  return (
    <form onSubmit={begin.onSubmit} className="space-y-4">
      <p className="text-soft">
        Who learns your password still cannot sign in. Any authenticator app will do: 1Password, Google
        Authenticator, Aegis and others. Turning it on ends every session but this.
      </p>
      <TextField
        label="Your password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={setPassword}
        error={begin.errorOf('password')}
      />
      <Problem>{begin.problem}</Problem>
      <Button type="submit" icon={Smartphone} busy={begin.busy}>
        Turn it on
      </Button>
    </form>
  );
}

function Enrolment({ begun, onClose }: { begun: Begun; onClose: () => void }) {
  const queries = useQueryClient();
  const [code, setCode] = useState('');
  const [keys, setKeys] = useState(false);
  const [codes, setCodes] = useState<readonly string[]>();
  const form = useForm(async () => {
    const confirmed = await change.confirmFactor(begun.password, code.replaceAll(/\s/g, ''), keys);
    setCodes(confirmed.recovery_codes);
    if (confirmed.keys_made > 0) toast.done(`Every other session has ended.${keysWords(confirmed)}`);
  });
  const close = (): void => {
    onClose();
    void queries.invalidateQueries({ queryKey: account.factor().queryKey });
    void queries.invalidateQueries({ queryKey: account.sessions().queryKey });
    void queries.invalidateQueries({ queryKey: account.keys().queryKey });
  };
  if (codes) {
    return (
      <Dialog
        open
        onClose={close}
        title="Your recovery codes"
        footer={
          <Button kind="primary" onClick={close}>
            I have kept them
          </Button>
        }
      >
        <p className="text-soft">
          Two-factor sign-in is on. Each of these works once in place of a code, for when the phone is lost.
        </p>
        <ul className="my-4 grid grid-cols-2 gap-x-6 gap-y-1.5 rounded-xl border border-line-strong bg-code p-4 font-mono text-sm">
          {codes.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
        <CopyButton text={codes.join('\n')} label="Copy the recovery codes" words="Copy all" />
        <Notice tone="warn" title="Shown this once" className="mt-4">
          Print them, or keep them where you keep passwords.
        </Notice>
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title="Turn on two-factor sign-in">
      <form onSubmit={form.onSubmit} className="space-y-4">
        <p className="text-soft">Scan this with your authenticator, then enter the code that it shows.</p>
        <div className="mx-auto w-fit rounded-xl border border-line bg-white p-1.5">
          <Qr text={begun.uri} label="The secret as a QR code" />
        </div>
        <details>
          <summary className="cursor-pointer text-sm font-medium text-soft hover:text-ink">
            Enter it by hand
          </summary>
          <div className="mt-2 flex items-center gap-2 rounded-lg border border-line-strong bg-code py-1.5 pr-1.5 pl-3">
            <code className="min-w-0 flex-1 font-mono text-sm wrap-anywhere" data-secret>
              {begun.secret}
            </code>
            <CopyButton text={begun.secret} label="Copy the secret" />
          </div>
        </details>
        <TextField
          label="Code"
          inputMode="numeric"
          autoComplete="one-time-code"
          required
          placeholder="123 456"
          className="font-mono tracking-widest"
          value={code}
          onChange={setCode}
        />
        <Checkbox
          label="Every other session ends: also revoke keys that they made"
          checked={keys}
          onChange={setKeys}
        />
        <Problem>{form.problem}</Problem>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" busy={form.busy}>
            Turn it on
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function On({ factor }: { factor: FactorAnswer }) {
  const [removing, setRemoving] = useState(false);
  return (
    <>
      <p className="mb-4 text-soft">
        {factor.since !== null && (
          <>
            On since <Time at={factor.since} as="day" />.{' '}
          </>
        )}
        {plural(factor.recovery_codes_left, 'recovery code')} left.
      </p>
      {factor.last_wrong_code_at !== null && (
        <p className="mb-4 text-soft">
          Last wrong code <Time at={factor.last_wrong_code_at} />. Only who knows your password is asked for
          one: if it was not you, change it.
        </p>
      )}
      {factor.recovery_codes_left < CODES_FEW && (
        <Notice tone="warn" title="Few recovery codes are left" className="mb-4">
          Turn it off and on again to get ten new ones.
        </Notice>
      )}
      <Button kind="danger" onClick={() => setRemoving(true)}>
        Turn it off
      </Button>
      {removing && <Removal onClose={() => setRemoving(false)} />}
    </>
  );
}

function Removal({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const form = useForm(async () => {
    await change.removeFactor(password, code.replaceAll(/\s/g, ''));
    await queries.invalidateQueries({ queryKey: account.factor().queryKey });
    toast.done('Two-factor sign-in is off.');
    onClose();
  });
  return (
    <Dialog open onClose={onClose} title="Turn off two-factor sign-in?">
      <form onSubmit={form.onSubmit} className="space-y-4">
        <p className="text-soft">The password alone is enough then.</p>
        <TextField
          label="Password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <TextField
          label="Code"
          inputMode="numeric"
          autoComplete="one-time-code"
          required
          hint="Of the authenticator, or a recovery code."
          className="font-mono tracking-widest"
          value={code}
          onChange={setCode}
        />
        <Problem>{form.problem}</Problem>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="danger" busy={form.busy}>
            Turn it off
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
