import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';

import { api, ok, type JobWhole } from '../lib/api';
import { useMay } from '../lib/me';
import { isFinal } from '../lib/patch';
import { Empty, Loaded, Panel } from '../ui/panel';
import { JobState } from '../ui/status';
import { Time } from '../ui/time';
import { complain, say } from '../ui/toast';

/** The deliveries of a job, oldest first; asked for often while one is under way. */
export function useDeliveries(job: JobWhole) {
  return useQuery({
    queryKey: ['deliveries', job.id, isFinal(job.status)],
    queryFn: () => ok(api.GET('/jobs/{id}/webhooks', { params: { path: { id: job.id } } })),
    enabled: job.webhook_url !== null,
    refetchInterval: ({ state }) => (state.data?.items.every((one) => isFinal(one.status)) ? 15_000 : 3000),
    placeholderData: (before) => before,
  });
}

export function Deliveries({ job }: { job: JobWhole }) {
  const may = useMay('operator');
  const queryClient = useQueryClient();
  const deliveries = useDeliveries(job);
  const replay = useMutation({
    mutationFn: (delivery: string) => ok(api.POST('/jobs/{id}/webhooks/{delivery}/replay', { params: { path: { id: job.id, delivery } } })),
    onSuccess: () => {
      say('It is sent again.');
      void queryClient.invalidateQueries({ queryKey: ['deliveries', job.id] });
    },
    onError: complain,
  });
  return (
    <Panel title="Webhook deliveries">
      <Loaded query={deliveries}>
        {({ items }) =>
          items.length ? (
            <ul className="divide-y divide-line">
              {items.map((delivery) => (
                <li key={delivery.id} className="space-y-1 px-4 py-3">
                  <div className="flex flex-wrap items-center justify-between gap-2">
                    <span className="min-w-0 break-all"><Link href={`/jobs/${delivery.id}`} className="row-link">{delivery.type}</Link> to {delivery.url}</span>
                    <span className="flex items-center gap-3">
                      <JobState status={delivery.status} />
                      {may && isFinal(delivery.status) && (
                        <button type="button" className="button" disabled={replay.isPending} onClick={() => replay.mutate(delivery.id)}>Send again</button>
                      )}
                    </span>
                  </div>
                  {delivery.attempts.map((attempt) => (
                    <div key={attempt.attempt} className="flex flex-wrap gap-x-3 text-xs text-muted">
                      <Time at={attempt.at} />
                      {attempt.error ? <span className="break-words text-bad">{attempt.error}</span> : <span>{attempt.status_code === null ? 'no answer' : `HTTP ${attempt.status_code} after ${attempt.duration_ms ?? 0} ms`}</span>}
                    </div>
                  ))}
                </li>
              ))}
            </ul>
          ) : (
            <Empty>{isFinal(job.status) ? 'Nothing was sent yet.' : 'Sent when the job has ended.'}</Empty>
          )
        }
      </Loaded>
    </Panel>
  );
}
