import { useQueryClient } from '@tanstack/react-query';
import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { Button } from '../../parts/button.tsx';
import { CopyButton } from '../../parts/copy.tsx';
import { Problem, useForm } from '../../parts/form.tsx';
import { act, provider } from './api.ts';

/** A key of which the server shows the secret once; until the page is loaded anew, this one remembers it. */
const FRESH = ['a provider’s fresh key'];

export function useFreshKey(): { secret: string | undefined; note: (secret: string) => void } {
  const queries = useQueryClient();
  const [secret, setSecret] = useState(() => queries.getQueryData<string>(FRESH));
  return {
    secret,
    note: (made) => {
      queries.setQueryDefaults(FRESH, { gcTime: Number.POSITIVE_INFINITY });
      queries.setQueryData(FRESH, made);
      setSecret(made);
    },
  };
}

export function FreshKey({ secret }: { secret: string }) {
  return (
    <div>
      <div className="flex items-center gap-3 rounded-xl border border-line bg-canvas py-2 pr-2 pl-4">
        <code className="min-w-0 flex-1 font-mono text-sm wrap-anywhere">{secret}</code>
        <CopyButton text={secret} label="Copy the provider key" words="Copy" />
      </div>
      <p className="mt-1.5 text-sm text-soft">
        It is shown this once, and is in the commands below. Who has it serves, and is paid, as you.
      </p>
    </div>
  );
}

export function NewKey({ onMade, size = 'md' }: { onMade: (secret: string) => void; size?: 'sm' | 'md' }) {
  const queries = useQueryClient();
  const form = useForm(async () => {
    const { api_key } = await act.newKey('Dashboard');
    onMade(api_key);
    await queries.invalidateQueries({ queryKey: provider.onboarding().queryKey });
  });
  return (
    <form onSubmit={form.onSubmit} className="space-y-2">
      <Button type="submit" size={size} icon={KeyRound} busy={form.busy}>
        Make a key
      </Button>
      <Problem>{form.problem}</Problem>
    </form>
  );
}
