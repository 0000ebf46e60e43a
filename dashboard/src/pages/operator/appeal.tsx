import { useState } from 'react';
import { TextArea } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { toast } from '../../parts/toast.tsx';
import { useOperate } from './api.ts';

/** Grants or rejects an appeal: once, with a reason. */
export function AppealButtons({ path, subject }: { path: string; subject: string }) {
  const operate = useOperate();
  const [reason, setReason] = useState('');
  const decide = async (decision: 'granted' | 'rejected'): Promise<void> => {
    await operate('POST', path, { decision, reason });
    toast.done(`The appeal is ${decision}.`);
  };
  const field = (errorOf: (name: string) => string | undefined) => (
    <TextArea
      label="Reason"
      hint="Kept with the decision."
      required
      rows={3}
      value={reason}
      onChange={setReason}
      error={errorOf('reason')}
    />
  );
  return (
    <span className="inline-flex gap-2">
      <FormButton
        label="Grant"
        title={`Set ${subject} aside?`}
        onOpen={() => setReason('')}
        act={() => decide('granted')}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">What it took goes back to the pledge. A decision stays.</p>
            {field(errorOf)}
          </>
        )}
      </FormButton>
      <FormButton
        label="Reject"
        title={`Uphold ${subject}?`}
        kind="quiet"
        onOpen={() => setReason('')}
        act={() => decide('rejected')}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">It stays as it was judged. A decision stays.</p>
            {field(errorOf)}
          </>
        )}
      </FormButton>
    </span>
  );
}
